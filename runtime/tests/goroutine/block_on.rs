//! `block_on`: waiting for a future as if it were a call.

use std::future::{self, Future};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::common::{Rng, check, check_from_thread, drops::Census, storm};
use greenthread::{block_on, channel, go, time};

/// A future whose value is set from outside, and its waker.
#[derive(Clone)]
struct Cell<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Cell<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    fn set(&self, value: T) {
        let waker = {
            let mut cell = self.0.lock().unwrap();
            cell.0 = Some(value);
            cell.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Cell<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut cell = self.0.lock().unwrap();
        match cell.0.take() {
            Some(value) => Poll::Ready(value),
            None => {
                cell.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[test]
fn a_ready_future_does_not_wait() {
    check(|| {
        let census = Census::default();
        drop(block_on(future::ready(census.value())));
        assert_eq!(block_on(async { 1 + future::ready(2).await }), 3);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn a_goroutine_may_wake_the_future() {
    check(|| {
        let cell = Cell::new();
        let other = cell.clone();
        go!(move || {
            time::sleep(Duration::from_millis(1));
            other.set(5);
        });
        assert_eq!(block_on(cell), 5);
    });
}

#[test]
fn a_thread_may_wake_the_future() {
    check(|| {
        let cell = Cell::new();
        let other = cell.clone();
        let thread = thread::spawn(move || other.set("hello"));
        assert_eq!(block_on(cell), "hello");
        thread.join().unwrap();
    });
}

#[test]
fn a_thread_may_block_on_a_future() {
    check_from_thread(|| {
        let cell = Cell::new();
        let other = cell.clone();
        go!(move || other.set(7));
        assert_eq!(block_on(cell), 7);
    });
}

#[test]
fn a_future_that_wakes_itself_is_polled_again() {
    check(|| {
        let mut polls = 0;
        let yields = future::poll_fn(|context| {
            polls += 1;
            // The waker is woken more often than its channel has capacity for.
            (0..3).for_each(|_| context.waker().wake_by_ref());
            if polls < 100 { Poll::Pending } else { Poll::Ready(polls) }
        });
        assert_eq!(block_on(yields), 100);
    });
}

#[test]
fn a_waker_may_outlive_the_future() {
    check(|| {
        let mut kept = None;
        block_on(future::poll_fn(|context| {
            kept = Some(context.waker().clone());
            Poll::Ready(())
        }));
        kept.unwrap().wake();
    });
}

#[test]
fn others_run_during_the_wait() {
    check(|| {
        let cell = Cell::new();
        let (tx, rx) = channel::bounded(0);
        let waits = greenthread::spawn({
            let cell = cell.clone();
            move || block_on(cell)
        });
        // On one P, these two can only exchange values while the caller is parked.
        let echo = greenthread::spawn(move || rx.iter().sum::<u32>());
        (1..=100).for_each(|n| tx.send(n).unwrap());
        drop(tx);
        assert_eq!(echo.join().unwrap(), 5050);
        assert!(!waits.is_finished());
        cell.set(());
        waits.join().unwrap();
    });
}

#[test]
fn a_panic_reaches_the_caller() {
    check(|| {
        let payload = greenthread::spawn(|| block_on(async { panic!("no") })).join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"no"));
    });
}

#[test]
fn many_futures_are_woken_in_any_order() {
    static SUM: AtomicUsize = AtomicUsize::new(0);
    storm(|random: &mut Rng| {
        SUM.store(0, Ordering::Relaxed);
        let mut cells: Vec<_> = (0..50).map(|n| (n, Cell::new())).collect();
        let waits: Vec<_> = cells
            .iter()
            .map(|(_, cell)| {
                let cell = cell.clone();
                greenthread::spawn(move || SUM.fetch_add(block_on(cell), Ordering::Relaxed))
            })
            .collect();
        while !cells.is_empty() {
            let (n, cell) = cells.swap_remove(random.below(cells.len() as u64) as usize);
            cell.set(n);
        }
        waits.into_iter().for_each(|wait| _ = wait.join().unwrap());
        assert_eq!(SUM.load(Ordering::Relaxed), (0..50).sum());
    });
}
