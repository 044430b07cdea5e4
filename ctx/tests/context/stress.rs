//! Trees of contexts that many goroutines change at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::census::Census;
use crate::common::random::Rng;
use crate::common::{Task, everywhere, random, rounds, spawn, until, yield_now};
use greenthread_channels::TryRecvError;
use greenthread_ctx::{Cancel, Context, Error};
use greenthread_scheduler as scheduler;

/// Derives, cancels, drops and waits for contexts below `root`. Returns the number of functions
/// that must have been called in the end.
fn busy(root: Context, random: &mut Rng, census: &Census, calls: &Arc<AtomicUsize>) -> usize {
    let (mut kept, mut wanted) = (vec![root], 0);
    for n in 0..60 {
        let parent = &kept[random.index(kept.len())];
        let (child, cancel) = match random.below(3) {
            0 => parent.with_timeout(Duration::from_micros(random.below(300))),
            1 => parent.with_value(census.value(n)).with_timeout(Duration::from_secs(3600)),
            _ => parent.with_cancel(),
        };
        if random.one_in(2) {
            let count = Arc::clone(calls);
            let stop = child.after_func(move || _ = count.fetch_add(1, Ordering::Relaxed));
            wanted += usize::from(!(random.one_in(2) && stop.stop()));
        }
        match random.below(4) {
            0 => drop(cancel),
            1 => cancel.cancel(),
            _ => cancel.disarm(),
        }
        if random.one_in(2) {
            kept.push(child);
        }
    }
    for ctx in &kept {
        ctx.done().recv().unwrap_err();
        assert!(ctx.err().is_some(), "done without a reason: {ctx}");
    }
    wanted
}

#[test]
fn storm_of_all_operations() {
    everywhere(|| {
        for _ in rounds(150) {
            let (census, calls) = (Census::default(), Arc::new(AtomicUsize::new(0)));
            let (root, cancel) = Context::background().with_value(census.value(0)).with_cancel();
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let (root, mut random) = (root.clone(), random());
                    let (census, calls) = (census.clone(), Arc::clone(&calls));
                    spawn(move || busy(root, &mut random, &census, &calls))
                })
                .collect();
            drop(root);
            yield_now();
            cancel.cancel();
            let wanted: usize = tasks.into_iter().map(Task::join).sum();
            until(|| calls.load(Ordering::Relaxed) >= wanted);
            assert_eq!(calls.load(Ordering::Relaxed), wanted);
            drop(cancel);
            until(|| census.dropped() == census.made());
        }
    });
}

/// Checks that `err()` is never ahead of `done()`, and `done()` never ahead of `err()`.
#[test]
fn err_and_done_agree() {
    everywhere(|| {
        for round in rounds(1000) {
            let (root, cancel) = Context::background().with_cancel();
            let (ctx, _cancel) = root.with_cancel();
            let watch = |n: usize| {
                let ctx = ctx.clone();
                move || loop {
                    if (n + round).is_multiple_of(2) && ctx.err().is_some() {
                        return assert_eq!(ctx.done().try_recv(), Err(TryRecvError::Disconnected));
                    }
                    if ctx.done().try_recv() == Err(TryRecvError::Disconnected) {
                        return assert_eq!(ctx.err(), Some(Error::Canceled));
                    }
                    yield_now();
                }
            };
            let watchers = [0, 1].map(|n| spawn(watch(n)));
            yield_now();
            cancel.cancel();
            watchers.into_iter().for_each(Task::join);
        }
    });
}

/// Checks that everything below has ended when `cancel` returns, even while another walker also
/// runs.
#[test]
fn all_is_over_when_cancel_returns() {
    everywhere(|| {
        for _ in rounds(200) {
            let mut random = random();
            let mut all = vec![Context::background().with_cancel()];
            for _ in 0..300 {
                // The tree is deep rather than wide, so that the walks meet halfway.
                let parent = all.len() - 1 - random.index(all.len().min(4));
                all.push(all[parent].0.with_cancel());
            }
            let all = Arc::new(all);
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let all = Arc::clone(&all);
                    spawn(move || {
                        all[0].1.cancel();
                        // Checked from the end, because a walk reaches the end last.
                        assert!(all.iter().rev().all(|(ctx, _)| ctx.err().is_some()));
                    })
                })
                .collect();
            tasks.into_iter().for_each(Task::join);
        }
    });
}

/// Lets deadlines pass while their contexts are canceled and dropped.
#[test]
fn deadlines_beside_cancels() {
    everywhere(|| {
        for _ in rounds(300) {
            let mut random = random();
            let (root, _cancel) = Context::background().with_timeout(Duration::from_micros(random.below(500)));
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let (root, us) = (root.clone(), random.below(500));
                    spawn(move || {
                        let (ctx, cancel) = root.with_timeout(Duration::from_micros(us));
                        let (child, _cancel) = ctx.with_cancel();
                        if us % 2 == 0 {
                            cancel.cancel();
                        }
                        child.done().recv().unwrap_err();
                        assert_eq!(child.err(), ctx.err());
                        us % 2 == 0 || ctx.err() == Some(Error::DeadlineExceeded)
                    })
                })
                .collect();
            assert!(tasks.into_iter().all(Task::join));
        }
    });
}

/// Checks that contexts can also be canceled and waited for in destructors.
#[test]
fn while_unwinding() {
    struct Guard(Context, Option<Cancel>);

    impl Drop for Guard {
        fn drop(&mut self) {
            let (child, _cancel) = self.0.with_timeout(Duration::from_millis(1));
            child.done().recv().unwrap_err();
            assert_eq!(self.0.sleep(Duration::from_millis(1)), Ok(()));
            drop(self.1.take());
            assert_eq!(self.0.err(), Some(Error::Canceled));
        }
    }

    everywhere(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let unwind = move || {
            let _guard = Guard(ctx, Some(cancel));
            std::panic::resume_unwind(Box::new("unwind"));
        };
        let goroutine = scheduler::spawn(unwind, scheduler::Options::default()).expect("the default stack can be had");
        let result: std::thread::Result<()> = goroutine.join();
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"unwind"));
    });
}

/// Checks that one of two concurrent calls to `stop` succeeds, unless the function was started
/// before.
#[test]
fn a_stop_that_fails_has_a_reason() {
    everywhere(|| {
        for _ in rounds(1000) {
            let (ctx, cancel) = Context::background().with_cancel();
            let calls = Arc::new(AtomicUsize::new(0));
            let stop = Arc::new({
                let calls = Arc::clone(&calls);
                ctx.after_func(move || _ = calls.fetch_add(1, Ordering::Relaxed))
            });
            let others = [(); 2].map(|()| {
                let (stop, mut random) = (Arc::clone(&stop), random());
                spawn(move || {
                    if random.one_in(2) {
                        yield_now();
                    }
                    stop.stop()
                })
            });
            let stopped = stop.stop();
            // If this call failed, that is not because the function was started.
            if !stopped {
                cancel.cancel();
            }
            let stops = usize::from(stopped) + others.into_iter().map(|one| usize::from(one.join())).sum::<usize>();
            assert_eq!(stops, 1);
            drop(cancel);
            assert_eq!(calls.load(Ordering::Relaxed), 0);
        }
    });
}
