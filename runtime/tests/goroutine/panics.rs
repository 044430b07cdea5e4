//! Panics: a panic ends one goroutine, and a goroutine that blocks while it unwinds stays on its
//! thread.
//!
//! std counts panics per thread. A goroutine that blocks in a destructor while it unwinds must find
//! the right value of `thread::panicking` afterwards, and so must every goroutine that ran
//! meanwhile, on any thread.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::OnDrop;
use crate::common::queue::{Queue, never, wait_until};
use crate::common::unwinding::{Roamers, block_while_panicking, check_blocking_while_panicking};
use crate::common::{check, spin, text, until};
use greenthread::sync::{self, WaitGroup};
use greenthread::{blocking, channel, go, scope, spawn, time, yield_now};

#[test]
fn a_panic_ends_one_goroutine() {
    check(|| {
        let (tx, rx) = channel::bounded(0);
        for n in 0..50 {
            let tx = tx.clone();
            go!(move || {
                yield_now();
                if n % 5 == 0 {
                    panic!("expected");
                }
                tx.send(n).unwrap();
            });
        }
        drop(tx);
        assert_eq!(rx.iter().count(), 40);
    });
}

#[test]
fn a_panic_in_the_drop_of_an_untaken_result_is_contained() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        for n in 0..20 {
            let dropped = Arc::clone(&dropped);
            let handle = spawn(move || {
                OnDrop::new(move || {
                    dropped.fetch_add(1, Ordering::Relaxed);
                    panic!("expected");
                })
            });
            if n % 2 == 0 {
                until(|| handle.is_finished());
            }
            drop(handle);
        }
        until(|| dropped.load(Ordering::Relaxed) == 20);
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn a_result_may_park_in_its_drop() {
    check(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let dropped = Arc::clone(&dropped);
            go!(move || OnDrop::new(move || {
                yield_now();
                time::sleep(Duration::from_micros(100));
                assert_eq!(spawn(|| 1).join().unwrap(), 1);
                dropped.fetch_add(1, Ordering::Relaxed);
            }));
        }
        until(|| dropped.load(Ordering::Relaxed) == 50);
    });
}

#[test]
fn a_caught_panic_leaves_no_trace() {
    check(|| {
        let handles: Vec<_> = (0..20)
            .map(|_| {
                spawn(|| {
                    for _ in 0..10 {
                        let caught = panic::catch_unwind(|| panic!("expected"));
                        assert!(caught.is_err() && !thread::panicking());
                        yield_now();
                        assert!(!thread::panicking());
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn receiving_while_panicking() {
    check_blocking_while_panicking(|| {
        let (tx, rx) = channel::bounded(0);
        go!(move || tx.send(7).unwrap());
        assert_eq!(rx.recv(), Ok(7));
    });
}

#[test]
fn sending_while_panicking() {
    check_blocking_while_panicking(|| {
        let (tx, rx) = channel::bounded(0);
        go!(move || assert_eq!(rx.recv(), Ok(7)));
        tx.send(7).unwrap();
    });
}

#[test]
fn locking_while_panicking() {
    let lock = Arc::new(sync::Mutex::new(0));
    check_blocking_while_panicking(move || {
        let mut count = lock.lock();
        *count += 1;
        time::sleep(Duration::from_micros(50));
    });
}

#[test]
fn sleeping_while_panicking() {
    check_blocking_while_panicking(|| time::sleep(Duration::from_micros(300)));
}

#[test]
fn waiting_with_a_deadline_while_panicking() {
    check_blocking_while_panicking(|| {
        let queue = Arc::new(Queue::default());
        assert_eq!(wait_until([&queue], Instant::now()), None);
        assert_eq!(wait_until([&queue], Instant::now() + Duration::from_micros(300)), None);
        let peer = Arc::clone(&queue);
        go!(move || until(|| peer.deliver(7)));
        assert_eq!(wait_until([&queue], never()), Some((0, 7)));
    });
}

#[test]
fn waiting_with_a_deadline_while_panicking_without_a_p() {
    check_blocking_while_panicking(|| {
        let queue = Queue::default();
        spin(Duration::from_millis(12));
        assert_eq!(wait_until([&queue], Instant::now() + Duration::from_micros(300)), None);
    });
}

#[test]
fn joining_while_panicking() {
    check_blocking_while_panicking(|| {
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
        spawn(|| panic!("another one")).join().unwrap_err();
    });
}

#[test]
fn waiting_for_a_group_while_panicking() {
    check_blocking_while_panicking(|| {
        let wg = WaitGroup::new();
        for _ in 0..3 {
            wg.go(yield_now);
        }
        wg.wait();
    });
}

#[test]
fn a_scope_while_panicking() {
    check_blocking_while_panicking(|| {
        let mut numbers = [1, 2, 3];
        scope(|s| {
            for n in &mut numbers {
                s.spawn(move || *n += 1);
            }
        });
        assert_eq!(numbers, [2, 3, 4]);
    });
}

#[test]
fn losing_the_p_while_panicking() {
    check_blocking_while_panicking(|| {
        spin(Duration::from_millis(15));
        yield_now();
        go!(|| ());
        blocking(|| thread::sleep(Duration::from_micros(100)));
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
    });
}

#[test]
fn a_second_panic_caught_while_panicking() {
    check_blocking_while_panicking(|| {
        let inner = panic::catch_unwind(|| {
            let _joins = OnDrop::new(|| drop(spawn(|| 5).join()));
            panic!("the second");
        });
        assert!(inner.is_err());
    });
}

#[test]
fn a_panic_that_ends_the_goroutine_after_it_blocked() {
    check(|| {
        let roamers = Roamers::start();
        for _ in 0..10 {
            let handle = spawn(|| {
                let _joins = OnDrop::new(|| drop(spawn(|| time::sleep(Duration::from_micros(50))).join()));
                panic!("expected");
            });
            assert_eq!(text(&*handle.join().unwrap_err()), "expected");
        }
        assert_eq!(roamers.met(), 0);
    });
}

#[test]
fn exit_goroutine_blocks_in_destructors() {
    check(|| {
        let roamers = Roamers::start();
        for _ in 0..10 {
            let handle = spawn(|| {
                let _joins = OnDrop::new(|| assert_eq!(spawn(|| 5).join().unwrap(), 5));
                greenthread::exit_goroutine();
            });
            assert!(handle.join().unwrap_err().is::<greenthread::Exited>());
        }
        assert_eq!(roamers.met(), 0);
    });
}

/// There are more unwinding goroutines than Ps, and each is woken by another one that unwinds.
#[test]
fn unwinding_goroutines_wait_for_each_other() {
    check(|| {
        let roamers = Roamers::start();
        let (first, mut from) = channel::bounded::<u32>(0);
        for _ in 0..12 {
            let (to, next) = channel::bounded(0);
            go!(move || block_while_panicking(move || to.send(from.recv().unwrap() + 1).unwrap()));
            from = next;
        }
        go!(move || block_while_panicking(move || first.send(0).unwrap()));
        assert_eq!(from.recv(), Ok(12));
        assert_eq!(roamers.met(), 0);
    });
}
