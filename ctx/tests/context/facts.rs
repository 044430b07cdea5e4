//! The promises of Go's package `context`, one per test, and our additions: handles that cancel on
//! drop, `recv`, `send` and `sleep`.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::census::Census;
use crate::common::{everywhere, moment, spawn, until};
use greenthread_channels::{Receiver, TryRecvError, bounded, never, select};
use greenthread_ctx::{Context, Error, RecvError, SendError};
use greenthread_scheduler as scheduler;

const LATE: Duration = Duration::from_secs(3600);

fn is_open<T>(rx: &Receiver<T>) -> bool {
    matches!(rx.try_recv(), Err(TryRecvError::Empty))
}

fn assert_ended(ctx: &Context, error: Error) {
    assert_eq!(ctx.err(), Some(error), "{ctx}");
    assert!(!is_open(ctx.done()), "{ctx}");
}

fn assert_going(ctx: &Context) {
    assert_eq!(ctx.err(), None, "{ctx}");
    assert!(ctx.cause().is_none(), "{ctx}");
    assert!(is_open(ctx.done()), "{ctx}");
}

fn cause(ctx: &Context) -> String {
    ctx.cause().map_or_else(String::new, |cause| cause.to_string())
}

#[test]
fn the_roots_never_end() {
    everywhere(|| {
        for (root, name) in [(Context::background(), "Background"), (Context::todo(), concat!("TO", "DO"))] {
            assert_going(&root);
            assert_eq!(root.deadline(), None);
            assert_eq!(root.value::<u8>(), None);
            assert_eq!(format!("{root} {root:?}"), format!("context.{name} context.{name}"));
            assert!(root.done().same_channel(&never()));
        }
    });
}

#[test]
fn contexts_print_as_in_go() {
    everywhere(|| {
        struct Key;
        let (ctx, _cancel) = Context::background().with_cancel();
        assert_eq!(ctx.to_string(), "context.Background.WithCancel");
        let text = ctx.with_value(Key).without_cancel().to_string();
        assert!(text.starts_with("context.Background.WithCancel.WithValue("), "{text}");
        assert!(text.ends_with("Key).WithoutCancel"), "{text}");
        let (late, _cancel) = Context::background().with_timeout(LATE);
        let text = late.to_string();
        assert!(text.starts_with("context.Background.WithDeadline([3") && text.ends_with("s])"), "{text}");
        let (past, _cancel) = late.with_deadline(Instant::now() - Duration::from_millis(5));
        assert!(past.to_string().contains(".WithDeadline([-"), "{past}");
        let (later, _cancel) = late.with_timeout(2 * LATE);
        assert!(later.to_string().ends_with(".WithCancel"), "{later}");
    });
}

#[test]
fn cancel_ends_descendants_and_nothing_above() {
    everywhere(|| {
        let (top, cancel_top) = Context::background().with_cancel();
        let (middle, cancel_middle) = top.with_value(1).with_cancel();
        let (bottom, _cancel) = middle.with_timeout(LATE);
        let (beside, _cancel) = top.with_cancel();
        let value = bottom.with_value("below");
        for ctx in [&top, &middle, &bottom, &beside, &value] {
            assert_going(ctx);
        }
        cancel_middle.cancel();
        for ctx in [&middle, &bottom, &value] {
            assert_ended(ctx, Error::Canceled);
        }
        assert_going(&top);
        assert_going(&beside);
        cancel_middle.cancel();
        cancel_top.cancel();
        assert_ended(&beside, Error::Canceled);
    });
}

#[test]
fn a_child_of_an_ended_context_has_ended() {
    everywhere(|| {
        let (parent, cancel) = Context::background().with_cancel_cause();
        cancel.cancel("too late");
        let (child, _cancel) = parent.with_timeout(LATE);
        let (value, _cancel) = parent.with_value(1).with_cancel();
        for ctx in [child, value] {
            assert_ended(&ctx, Error::Canceled);
            assert_eq!(cause(&ctx), "too late");
        }
    });
}

