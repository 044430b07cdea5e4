//! `time::after_func`.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::{Census, OnDrop};
use crate::common::{check, check_from_thread, check_on, storm, until};
use greenthread::time::{self, AfterFunc};
use greenthread::{debug, num_goroutine, spawn, yield_now};

const LATE: Duration = Duration::from_secs(3600);

/// Counts calls.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn after(&self, duration: Duration) -> AfterFunc {
        let calls = self.clone();
        time::after_func(duration, move || {
            calls.0.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn calls_once_and_not_early() {
    let (calls, begin) = (Calls::default(), Instant::now());
    let duration = Duration::from_millis(3);
    let call = calls.after(duration);
    until(|| calls.count() > 0);
    assert!(begin.elapsed() >= duration);
    assert!(!call.stop(), "the call was made");
    time::sleep(duration * 2);
    assert_eq!(calls.count(), 1);
}

#[test]
fn calls_once() {
    check(calls_once_and_not_early);
    check_from_thread(calls_once_and_not_early);
}

#[test]
fn calls_in_a_goroutine_of_its_own() {
    check(|| {
        let (tx, rx) = greenthread::channel::bounded(2);
        for _ in 0..2 {
            let tx = tx.clone();
            time::after_func(Duration::ZERO, move || tx.send(greenthread::current().unwrap().id()).unwrap());
        }
        let here = greenthread::current().unwrap().id();
        let (one, two) = (rx.recv().unwrap(), rx.recv().unwrap());
        assert!(one != two && one != here && two != here);
    });
}

#[test]
fn a_pending_call_is_not_a_goroutine() {
    check(|| {
        let before = num_goroutine();
        let calls: Vec<_> = (0..1000).map(|_| time::after_func(LATE, || unreachable!())).collect();
        assert_eq!(num_goroutine(), before);
        assert_eq!(debug::stats().timers, 1000);
        assert!(calls.iter().all(AfterFunc::stop));
        assert_eq!(debug::stats().timers, 0);
    });
}

#[test]
fn a_running_call_is_a_goroutine() {
    check(|| {
        let (tx, rx) = greenthread::channel::bounded(1);
        time::after_func(Duration::ZERO, move || tx.send(num_goroutine()).unwrap());
        assert_eq!(rx.recv(), Ok(2), "this goroutine and the one of the call");
        until(|| num_goroutine() == 1);
    });
}

#[test]
fn stop_drops_the_closure() {
    check(|| {
        let census = Census::default();
        let value = census.value();
        let call = time::after_func(LATE, move || drop(value));
        assert_eq!(census.alive(), 1);
        assert!(call.stop());
        assert_eq!(census.alive(), 0);
        assert!(!call.stop(), "the call was stopped before");
        drop(call);
    });
}

#[test]
fn dropping_the_handle_does_not_stop_the_call() {
    check(|| {
        let calls = Calls::default();
        drop(calls.after(Duration::from_millis(2)));
        until(|| calls.count() == 1);
    });
}

#[test]
fn a_duration_too_long_for_the_clock_never_ends() {
    check(|| {
        let call = time::after_func(Duration::MAX, || unreachable!());
        yield_now();
        assert!(call.stop());
    });
}

#[test]
fn a_panic_ends_only_its_goroutine() {
    check(|| {
        let ended = Calls::default();
        let end = ended.clone();
        time::after_func(Duration::ZERO, move || {
            let _end = OnDrop::new(move || _ = end.0.fetch_add(1, Ordering::Relaxed));
            panic::resume_unwind(Box::new("a panic without a report"));
        });
        until(|| ended.count() == 1);
        // So does a panic in the destructor of a stopped closure.
        let bomb = OnDrop::new(|| panic::resume_unwind(Box::new("another")));
        assert!(time::after_func(LATE, move || drop(bomb)).stop());
    });
}

#[test]
fn it_works_in_a_destructor_while_unwinding() {
    check(|| {
        let calls = Calls::default();
        let in_drop = calls.clone();
        let handle = spawn(move || {
            let _guard = OnDrop::new(move || {
                in_drop.after(Duration::ZERO);
                assert!(in_drop.after(LATE).stop());
            });
            panic::resume_unwind(Box::new("unwind"));
        });
        assert!(handle.join().is_err());
        until(|| calls.count() == 1);
    });
}

/// Large and over-aligned closures have blocks of another kind.
#[test]
fn closures_of_any_size() {
    #[repr(align(256))]
    struct Aligned([u8; 3000]);

    check(|| {
        let (tx, rx) = greenthread::channel::bounded(0);
        let large = Aligned([7; 3000]);
        time::after_func(Duration::from_millis(1), move || {
            assert!(large.0.iter().all(|&byte| byte == 7) && (&raw const large).addr().is_multiple_of(256));
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        let unused = Aligned([1; 3000]);
        assert!(time::after_func(LATE, move || assert!(unused.0.is_empty())).stop());
    });
}

/// All goroutines stop all calls around the time at which they are due: one `stop` wins, or the
/// call is made.
#[test]
fn stop_wins_or_loses() {
    storm(|random| {
        let (calls, census) = (Calls::default(), Census::default());
        let all: Arc<Vec<AfterFunc>> = Arc::new(
            (0..50)
                .map(|_| {
                    let (calls, value) = (calls.clone(), census.value());
                    time::after_func(Duration::from_micros(random.below(150)), move || {
                        calls.0.fetch_add(1, Ordering::Relaxed);
                        drop(value);
                    })
                })
                .collect(),
        );
        let stoppers: Vec<_> = (0..3)
            .map(|_| {
                let (all, mut random) = (Arc::clone(&all), random.fork());
                spawn(move || {
                    let stop = |call: &AfterFunc| {
                        if random.one_in(4) {
                            yield_now();
                        }
                        call.stop()
                    };
                    all.iter().map(stop).filter(|stopped| *stopped).count()
                })
            })
            .collect();
        let stopped: usize = stoppers.into_iter().map(|stopper| stopper.join().unwrap()).sum();
        until(|| census.alive() == 0);
        assert_eq!(calls.count() + stopped, 50);
    });
}

#[test]
fn a_hundred_thousand_calls_are_made() {
    const N: usize = 100_000;

    check(|| {
        let (calls, census) = (Calls::default(), Census::default());
        let mut stopped = 0;
        let all: Vec<_> = (0..N)
            .map(|n| {
                let (calls, value) = (calls.clone(), census.value());
                let call = time::after_func(Duration::from_micros(n as u64 * 7 % 90_000), move || {
                    calls.0.fetch_add(1, Ordering::Relaxed);
                    drop(value);
                });
                (n % 3 != 0).then_some(call)
            })
            .collect();
        stopped += all.into_iter().flatten().step_by(2).filter(AfterFunc::stop).count();
        until(|| census.alive() == 0);
        assert_eq!(calls.count() + stopped, N);
    });
}

#[test]
fn calls_are_made_while_gomaxprocs_changes() {
    check_on(4, || {
        let (calls, late) = (Calls::default(), Calls::default());
        let soon = calls.clone();
        let late_too = late.clone();
        let all = spawn(move || {
            let all: Vec<_> = (0..400).map(|n| soon.after(Duration::from_millis(20 + n % 60))).collect();
            (all, (0..400).map(|_| late_too.after(LATE)).collect::<Vec<_>>())
        });
        let (soon, later) = all.join().unwrap();
        for procs in [1, 3, 1, 4, 2] {
            greenthread::set_gomaxprocs(procs);
            thread::sleep(Duration::from_millis(10));
        }
        until(|| calls.count() == 400);
        assert!(!soon.iter().any(AfterFunc::stop));
        assert!(later.iter().all(AfterFunc::stop), "wherever their timers are by now");
        assert_eq!(late.count(), 0);
    });
}
