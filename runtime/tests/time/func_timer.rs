//! `time::FuncTimer`: calls that can be reset.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::{Census, OnDrop};
use crate::common::{Rng, check, check_from_thread, storm, until};
use greenthread::channel::{bounded, unbounded};
use greenthread::time::{self, FuncTimer};
use greenthread::{debug, num_goroutine, spawn, yield_now};

const SOON: Duration = Duration::from_millis(2);
const LATE: Duration = Duration::from_secs(3600);

/// Counts calls.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn timer(&self, duration: Duration) -> FuncTimer {
        let calls = self.clone();
        FuncTimer::new(duration, move || _ = calls.0.fetch_add(1, Ordering::Relaxed))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Checks Go's table for `Stop` and `Reset` of a timer with a function.
fn check_stop_and_reset() {
    let calls = Calls::default();
    let timer = calls.timer(LATE);
    assert!(timer.reset(LATE), "the pending call is replaced");
    assert!(timer.stop(), "not called yet");
    assert!(!timer.stop(), "stopped");
    assert!(!timer.reset(LATE), "the timer was stopped, so this call is an additional one");
    assert!(timer.reset(Duration::ZERO), "the pending call is replaced");
    until(|| calls.count() == 1);
    assert!(!timer.stop(), "the call was made");
    assert!(!timer.reset(Duration::ZERO), "the call was made, so this is an additional one");
    until(|| calls.count() == 2);
    assert!(!timer.reset(LATE), "the call was made, so this is an additional one");
    assert!(timer.stop(), "not called yet");
    time::sleep(SOON);
    assert_eq!(calls.count(), 2);
}

#[test]
fn stop_and_reset_return_as_in_go() {
    check(check_stop_and_reset);
    check_from_thread(check_stop_and_reset);
}

#[test]
fn reset_postpones_the_call() {
    check(|| {
        let calls = Calls::default();
        let (duration, mut begin) = (Duration::from_millis(20), Instant::now());
        let timer = calls.timer(duration);
        let mut replaced = 0;
        for _ in 0..5 {
            time::sleep(SOON);
            begin = Instant::now();
            replaced += usize::from(timer.reset(duration));
        }
        until(|| calls.count() + replaced == 6);
        assert!(begin.elapsed() >= duration, "the last reset sets the time of the call");
        time::sleep(2 * SOON);
        assert_eq!(calls.count() + replaced, 6);
    });
}

#[test]
fn a_replaced_call_leaves_nothing_behind() {
    check(|| {
        let goroutines = num_goroutine();
        let timer = Calls::default().timer(LATE);
        for _ in 0..1000 {
            assert!(timer.reset(LATE));
            assert_eq!(debug::stats().timers, 1);
        }
        assert_eq!(num_goroutine(), goroutines);
        assert!(timer.stop());
        assert_eq!(debug::stats().timers, 0);
    });
}

#[test]
fn zero_calls_at_once_and_too_long_never() {
    check(|| {
        let calls = Calls::default();
        let timer = calls.timer(Duration::MAX);
        yield_now();
        assert!(timer.reset(Duration::MAX));
        assert!(timer.stop());
        assert!(!timer.reset(Duration::MAX));
        assert!(timer.reset(Duration::ZERO));
        until(|| calls.count() == 1);
        assert!(!timer.reset(Duration::MAX) && timer.stop());
        assert_eq!(calls.count(), 1);
    });
}

#[test]
fn stop_and_reset_do_not_wait_for_a_running_call() {
    check(|| {
        let ((began, begun), (end, ended)) = (unbounded(), bounded::<()>(0));
        let timer = FuncTimer::new(Duration::ZERO, move || {
            began.send(greenthread::current().unwrap().id()).unwrap();
            ended.recv().unwrap_err();
        });
        let first = begun.recv().unwrap();
        assert!(!timer.stop(), "the call is running");
        assert!(!timer.reset(Duration::ZERO), "the call is running");
        let second = begun.recv().unwrap();
        assert!(first != second && first != greenthread::current().unwrap().id());
        assert_eq!(num_goroutine(), 3, "both calls are running");
        drop(end);
    });
}