#[test]
fn dropping_a_handle_cancels_unless_it_is_disarmed() {
    everywhere(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        drop(cancel);
        assert_ended(&ctx, Error::Canceled);
        let (ctx, cancel) = Context::background().with_cancel_cause();
        drop(cancel);
        assert_ended(&ctx, Error::Canceled);
        assert_eq!(cause(&ctx), "context canceled");
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.disarm();
        assert_going(&ctx);
        let (ctx, cancel) = Context::background().with_cancel_cause();
        cancel.disarm();
        assert_going(&ctx);
    });
}

#[test]
fn deadlines_come() {
    everywhere(|| {
        let begin = Instant::now();
        let timeout = Duration::from_millis(3);
        let (ctx, _cancel) = Context::background().with_timeout(timeout);
        let child = ctx.with_value(1);
        let (sibling, _cancel) = ctx.with_deadline(begin + LATE);
        assert_eq!(sibling.deadline(), ctx.deadline());
        child.done().recv().unwrap_err();
        assert!(begin.elapsed() >= timeout);
        sibling.done().recv().unwrap_err();
        for ctx in [&ctx, &child, &sibling] {
            assert_ended(ctx, Error::DeadlineExceeded);
        }
        assert_eq!(cause(&ctx), "context deadline exceeded");
    });
}

#[test]
fn deadlines_that_have_passed_end_at_once() {
    everywhere(|| {
        let past = Instant::now() - Duration::from_millis(1);
        let (ctx, cancel) = Context::background().with_deadline(past);
        assert_ended(&ctx, Error::DeadlineExceeded);
        assert_eq!(ctx.deadline(), Some(past));
        cancel.cancel();
        assert_ended(&ctx, Error::DeadlineExceeded);
        let (ctx, _cancel) = Context::background().with_timeout_cause(Duration::ZERO, "slow");
        assert_eq!(cause(&ctx), "slow");
        let (ctx, _cancel) = Context::background().with_timeout(Duration::MAX);
        assert_eq!(ctx.deadline(), None);
        assert_going(&ctx);
    });
}

#[test]
fn a_childs_earlier_deadline_wins() {
    everywhere(|| {
        let (parent, _cancel) = Context::background().with_timeout(LATE);
        let (child, _cancel) = parent.with_timeout_cause(Duration::from_millis(1), "the child's");
        child.done().recv().unwrap_err();
        assert_ended(&child, Error::DeadlineExceeded);
        assert_eq!(cause(&child), "the child's");
        assert_going(&parent);
    });
}

#[test]
fn the_first_error_and_cause_win() {
    everywhere(|| {
        let (ctx, cancel) = Context::background().with_cancel_cause();
        let (timed, cancel_timed) = ctx.with_timeout_cause(LATE, "the timeout's");
        let (child, cancel_child) = timed.with_cancel_cause();
        cancel_child.cancel("the child's");
        cancel_timed.cancel();
        cancel.cancel("the parent's");
        cancel.cancel("a second one");
        assert_eq!((cause(&child), cause(&timed)), ("the child's".into(), "context canceled".into()));
        assert_eq!(cause(&ctx), "the parent's");
        assert_ended(&timed, Error::Canceled);
        let (ctx, cancel) = Context::background().with_cancel_cause();
        cancel.cancel(Error::DeadlineExceeded);
        assert_eq!(ctx.cause().unwrap().downcast_ref(), Some(&Error::DeadlineExceeded));
        assert_eq!(ctx.err(), Some(Error::Canceled));
    });
}

#[test]
fn values_are_found_by_type_and_the_nearest_hides_the_others() {
    everywhere(|| {
        #[derive(Debug, PartialEq)]
        struct Id(u32);
        let ctx = Context::background().with_value(Id(1)).with_value("text");
        let (ctx, _cancel) = ctx.with_cancel();
        let hidden = ctx.with_value(Id(2));
        assert_eq!((ctx.value(), ctx.value()), (Some(&Id(1)), Some(&"text")));
        assert_eq!(hidden.value(), Some(&Id(2)));
        assert_eq!(hidden.value::<String>(), None);
        assert_eq!(hidden.without_cancel().value(), Some(&Id(2)));
    });
}

