//! `sync::errgroup` from the outside.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{check, check_from_thread, storm, text};
use greenthread::ctx::Context;
use greenthread::sync::errgroup::Group;
use greenthread::{channel, exit_goroutine, select, yield_now};

#[test]
fn nobody_fails() {
    check(|| {
        let (group, done) = (Group::<String>::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            group.go(move || {
                yield_now();
                done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
        }
        assert_eq!(group.wait(), Ok(()));
        assert_eq!(done.load(Ordering::Relaxed), 100);
    });
}

#[test]
fn the_first_error_is_reported_once() {
    check(|| {
        let group = Group::<usize>::new();
        let (go_on, gate) = channel::bounded::<()>(0);
        group.go(|| Err(1));
        group.go(move || {
            assert!(gate.recv().is_err());
            Err(2)
        });
        // The first has failed when it has ended: it is the only one that is not waiting.
        while format!("{group:?}").contains("counter: 2") {
            yield_now();
        }
        drop(go_on);
        assert_eq!(group.wait(), Err(1));
        assert_eq!(group.wait(), Ok(()), "the group can be used again");
        group.go(|| Err(3));
        assert_eq!(group.wait(), Err(3));
    });
}

#[test]
fn an_error_cancels_the_others() {
    check(|| {
        let (group, ctx) = Group::<String>::with_context(&Context::background());
        for n in 0..20 {
            let ctx = ctx.clone();
            group.go(move || {
                if n == 7 {
                    return Err("seven".to_owned());
                }
                assert!(ctx.done().recv().is_err());
                Ok(())
            });
        }
        assert_eq!(group.wait(), Err("seven".to_owned()));
        assert_eq!(ctx.cause().unwrap().to_string(), "seven");
    });
}

#[test]
fn wait_ends_the_context() {
    check(|| {
        let (group, ctx) = Group::<String>::with_context(&Context::background());
        group.go(|| Ok(()));
        assert_eq!(group.wait(), Ok(()));
        assert!(ctx.err().is_some());
    });
}

#[test]
fn a_panic_is_handed_to_wait() {
    check(|| {
        let group = Group::<String>::new();
        group.go(|| panic!("expected"));
        let payload = panic::catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
        assert_eq!(text(&*payload), "expected");
        group.go(|| exit_goroutine());
        assert_eq!(group.wait(), Ok(()), "that is no failure");
    });
}

#[test]
fn the_limit_is_kept() {
    storm(|rng| {
        let limit = 1 + rng.below(4) as usize;
        let (group, working, most) =
            (Group::<String>::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        group.set_limit(Some(limit));
        let mut started = 0;
        for _ in 0..30 {
            let (working, most) = (Arc::clone(&working), Arc::clone(&most));
            let work = move || {
                most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                yield_now();
                working.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            if rng.one_in(3) {
                started += usize::from(group.try_go(work));
            } else {
                group.go(work);
                started += 1;
            }
        }
        assert_eq!(group.wait(), Ok(()));
        assert!((1..=limit).contains(&most.load(Ordering::SeqCst)) && started >= 1);
        group.set_limit(None);
    });
}

#[test]
fn a_limit_of_zero_lets_nobody_start() {
    check(|| {
        let group = Group::<String>::new();
        group.set_limit(Some(0));
        assert!(!group.try_go(|| unreachable!()));
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn the_limit_may_not_change_while_somebody_works() {
    check(|| {
        let group = Group::<String>::new();
        group.set_limit(Some(2));
        let (go_on, gate) = channel::bounded::<()>(0);
        group.go(move || {
            assert!(gate.recv().is_err());
            Ok(())
        });
        let payload = panic::catch_unwind(AssertUnwindSafe(|| group.set_limit(None))).unwrap_err();
        assert_eq!(text(&*payload), "errgroup: modify limit while 1 goroutines in the group are still active");
        drop(go_on);
        group.wait().unwrap();
    });
}

#[test]
fn threads_use_it_too() {
    check_from_thread(|| {
        let (group, ctx) = Group::<String>::with_context(&Context::background());
        group.set_limit(Some(1));
        let other = {
            let group = group.clone();
            thread::spawn(move || group.go(|| Ok(())))
        };
        group.go(move || {
            select! {
                recv(ctx.done()) -> _ => unreachable!("nobody fails"),
                default => Ok(()),
            }
        });
        other.join().unwrap();
        assert_eq!(group.wait(), Ok(()));
    });
}
