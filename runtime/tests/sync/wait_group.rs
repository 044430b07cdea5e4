//! `sync::WaitGroup` from the outside.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common::watchdog;
use crate::common::{check, check_from_thread, parked, storm, until};
use greenthread::ctx::{Context, Error};
use greenthread::sync::WaitGroup;
use greenthread::{go, scope, yield_now};

/// Returns the text that `f` panics with.
fn panic_text(f: impl FnOnce()) -> String {
    let payload = panic::catch_unwind(AssertUnwindSafe(f)).expect_err("no panic");
    payload.downcast_ref::<&str>().map(|text| text.to_string()).expect("the text is a literal")
}

#[test]
fn an_empty_group_does_not_block() {
    let _watchdog = watchdog("an_empty_group_does_not_block");
    let wg = WaitGroup::new();
    wg.wait();
    wg.add(0);
    wg.wait();
    WaitGroup::default().wait();
}

#[test]
fn wait_makes_the_work_visible() {
    let _watchdog = watchdog("wait_makes_the_work_visible");
    for _ in 0..200 {
        let wg = WaitGroup::new();
        // Relaxed on purpose: the group makes the stores visible.
        let finished = Arc::new(AtomicUsize::new(0));
        wg.add(4);
        for _ in 0..4 {
            let (wg, finished) = (wg.clone(), Arc::clone(&finished));
            thread::spawn(move || {
                finished.fetch_add(1, Ordering::Relaxed);
                wg.done();
            });
        }
        wg.wait();
        assert_eq!(finished.load(Ordering::Relaxed), 4);
    }
}

#[test]
fn wakes_every_waiter() {
    let _watchdog = watchdog("wakes_every_waiter");
    let wg = WaitGroup::new();
    wg.add(1);
    let awake = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..20 {
            s.spawn(|| {
                wg.wait();
                awake.fetch_add(1, Ordering::Relaxed);
            });
        }
        while !format!("{wg:?}").contains("waiters: 20") {
            thread::yield_now();
        }
        assert_eq!(awake.load(Ordering::Relaxed), 0);
        wg.done();
    });
    assert_eq!(awake.into_inner(), 20);
    assert_eq!(format!("{wg:?}"), "WaitGroup { counter: 0, waiters: 0 }");
}

#[test]
fn waits_until_the_last_one() {
    let _watchdog = watchdog("waits_until_the_last_one");
    let wg = WaitGroup::new();
    wg.add(3);
    let (woken, watch) = mpsc::channel();
    let waiter = {
        let wg = wg.clone();
        thread::spawn(move || {
            wg.wait();
            woken.send(()).unwrap();
        })
    };
    wg.done();
    wg.add(-1);
    assert_eq!(watch.recv_timeout(Duration::from_millis(20)), Err(mpsc::RecvTimeoutError::Timeout));
    wg.done();
    watch.recv().unwrap();
    waiter.join().unwrap();
}

#[test]
fn every_wait_belongs_to_one_set() {
    let _watchdog = watchdog("every_wait_belongs_to_one_set");
    // A new set begins while the last waiters are still leaving. Each must return once per set all
    // the same.
    const SETS: usize = 2_000;
    let wg = WaitGroup::new();
    let opened = AtomicUsize::new(0);
    let ended = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for set in 0..SETS {
                    while opened.load(Ordering::SeqCst) <= set {
                        thread::yield_now();
                    }
                    wg.wait();
                    assert!(ended.load(Ordering::SeqCst) > set, "came back before the end of set {set}");
                }
            });
        }
        for set in 0..SETS {
            wg.add(1);
            opened.store(set + 1, Ordering::SeqCst);
            while !format!("{wg:?}").contains("waiters: 3") {
                thread::yield_now();
            }
            ended.store(set + 1, Ordering::SeqCst);
            wg.done();
        }
    });
}

