//! `sync::Condvar` from the outside: wake-ups are never lost or spurious, and they come in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::OnDrop;
use crate::common::{LIMIT, check, check_from_thread, parked, storm, text, until};
use greenthread::ctx::{Context, Error};
use greenthread::sync::{Condvar, Mutex, WaitGroup};
use greenthread::{go, scope, spawn};

const WAIT: &str = "sync.Cond.Wait";

#[test]
fn a_wait_unlocks_and_locks_again() {
    check(|| {
        let (mutex, condvar) = (Mutex::new(0), Condvar::new());
        scope(|s| {
            let waiter = s.spawn(|| {
                let mut guard = mutex.lock();
                condvar.wait(&mut guard);
                assert!(mutex.try_lock().is_none());
                *guard
            });
            until(|| parked(WAIT) == 1);
            *mutex.lock() = 1;
            assert!(condvar.notify_one());
            assert_eq!(waiter.join().unwrap(), 1);
        });
        assert!(!condvar.notify_one() && condvar.notify_all() == 0, "no waiter is left");
    });
}

#[test]
fn notify_one_wakes_one_waiter_in_order() {
    check(|| {
        let (order, condvar) = (Mutex::new(Vec::new()), Condvar::new());
        let (order, condvar) = (&order, &condvar);
        scope(|s| {
            for n in 0..10 {
                s.spawn(move || {
                    let mut order = order.lock();
                    condvar.wait(&mut order);
                    order.push(n);
                });
                until(|| parked(WAIT) == n + 1);
            }
            for n in 0..5 {
                assert!(condvar.notify_one());
                until(|| order.lock().len() == n + 1);
                assert_eq!(parked(WAIT), 9 - n, "each notification wakes one waiter");
            }
            assert_eq!(condvar.notify_all(), 5);
        });
        let order = order.lock();
        assert_eq!(order[..5], [0, 1, 2, 3, 4]);
        assert_eq!(order.len(), 10);
    });
}

#[test]
fn notify_all_wakes_every_waiter_once() {
    check(|| {
        // More than one batch of wakers, and all waiters wait again at once.
        const WAITERS: usize = 100;
        let (woken, condvar) = (Mutex::new(0), Condvar::new());
        scope(|s| {
            for _ in 0..WAITERS {
                s.spawn(|| {
                    let mut woken = woken.lock();
                    for _ in 0..3 {
                        condvar.wait(&mut woken);
                        *woken += 1;
                    }
                });
            }
            for round in 1..=3 {
                until(|| parked(WAIT) == WAITERS);
                assert_eq!(condvar.notify_all(), WAITERS);
                until(|| *woken.lock() == round * WAITERS);
            }
        });
    });
}

#[test]
fn a_deadline_ends_a_wait() {
    check(|| {
        let (mutex, condvar) = (Mutex::new(0), Condvar::new());
        let mut guard = mutex.lock();
        let begin = Instant::now();
        assert!(condvar.wait_timeout(&mut guard, Duration::from_millis(2)).timed_out());
        assert!(begin.elapsed() >= Duration::from_millis(2), "the wait ended before its deadline");
        assert!(condvar.wait_deadline(&mut guard, begin).timed_out(), "the deadline has passed");
        assert!(condvar.wait_timeout(&mut guard, Duration::ZERO).timed_out());
        assert!(condvar.wait_timeout_while(&mut guard, Duration::from_millis(1), |n| *n == 0).timed_out());
        assert!(!condvar.wait_timeout_while(&mut guard, Duration::ZERO, |n| *n == 1).timed_out());
        assert!(mutex.try_lock().is_none(), "the mutex is locked again");
        assert!(!condvar.notify_one(), "the queue is empty");
    });
}

#[test]
fn a_notification_ends_a_wait_before_its_deadline() {
    check(|| {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        for timeout in [LIMIT * 2, Duration::MAX] {
            scope(|s| {
                let waiter = s.spawn(|| condvar.wait_timeout(&mut mutex.lock(), timeout));
                until(|| condvar.notify_one());
                assert!(!waiter.join().unwrap().timed_out());
            });
        }
    });
}

/// A queue of permits: each notification lets one through.
struct Permits {
    free: Mutex<usize>,
    condvar: Condvar,
}

impl Permits {
    fn put(&self) {
        *self.free.lock() += 1;
        // Notifying after the unlock is allowed.
        self.condvar.notify_one();
    }