#[test]
fn without_cancel_cuts_off_the_end_and_the_deadline() {
    everywhere(|| {
        let (ctx, cancel) = Context::background().with_value(1).with_timeout(LATE);
        let cut = ctx.without_cancel();
        let (below, _cancel) = cut.with_cancel();
        cancel.cancel();
        assert_going(&cut);
        assert_going(&below);
        assert_eq!((cut.deadline(), cut.value()), (None, Some(&1)));
        assert!(cut.after_func(|| unreachable!()).stop());
    });
}

#[test]
fn a_function_runs_once_after_the_end() {
    everywhere(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = bounded(10);
        let call = |ctx: &Context| {
            let (tx, ended) = (tx.clone(), ctx.clone());
            ctx.after_func(move || tx.send(ended.err()).unwrap())
        };
        drop(call(&ctx));
        let stop = call(&ctx.with_value(1));
        moment();
        assert!(rx.is_empty());
        cancel.cancel();
        cancel.cancel();
        let late = call(&ctx);
        assert!(!stop.stop() && !late.stop(), "started");
        drop(tx);
        for _ in 0..3 {
            assert_eq!(rx.recv(), Ok(Some(Error::Canceled)));
        }
        assert!(rx.recv().is_err(), "each ran once");
    });
}

#[test]
fn a_function_that_is_stopped_is_dropped() {
    everywhere(|| {
        let census = Census::default();
        let (ctx, cancel) = Context::background().with_cancel();
        let value = census.value(1);
        let stop = ctx.after_func(move || drop(value));
        assert!(stop.stop());
        assert_eq!(census.dropped(), 1);
        assert!(!stop.stop());
        cancel.cancel();
        assert!(!stop.stop());
        let value = census.value(2);
        let of_the_root = Context::background().after_func(move || drop(value));
        assert_eq!(census.dropped(), 2);
        assert!(of_the_root.stop() && !of_the_root.stop());
    });
}

#[test]
fn a_function_keeps_the_context_until_it_runs() {
    everywhere(|| {
        let (parent, cancel_parent) = Context::background().with_cancel();
        let (tx, rx) = bounded(2);
        let (child, cancel) = parent.with_cancel();
        cancel.disarm();
        let by_parent = tx.clone();
        let stop = child.after_func(move || by_parent.send("parent").unwrap());
        drop((child, stop));
        let (timed, cancel) = parent.with_timeout(Duration::from_millis(2));
        cancel.disarm();
        timed.after_func(move || tx.send("deadline").unwrap());
        drop(timed);
        assert_eq!(rx.recv(), Ok("deadline"));
        cancel_parent.cancel();
        assert_eq!(rx.recv(), Ok("parent"));
    });
}

#[test]
fn a_dropped_context_leaves_nothing() {
    everywhere(|| {
        let census = Census::default();
        let timers = scheduler::stats().timers;
        let (parent, _cancel) = Context::background().with_cancel();
        for n in 0..100 {
            let (child, cancel) = parent.with_value(census.value(n)).with_timeout(LATE);
            match n % 3 {
                0 => cancel.disarm(),
                1 => {
                    cancel.cancel();
                    drop(cancel);
                }
                _ => drop(cancel),
            }
            drop(child);
            assert_eq!(census.dropped(), n + 1);
        }
        assert!(scheduler::stats().timers <= timers);
    });
}

#[test]
fn a_channel_whose_context_is_dropped_is_closed() {
    everywhere(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.disarm();
        let done = ctx.done().clone();
        drop(ctx);
        done.recv().unwrap_err();
    });
}