#[test]
fn go_counts_and_finishes_after_a_panic_too() {
    check_from_thread(|| {
        let wg = WaitGroup::new();
        let finished = Arc::new(AtomicUsize::new(0));
        for n in 0..10 {
            let finished = Arc::clone(&finished);
            wg.go(move || {
                assert_ne!(n, 5, "this panic is part of the test");
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        wg.wait();
        assert_eq!(finished.load(Ordering::Relaxed), 9);
    });
}

#[test]
fn go_finishes_when_the_goroutine_exits_early() {
    check_from_thread(|| {
        let wg = WaitGroup::new();
        wg.go(|| greenthread::exit_goroutine());
        wg.wait();
    });
}

#[test]
fn goroutines_and_threads_wait_together() {
    check(|| {
        let (work, waiters) = (WaitGroup::new(), WaitGroup::new());
        let finished = Arc::new(AtomicUsize::new(0));
        let seen = {
            let (work, finished) = (work.clone(), Arc::clone(&finished));
            move || {
                work.wait();
                assert_eq!(finished.load(Ordering::Relaxed), 1_000);
            }
        };
        work.add(1_000);
        (0..10).for_each(|_| waiters.go(seen.clone()));
        let threads: Vec<_> = (0..3).map(|_| thread::spawn(seen.clone())).collect();
        for n in 0..1_000 {
            let (work, finished) = (work.clone(), Arc::clone(&finished));
            greenthread::go!(move || {
                if n % 3 == 0 {
                    yield_now();
                }
                finished.fetch_add(1, Ordering::Relaxed);
                work.done();
            });
        }
        seen();
        waiters.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn misuse_panics_and_changes_nothing() {
    let wg = WaitGroup::new();
    assert_eq!(panic_text(|| wg.done()), "sync: negative WaitGroup counter");
    wg.add(2);
    assert_eq!(panic_text(|| wg.add(-3)), "sync: negative WaitGroup counter");
    assert_eq!(panic_text(|| wg.add(isize::MIN)), "sync: negative WaitGroup counter");
    assert_eq!(panic_text(|| wg.add(i32::MAX as isize)), "sync: WaitGroup counter overflow");
    assert_eq!(panic_text(|| wg.add(isize::MAX)), "sync: WaitGroup counter overflow");
    assert_eq!(format!("{wg:?}"), "WaitGroup { counter: 2, waiters: 0 }");
}

#[test]
fn stress_with_late_waiters() {
    let _watchdog = watchdog("stress_with_late_waiters");
    for _ in 0..2_000 {
        let wg = WaitGroup::new();
        wg.add(2);
        thread::scope(|s| {
            s.spawn(|| wg.done());
            s.spawn(|| wg.wait());
            wg.done();
            wg.wait();
        });
    }
}

#[test]
fn a_wait_ends_with_its_context() {
    check(|| {
        let (wg, (ctx, cancel)) = (WaitGroup::new(), Context::background().with_cancel());
        assert_eq!(wg.wait_ctx(&ctx), Ok(()));
        wg.add(1);
        scope(|s| {
            let patient = s.spawn(|| wg.wait_ctx(&Context::background()));
            let other = s.spawn(|| wg.wait_ctx(&ctx));
            until(|| parked("sync.WaitGroup.Wait") == 2);
            cancel.cancel();
            assert_eq!(other.join().unwrap(), Err(Error::Canceled));
            assert_eq!(format!("{wg:?}"), "WaitGroup { counter: 1, waiters: 1 }");
            assert_eq!(wg.wait_ctx(&ctx), Err(Error::Canceled));
            wg.done();
            assert_eq!(patient.join().unwrap(), Ok(()));
            assert_eq!(wg.wait_ctx(&ctx), Err(Error::Canceled), "the ended context wins");
        });
        assert_eq!(format!("{wg:?}"), "WaitGroup { counter: 0, waiters: 0 }");
    });
}

#[test]
fn a_wait_of_a_thread_ends_with_its_context() {
    check_from_thread(|| {
        let wg = WaitGroup::new();
        wg.add(1);
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(2));
        assert_eq!(wg.wait_ctx(&ctx), Err(Error::DeadlineExceeded));
        let other = wg.clone();
        go!(move || other.done());
        assert_eq!(wg.wait_ctx(&Context::background()), Ok(()));
    });
}

#[test]
fn storm_of_canceled_waits() {
    storm(|random| {
        let (wg, waits) = (WaitGroup::new(), WaitGroup::new());
        let (ctx, cancel) = Context::background().with_cancel();
        let finished = Arc::new(AtomicUsize::new(0));
        let workers = random.below(6) as usize;
        for _ in 0..workers {
            let (finished, mut random) = (Arc::clone(&finished), random.fork());
            wg.go(move || {
                (0..random.below(10)).for_each(|_| yield_now());
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        for n in 0..4 {
            let (wg, ctx, finished) = (wg.clone(), ctx.clone(), Arc::clone(&finished));
            waits.go(move || {
                let result = if n == 0 { wg.wait_ctx(&Context::background()) } else { wg.wait_ctx(&ctx) };
                assert!(n > 0 || result.is_ok());
                assert!(
                    result.is_err() || finished.load(Ordering::Relaxed) == workers,
                    "the wait ended before all workers had"
                );
            });
        }
        (0..random.below(20)).for_each(|_| yield_now());
        cancel.cancel();
        waits.wait();
        assert_eq!(format!("{wg:?}"), "WaitGroup { counter: 0, waiters: 0 }");
    });
}
