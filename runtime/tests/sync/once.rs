//! `sync::Once`, `OnceLock` and `LazyLock` from the outside: one caller runs the function, the
//! others wait; and the effect of a panic.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::drops::{Census, OnDrop};
use crate::common::{check, check_from_thread, parked, storm, text, until};
use greenthread::sync::{LazyLock, Once, OnceLock};
use greenthread::{exit_goroutine, scope, spawn, time, yield_now};

const WAIT: &str = "sync.Once.Do";

/// Returns the text that `f` panics with.
fn panic_text(f: impl FnOnce()) -> String {
    text(&*panic::catch_unwind(AssertUnwindSafe(f)).expect_err("no panic")).to_owned()
}

#[test]
fn one_caller_runs_and_all_see_its_effects() {
    check(|| {
        for _ in 0..50 {
            // Relaxed on purpose: the `Once` makes the store visible.
            let (once, runs) = (Once::new(), AtomicUsize::new(0));
            let work = || {
                once.call_once(|| {
                    yield_now();
                    runs.store(runs.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                });
                assert_eq!(runs.load(Ordering::Relaxed), 1);
                assert!(once.is_completed());
            };
            thread::scope(|threads| {
                threads.spawn(work);
                scope(|s| (0..10).for_each(|_| drop(s.spawn(work))));
            });
        }
    });
}

#[test]
fn other_callers_wait_while_it_runs() {
    check(|| {
        let (once, begun, open) = (Once::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        scope(|s| {
            s.spawn(|| {
                once.call_once(|| {
                    begun.store(1, Ordering::Release);
                    until(|| open.load(Ordering::Acquire) == 1);
                });
            });
            until(|| begun.load(Ordering::Acquire) == 1);
            let others: Vec<_> = (0..5).map(|_| s.spawn(|| once.wait())).collect();
            s.spawn(|| once.call_once(|| unreachable!()));
            until(|| parked(WAIT) == 6);
            assert!(!once.is_completed() && others.iter().all(|other| !other.is_finished()));
            open.store(1, Ordering::Release);
        });
        assert_eq!(format!("{once:?}"), "Once { completed: true }");
    });
}

#[test]
fn a_panic_poisons_until_call_once_force() {
    check(|| {
        let once = Once::new();
        assert_eq!(panic_text(|| once.call_once(|| panic!("expected"))), "expected");
        let poisoned = "sync: Once is poisoned: its function panicked; use call_once_force to try again";
        assert_eq!(panic_text(|| once.call_once(|| unreachable!())), poisoned);
        assert_eq!(panic_text(|| once.wait()), poisoned);
        scope(|s| {
            let waiter = s.spawn(|| once.wait_force());
            until(|| parked(WAIT) == 1);
            assert_eq!(panic_text(|| once.call_once_force(|_| panic!("again"))), "again");
            until(|| parked(WAIT) == 1);
            assert!(!waiter.is_finished());
            once.call_once_force(|state| assert!(state.is_poisoned()));
        });
        once.call_once(|| unreachable!());
        once.call_once_force(|_| unreachable!());
        Once::new().call_once_force(|state| assert!(!state.is_poisoned()));
    });
}

#[test]
fn waiters_learn_of_the_panic() {
    check(|| {
        let (once, open) = (Arc::new(Once::new()), Arc::new(AtomicUsize::new(0)));
        let runner = {
            let (once, open) = (Arc::clone(&once), Arc::clone(&open));
            spawn(move || {
                once.call_once(|| {
                    until(|| open.load(Ordering::Acquire) == 1);
                    exit_goroutine()
                });
            })
        };
        let waiters: Vec<_> = (0..4)
            .map(|n| {
                let once = Arc::clone(&once);
                spawn(move || if n % 2 == 0 { once.wait() } else { once.wait_force() })
            })
            .collect();
        until(|| parked(WAIT) == 4);
        open.store(1, Ordering::Release);
        assert!(runner.join().is_err());
        // The even waiters read the state when they run again, and it must still be poisoned.
        let (told, content): (Vec<_>, Vec<_>) = waiters.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
        told.into_iter().for_each(|(_, waiter)| assert!(waiter.join().is_err()));
        once.call_once_force(|state| assert!(state.is_poisoned()));
        content.into_iter().for_each(|(_, waiter)| waiter.join().unwrap());
    });
}

#[test]
fn once_lock_behaves_like_std() {
    let mut place = OnceLock::new();
    assert!(place.get().is_none() && place.get_mut().is_none() && place.take().is_none());
    assert_eq!(format!("{place:?}"), "OnceLock(<uninit>)");
    assert_eq!(place.set(1), Ok(()));
    assert_eq!(place.set(2), Err(2));
    assert_eq!((place.get(), *place.wait(), place.get_or_init(|| 3)), (Some(&1), 1, &1));
    *place.get_mut().unwrap() += 1;
    assert_eq!(format!("{place:?}"), "OnceLock(2)");
    assert!(place.clone() == place && place == OnceLock::from(2) && place != OnceLock::default());
    assert_eq!(OnceLock::<u8>::new().clone(), OnceLock::new());
    assert_eq!(place.take(), Some(2));
    assert_eq!(place.get(), None);
    assert_eq!(*place.get_or_init(|| 4), 4);
    assert_eq!(place.into_inner(), Some(4));
}

#[test]
fn values_are_dropped_once() {
    let census = Census::default();
    drop(OnceLock::from(census.value()));
    let place = OnceLock::new();
    assert!(place.set(census.value()).is_ok() && place.set(census.value()).is_err());
    assert_eq!(census.alive(), 1);
    drop(place.into_inner());
    let (value, lazy) = (census.value(), LazyLock::new(|| census.value()));
    LazyLock::force(&lazy);
    assert_eq!(census.alive(), 2);
    drop((value, lazy));
    assert_eq!((census.made(), census.dropped()), (5, 5));
}

#[test]
fn once_lock_tries_again_after_a_panic() {
    check(|| {
        let place: OnceLock<String> = OnceLock::new();
        assert_eq!(panic_text(|| drop(place.get_or_init(|| panic!("expected")).clone())), "expected");
        assert_eq!(place.get(), None);
        scope(|s| {
            let waiter = s.spawn(|| place.wait().clone());
            until(|| parked(WAIT) == 1);
            assert_eq!(place.get_or_init(|| "value".to_owned()), "value");
            assert_eq!(waiter.join().unwrap(), "value");
        });
    });
}

#[test]
fn lazy_lock_behaves_like_std() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static LAZY: LazyLock<usize> = LazyLock::new(|| RUNS.fetch_add(1, Ordering::Relaxed) + 41);

    assert_eq!(format!("{LAZY:?}"), "LazyLock(<uninit>)");
    check_from_thread(|| {
        thread::scope(|s| (0..3).for_each(|_| drop(s.spawn(|| assert_eq!(*LAZY, 41)))));
        (0..3).map(|_| spawn(|| *LAZY)).for_each(|one| assert_eq!(one.join().unwrap(), 41));
        assert_eq!((RUNS.load(Ordering::Relaxed), format!("{LAZY:?}")), (1, "LazyLock(41)".to_owned()));
    });
}

#[test]
fn a_lazy_lock_needs_no_function_that_is_sync() {
    assert_eq!(*LazyLock::<u8>::default(), 0);
    // Computed on a thread other than the one that made it: its function is `Send` and not `Sync`.
    let cell = Cell::new(3);
    let lazy = LazyLock::new(move || cell.get());
    thread::scope(|s| drop(s.spawn(|| assert_eq!(*lazy, 3))));
}

#[test]
fn lazy_lock_stays_poisoned() {
    check(|| {
        let lazy: LazyLock<u8> = LazyLock::new(|| panic!("expected"));
        assert_eq!(panic_text(|| _ = *lazy), "expected");
        (0..2).for_each(|_| {
            assert_eq!(panic_text(|| _ = *lazy), "sync: LazyLock is poisoned: its function panicked");
        });
    });
}

#[test]
fn they_work_in_destructors_while_unwinding() {
    check(|| {
        let (place, open) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let all: Vec<_> = (0..3)
            .map(|_| {
                let (place, open) = (Arc::clone(&place), Arc::clone(&open));
                spawn(move || {
                    let _on_drop = OnDrop::new(|| {
                        place.get_or_init(|| until(|| open.load(Ordering::Acquire) == 1));
                        assert!(thread::panicking());
                    });
                    panic!("expected");
                })
            })
            .collect();
        until(|| parked(WAIT) == 2);
        open.store(1, Ordering::Release);
        all.into_iter().for_each(|one| assert_eq!(text(&*one.join().unwrap_err()), "expected"));
        assert!(place.get().is_some());
    });
}

#[test]
fn stress_with_panics() {
    storm(|random| {
        let (place, failures) = (OnceLock::new(), AtomicUsize::new(random.below(4) as usize));
        let (place, failures) = (&place, &failures);
        let work = |nap: u64| {
            move || loop {
                let got = panic::catch_unwind(AssertUnwindSafe(|| {
                    *place.get_or_init(|| {
                        time::sleep(Duration::from_micros(nap));
                        let left = failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
                        if left.is_ok() {
                            // Not reported by the panic hook.
                            panic::resume_unwind(Box::new("expected"));
                        }
                        7
                    })
                }));
                if let Ok(value) = got {
                    return assert_eq!(value, 7);
                }
            }
        };
        thread::scope(|threads| {
            threads.spawn(work(random.below(30)));
            scope(|s| (0..8).for_each(|_| drop(s.spawn(work(random.below(30))))));
        });
    });
}

#[test]
fn a_once_lock_may_be_declared_before_the_data_it_borrows() {
    // Like `std`'s: with a `Drop` impl of its own this would not compile.
    let (place, texts) = (OnceLock::new(), OnceLock::new());
    let text = String::from("borrowed");
    place.set(&text).unwrap();
    texts.get_or_init(|| vec![&*text]);
    assert_eq!((place.get(), texts.into_inner()), (Some(&&text), Some(vec!["borrowed"])));
}