#[test]
fn waiters_are_woken() {
    everywhere(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = bounded::<u8>(0);
        let clones = || (ctx.clone(), rx.clone());
        let ((one, _), (two, rx2), (three, rx3), (four, _), (five, _)) =
            (clones(), clones(), clones(), clones(), clones());
        let tasks = [
            spawn(move || one.done().recv().is_err() && one.err().is_some()),
            spawn(move || select! { recv(two.done()) -> _ => two.err().is_some(), recv(rx2) -> _ => false }),
            spawn(move || three.recv(&rx3) == Err(RecvError::Ended(Error::Canceled))),
            spawn(move || four.sleep(LATE) == Err(Error::Canceled)),
            spawn(move || {
                let (full, _rx) = bounded(0);
                five.send(&full, 7) == Err(SendError::Ended(Error::Canceled, 7))
            }),
        ];
        moment();
        assert!(tasks.iter().all(|task| !task.is_finished()));
        cancel.cancel();
        assert!(tasks.into_iter().all(crate::common::Task::join));
        drop(tx);
    });
}

#[test]
fn operations_under_a_context() {
    everywhere(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = bounded(1);
        for ctx in [&Context::background(), &ctx] {
            assert_eq!(ctx.send(&tx, 1), Ok(()));
            assert_eq!(ctx.recv(&rx), Ok(1));
            let begin = Instant::now();
            assert_eq!(ctx.sleep(Duration::from_millis(1)), Ok(()));
            assert!(begin.elapsed() >= Duration::from_millis(1));
            assert_eq!(ctx.sleep(Duration::ZERO), Ok(()));
        }
        let (closed_tx, closed_rx) = bounded(1);
        closed_tx.close();
        assert_eq!(ctx.send(&closed_tx, 2), Err(SendError::Disconnected(2)));
        assert_eq!(ctx.recv(&closed_rx), Err(RecvError::Disconnected));
        tx.send(3).unwrap();
        cancel.cancel();
        assert_eq!(ctx.recv(&rx), Err(RecvError::Ended(Error::Canceled)), "the end wins");
        assert_eq!(rx.recv(), Ok(3));
        assert_eq!(ctx.send(&tx, 4).map_err(SendError::into_inner), Err(4));
        assert!(rx.is_empty());
        assert_eq!(ctx.sleep(Duration::ZERO), Err(Error::Canceled));
    });
}

#[test]
fn errors_have_texts_and_sources() {
    let ended = RecvError::from(Error::DeadlineExceeded);
    assert_eq!(ended.to_string(), "context deadline exceeded");
    assert!(ended.source().is_some() && RecvError::Disconnected.source().is_none());
    let ended = SendError::Ended(Error::Canceled, 1);
    assert_eq!(ended.to_string(), "context canceled");
    assert!(ended.source().is_some() && SendError::Disconnected(1).source().is_none());
    assert_eq!(format!("{:?}", SendError::Disconnected(1)), "Disconnected(..)");
}

/// Checks trees so large that recursion would overflow any stack.
#[test]
fn chains_and_stars_do_not_recurse() {
    const N: usize = 100_000;

    fn derive(from: &Context) -> Context {
        let (next, cancel) = from.with_cancel();
        cancel.disarm();
        next
    }

    everywhere(|| {
        let (root, cancel) = Context::background().with_cancel();
        let last = (0..N).fold(root, |last, _| derive(&last));
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        last.after_func(move || _ = count.fetch_add(1, Ordering::Relaxed));
        assert_eq!(last.err(), None);
        cancel.cancel();
        assert_ended(&last, Error::Canceled);
        until(|| calls.load(Ordering::Relaxed) == 1);
        drop((cancel, last));

        let (root, cancel) = Context::background().with_cancel();
        let star: Vec<_> = (0..N).map(|_| derive(&root)).collect();
        cancel.cancel();
        assert!(star.iter().all(|child| child.err() == Some(Error::Canceled)));

        // This chain is dropped before it ends.
        let grow = |last: Context, n| if n % 2 == 0 { last.with_value(n) } else { derive(&last) };
        drop((0..N).fold(Context::background(), grow));
    });
}
