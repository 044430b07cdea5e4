//! `sync::errgroup` from the outside.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::{check, check_from_thread, storm, text};
use greenthread::ctx::Context;
use greenthread::sync::Barrier;
use greenthread::sync::errgroup::Group;
use greenthread::{channel, exit_goroutine, select, yield_now};

#[test]
fn wait_is_ok_without_a_failure() {
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
        // The first has failed when it has ended: it alone does not wait.
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

/// Counts the calls of its `Display`, which panics if it is told to.
struct Mute {
    panics: bool,
    asked: Arc<AtomicUsize>,
}

impl fmt::Display for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asked.fetch_add(1, Ordering::Relaxed);
        yield_now();
        assert!(!self.panics, "this panic is part of the test");
        f.write_str("mute")
    }
}

#[test]
fn an_error_whose_display_panics_is_not_lost() {
    check(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let fail = |group: &Group<Mute>| {
            let asked = Arc::clone(&asked);
            group.go(|| Err(Mute { panics: true, asked }));
            assert!(group.wait().is_err());
        };
        fail(&Group::new());
        assert_eq!(asked.load(Ordering::Relaxed), 0, "the text of the error was not made");
        let (group, ctx) = Group::with_context(&Context::background());
        fail(&group);
        assert_eq!(ctx.cause().unwrap().to_string(), "errgroup: an error whose Display panicked");
    });
}

#[test]
fn the_text_of_an_error_is_made_at_most_once() {
    check(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let mute = || Mute { panics: false, asked: Arc::clone(&asked) };
        let (group, ctx) = Group::with_context(&Context::background());
        let (first, second) = (mute(), mute());
        group.go(move || Err(first));
        assert!(ctx.done().recv().is_err());
        group.go(move || Err(second));
        let causes: Vec<_> = (0..2).map(|_| ctx.cause().unwrap()).collect();
        let texts = causes.iter().map(|cause| (cause.to_string(), format!("{cause:?}")));
        texts.for_each(|texts| assert_eq!(texts, ("mute".to_owned(), "\"mute\"".to_owned())));
        assert!(group.wait().is_err());
        assert_eq!((ctx.cause().unwrap().to_string().as_str(), asked.load(Ordering::Relaxed)), ("mute", 1));
        // A context that has ended for another reason does not need the text.
        let (parent, cancel) = Context::background().with_cancel();
        let (group, _ctx) = Group::with_context(&parent);
        cancel.cancel();
        let unasked = mute();
        group.go(move || Err(unasked));
        assert!(group.wait().is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
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
        assert_eq!(group.wait(), Ok(()), "`exit_goroutine` is not a failure");
    });
}

#[test]
fn as_many_as_the_limit_run_at_once_and_no_more() {
    storm(|rng| {
        let limit = 1 + rng.below(4) as usize;
        let (group, working, most) =
            (Group::<String>::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        group.set_limit(Some(limit));
        // The first ones end only when they have met: a group that runs them one by one hangs here.
        let meeting = Arc::new(Barrier::new(limit));
        let mut started = 0;
        for n in 0..30 {
            let (working, most) = (Arc::clone(&working), Arc::clone(&most));
            let meeting = (n < limit).then(|| Arc::clone(&meeting));
            let work = move || {
                most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                match meeting {
                    Some(meeting) => drop(meeting.wait()),
                    None => yield_now(),
                }
                working.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            if rng.one_in(3) {
                started += usize::from(group.try_go(work).is_ok());
            } else {
                group.go(work);
                started += 1;
            }
        }
        assert_eq!(group.wait(), Ok(()));
        assert_eq!(most.load(Ordering::SeqCst), limit);
        assert!(started >= limit);
        group.set_limit(None);
    });
}

#[test]
fn a_limit_of_zero_starts_no_goroutine() {
    check(|| {
        let group = Group::<String>::new();
        group.set_limit(Some(0));
        assert!(group.try_go(|| unreachable!()).is_err());
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn the_limit_may_not_change_while_goroutines_work() {
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
fn threads_use_a_group_too() {
    check_from_thread(|| {
        let (group, ctx) = Group::<String>::with_context(&Context::background());
        group.set_limit(Some(1));
        let other = {
            let group = group.clone();
            thread::spawn(move || group.go(|| Ok(())))
        };
        group.go(move || {
            select! {
                recv(ctx.done()) -> _ => unreachable!("no goroutine fails"),
                default => Ok(()),
            }
        });
        other.join().unwrap();
        assert_eq!(group.wait(), Ok(()));
    });
}