#[test]
fn the_closure_is_dropped_with_its_timer_or_its_last_call() {
    check(|| {
        let census = Census::default();
        let timer = |duration| {
            let (value, (tx, rx)) = (census.value(), bounded(0));
            let timer = FuncTimer::new(duration, move || {
                let _ = &value;
                tx.send(()).unwrap();
            });
            (timer, rx)
        };
        let (stopped, _rx) = timer(LATE);
        assert!(stopped.stop());
        assert_eq!(census.alive(), 1, "the timer keeps its closure, since it may be reset");
        drop(stopped);
        assert_eq!(census.alive(), 0);

        let (dropped, rx) = timer(SOON);
        drop(dropped);
        assert_eq!(census.alive(), 1, "the call is still to come");
        rx.recv().unwrap();
        until(|| census.alive() == 0);

        let (called, rx) = timer(Duration::ZERO);
        rx.recv().unwrap();
        drop(called);
        until(|| census.alive() == 0);
    });
}

#[test]
fn a_closure_may_reset_its_own_timer() {
    check(|| {
        let (tx, rx) = unbounded();
        let timer = Arc::new_cyclic(|this: &Weak<FuncTimer>| {
            let this = this.clone();
            // The first call must find the finished timer.
            FuncTimer::new(LATE, move || {
                tx.send(()).unwrap();
                if let Some(timer) = this.upgrade() {
                    timer.reset(Duration::from_micros(50));
                }
            })
        });
        assert!(timer.reset(Duration::ZERO));
        assert_eq!(rx.iter().take(50).count(), 50);
        drop(timer);
        // A pending call finds its timer gone, and the sender is dropped with the closure.
        rx.iter().for_each(drop);
    });
}

#[test]
fn a_panic_ends_only_its_call() {
    check(|| {
        let (tx, rx) = unbounded();
        let timer = Arc::new_cyclic(|this: &Weak<FuncTimer>| {
            let this = this.clone();
            FuncTimer::new(LATE, move || {
                let (tx, this) = (tx.clone(), this.clone());
                // The payload is dropped with the call that it ended, by the caller that sets the
                // next call, and may come back here.
                panic::resume_unwind(Box::new(OnDrop::new(move || {
                    let stopped = this.upgrade().map(|timer| timer.stop());
                    tx.send(stopped).unwrap();
                })));
            })
        });
        timer.reset(Duration::ZERO);
        until(|| debug::stats().timers == 0 && num_goroutine() == 1);
        assert!(!timer.reset(LATE), "the call was made");
        assert_eq!(rx.recv(), Ok(Some(true)));
        assert!(!timer.reset(Duration::ZERO), "the drop of the payload has stopped the timer");
        until(|| debug::stats().timers == 0 && num_goroutine() == 1);
        drop(timer);
        assert_eq!(rx.recv(), Ok(None), "the timer no longer existed");
    });
}

#[test]
fn it_works_in_a_destructor_while_unwinding() {
    check(|| {
        let calls = Calls::default();
        let timer = calls.timer(LATE);
        let handle = spawn(move || {
            let _guard = OnDrop::new(move || {
                assert!(thread::panicking());
                assert!(timer.reset(LATE) && timer.stop() && !timer.reset(Duration::ZERO));
            });
            panic::resume_unwind(Box::new("unwind"));
        });
        assert!(handle.join().is_err());
        until(|| calls.count() == 1);
    });
}

/// Each scheduled call is either made, or a caller is told that it was not.
#[test]
fn storm_of_resets_and_stops() {
    const TURNS: usize = 60;

    storm(|random| {
        let calls = Calls::default();
        let timer = Arc::new(calls.timer(Duration::from_micros(random.below(50))));
        let work = |mut random: Rng| {
            let timer = Arc::clone(&timer);
            move || {
                // The number of scheduled calls, and of those that were stopped or replaced.
                let (mut set, mut back) = (0, 0);
                for _ in 0..TURNS {
                    let was_to_come = if random.one_in(3) {
                        timer.stop()
                    } else {
                        set += 1;
                        timer.reset(Duration::from_micros(random.below(40)))
                    };
                    back += usize::from(was_to_come);
                    if random.one_in(8) {
                        time::sleep(Duration::from_micros(random.below(40)));
                    }
                }
                (set, back)
            }
        };
        let thread = thread::spawn(work(random.fork()));
        let goroutines: Vec<_> = (0..3).map(|_| spawn(work(random.fork()))).collect();
        let mut results: Vec<_> = goroutines.into_iter().map(|handle| handle.join().unwrap()).collect();
        results.push(greenthread::blocking(|| thread.join()).unwrap());
        let set = 1 + results.iter().map(|(set, _)| set).sum::<usize>();
        let back = results.iter().map(|(_, back)| back).sum::<usize>() + usize::from(timer.stop());
        until(|| calls.count() + back >= set);
        until(|| num_goroutine() == 1);
        assert_eq!(calls.count() + back, set);
    });
}