    fn take(&self) {
        let mut free = self.free.lock();
        self.condvar.wait_while(&mut free, |free| *free == 0);
        *free -= 1;
    }
}

#[test]
fn stress_no_wake_up_is_lost() {
    storm(|random| {
        let permits = Arc::new(Permits { free: Mutex::new(0), condvar: Condvar::new() });
        let wg = WaitGroup::new();
        let turns = 50 + random.below(100);
        let mut threads = Vec::new();
        for n in 0..4 {
            let (put, take) = (Arc::clone(&permits), Arc::clone(&permits));
            let put = move || (0..turns).for_each(|_| put.put());
            let take = move || (0..turns).for_each(|_| take.take());
            if n == 0 || random.one_in(4) {
                threads.extend([thread::spawn(put), thread::spawn(take)]);
            } else {
                wg.go(put);
                wg.go(take);
            }
        }
        wg.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*permits.free.lock(), 0);
    });
}

#[test]
fn stress_deadlines_lose_no_notification() {
    storm(|random| {
        // Each `notify_one` that returns `true` ends exactly one wait.
        let shared = Arc::new((Mutex::new(()), Condvar::new(), AtomicUsize::new(0)));
        let wg = WaitGroup::new();
        for n in 0..6 {
            let (shared, mut random) = (Arc::clone(&shared), random.fork());
            let mut wait = move || {
                for _ in 0..40 {
                    let timeout = Duration::from_micros(random.below(150));
                    if !shared.1.wait_timeout(&mut shared.0.lock(), timeout).timed_out() {
                        shared.2.fetch_add(1, Ordering::Relaxed);
                    }
                }
            };
            if n == 0 {
                let wg = wg.clone();
                wg.add(1);
                thread::spawn(move || {
                    wait();
                    wg.done();
                });
            } else {
                wg.go(wait);
            }
        }
        let finished = Arc::new(AtomicUsize::new(0));
        {
            let (wg, finished) = (wg.clone(), Arc::clone(&finished));
            go!(move || {
                wg.wait();
                finished.store(1, Ordering::Release);
            });
        }
        let mut woken = 0;
        until(|| {
            woken += if random.one_in(3) { shared.1.notify_all() } else { usize::from(shared.1.notify_one()) };
            finished.load(Ordering::Acquire) == 1
        });
        assert_eq!(shared.2.load(Ordering::Relaxed), woken);
    });
}

#[test]
fn wait_works_in_destructors_while_unwinding() {
    check(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let all: Vec<_> = (0..4)
            .map(|n| {
                let shared = Arc::clone(&shared);
                spawn(move || {
                    let _on_drop = OnDrop::new(|| {
                        let mut open = shared.0.lock();
                        if n % 2 == 0 {
                            shared.1.wait_while(&mut open, |open| !*open);
                        } else {
                            assert!(!shared.1.wait_timeout_while(&mut open, LIMIT, |open| !*open).timed_out());
                        }
                        assert!(thread::panicking());
                    });
                    panic!("expected");
                })
            })
            .collect();
        until(|| parked(WAIT) == 4);
        *shared.0.lock() = true;
        assert_eq!(shared.1.notify_all(), 4);
        all.into_iter().for_each(|one| assert_eq!(text(&*one.join().unwrap_err()), "expected"));
    });
}

#[test]
fn threads_wait_and_notify_too() {
    check_from_thread(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let other = Arc::clone(&shared);
        let echo = spawn(move || {
            for n in 0..100 {
                let mut turn = other.0.lock();
                other.1.wait_while(&mut turn, |turn| *turn != 2 * n + 1);
                *turn += 1;
                other.1.notify_one();
            }
        });
        for n in 0..100 {
            let mut turn = shared.0.lock();
            *turn += 1;
            shared.1.notify_one();
            shared.1.wait_while(&mut turn, |turn| *turn != 2 * n + 2);
        }
        echo.join().unwrap();
        assert!(shared.1.wait_timeout(&mut shared.0.lock(), Duration::from_millis(1)).timed_out());
    });
}

#[test]
fn one_condvar_with_several_mutexes() {
    check(|| {
        let (a, b, condvar) = (Mutex::new(()), Mutex::new(()), Condvar::new());
        scope(|s| {
            s.spawn(|| condvar.wait(&mut a.lock()));
            s.spawn(|| condvar.wait(&mut b.lock()));
            until(|| parked(WAIT) == 2);
            assert_eq!(condvar.notify_all(), 2);
        });
        assert_eq!(format!("{condvar:?}"), "Condvar { .. }");
    });
}

#[test]
fn a_wait_ends_with_its_context() {
    check(|| {
        let (mutex, condvar) = (Mutex::new(0), Condvar::new());
        let (ctx, cancel) = Context::background().with_cancel();
        scope(|s| {
            let (mutex, condvar, ctx) = (&mutex, &condvar, &ctx);
            let wait = |n: u32| {
                let waiter = s.spawn(move || {
                    let mut guard = mutex.lock();
                    let ctx = if n == 1 { ctx.clone() } else { Context::background() };
                    let result = condvar.wait_ctx(&ctx, &mut guard);
                    assert!(mutex.try_lock().is_none(), "the mutex is locked again");
                    result
                });
                until(|| parked(WAIT) == n as usize + 1);
                waiter
            };
            let waiters = [wait(0), wait(1), wait(2)];
            cancel.cancel();
            until(|| parked(WAIT) == 2);
            // The waiter that has left takes no notification.
            assert!(condvar.notify_one() && condvar.notify_one() && !condvar.notify_one());
            let results = waiters.map(|waiter| waiter.join().unwrap());
            assert_eq!(results, [Ok(()), Err(Error::Canceled), Ok(())]);
        });
        let mut guard = mutex.lock();
        assert_eq!(condvar.wait_ctx(&ctx, &mut guard), Err(Error::Canceled));
        assert_eq!(condvar.wait_while_ctx(&ctx, &mut guard, |n| *n == 0), Err(Error::Canceled));
        assert_eq!(
            condvar.wait_while_ctx(&ctx, &mut guard, |n| *n != 0),
            Err(Error::Canceled),
            "the ended context wins"
        );
        assert_eq!(
            condvar.wait_while_ctx(&Context::background(), &mut guard, |n| *n != 0),
            Ok(()),
            "the condition is false, so there is no wait"
        );
    });
}

#[test]
fn a_wait_of_a_thread_ends_with_its_context() {
    check_from_thread(|| {
        let (mutex, condvar) = (Mutex::new(0), Condvar::new());
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(2));
        assert_eq!(condvar.wait_ctx(&ctx, &mut mutex.lock()), Err(Error::DeadlineExceeded));
        thread::scope(|s| {
            s.spawn(|| {
                *mutex.lock() = 1;
                condvar.notify_one();
            });
            let result = condvar.wait_while_ctx(&Context::background(), &mut mutex.lock(), |n| *n == 0);
            assert_eq!(result, Ok(()));
        });
    });
}

/// Checks that the notified waits are as many as notifiers report, and they alone are `Ok`: the
/// end of a context loses no notification.
#[test]
fn storm_of_notifications_and_canceled_waits() {
    storm(|random| {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let (notified, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (all, end) = Context::background().with_cancel();
        let (waiters, wg) = (WaitGroup::new(), WaitGroup::new());
        for _ in 0..4 {
            let (shared, notified, all) = (Arc::clone(&shared), Arc::clone(&notified), all.clone());
            let mut random = random.fork();
            waiters.go(move || {
                let mut guard = shared.0.lock();
                for _ in 0..10 {
                    let (ctx, _cancel) = all.with_timeout(Duration::from_micros(random.below(200)));
                    let ctx = if random.one_in(2) { &ctx } else { &all };
                    let timeout = Duration::from_micros(random.below(200));
                    let ok = match random.below(4) {
                        0 => !shared.1.wait_timeout(&mut guard, timeout).timed_out(),
                        _ => shared.1.wait_ctx(ctx, &mut guard).is_ok(),
                    };
                    notified.fetch_add(usize::from(ok), Ordering::Relaxed);
                }
            });
        }
        for _ in 0..2 {
            let (shared, told, mut random) = (Arc::clone(&shared), Arc::clone(&told), random.fork());
            wg.go(move || {
                for _ in 0..20 {
                    let n = match random.below(4) {
                        0 => shared.1.notify_all(),
                        _ => usize::from(shared.1.notify_one()),
                    };
                    told.fetch_add(n, Ordering::Relaxed);
                    greenthread::yield_now();
                }
            });
        }
        wg.wait();
        end.cancel();
        waiters.wait();
        assert_eq!(notified.load(Ordering::Relaxed), told.load(Ordering::Relaxed));
    });
}
