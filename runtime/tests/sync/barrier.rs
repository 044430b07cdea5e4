//! `sync::Barrier` from the outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::drops::OnDrop;
use crate::common::{check, check_from_thread, parked, storm, text, until};
use greenthread::ctx::{Context, Error};
use greenthread::sync::{Barrier, WaitGroup};
use greenthread::{scope, spawn, yield_now};

#[test]
fn wait_returns_only_after_the_last_has_come() {
    check(|| {
        let (barrier, passed) = (Barrier::new(5), AtomicUsize::new(0));
        scope(|s| {
            for n in 0..4 {
                s.spawn(|| {
                    assert!(!barrier.wait().is_leader());
                    passed.fetch_add(1, Ordering::Relaxed);
                });
                until(|| parked("barrier") == n + 1);
            }
            assert_eq!(passed.load(Ordering::Relaxed), 0);
            assert!(barrier.wait().is_leader(), "the last participant is the leader");
        });
        assert_eq!(passed.into_inner(), 4);
        assert_eq!(format!("{barrier:?}"), "Barrier { size: 5, .. }");
    });
}

#[test]
fn a_barrier_for_zero_or_one_does_not_block() {
    check(|| {
        for barrier in [Barrier::new(0), Barrier::new(1)] {
            (0..3).for_each(|_| assert!(barrier.wait().is_leader()));
        }
    });
}

#[test]
fn stress_rounds_do_not_mix() {
    storm(|random| {
        let (size, rounds) = (2 + random.below(8) as usize, 50);
        let barrier = Barrier::new(size);
        // Relaxed on purpose: the barrier makes the additions visible.
        let (arrived, leaders) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            for round in 1..=rounds {
                arrived.fetch_add(1, Ordering::Relaxed);
                leaders.fetch_add(usize::from(barrier.wait().is_leader()), Ordering::Relaxed);
                let seen = arrived.load(Ordering::Relaxed);
                assert!((round * size..(round + 1) * size).contains(&seen), "round {round} of {size}: {seen}");
            }
        };
        thread::scope(|threads| {
            threads.spawn(work);
            scope(|s| (1..size).for_each(|_| drop(s.spawn(work))));
        });
        assert_eq!(leaders.load(Ordering::Relaxed), rounds);
    });
}

#[test]
fn wait_works_in_destructors_while_unwinding() {
    check(|| {
        let barrier = Arc::new(Barrier::new(4));
        let all: Vec<_> = (0..4)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                spawn(move || {
                    let _on_drop = OnDrop::new(|| {
                        barrier.wait();
                        assert!(thread::panicking());
                    });
                    panic!("expected");
                })
            })
            .collect();
        all.into_iter().for_each(|one| assert_eq!(text(&*one.join().unwrap_err()), "expected"));
    });
}

#[test]
fn a_participant_whose_context_ends_has_not_come() {
    check(|| {
        let barrier = Barrier::new(3);
        let (ctx, cancel) = Context::background().with_cancel();
        scope(|s| {
            let stays = s.spawn(|| barrier.wait().is_leader());
            until(|| parked("barrier") == 1);
            let leaves = s.spawn(|| barrier.wait_ctx(&ctx).err());
            until(|| parked("barrier") == 2);
            cancel.cancel();
            assert_eq!(leaves.join().unwrap(), Some(Error::Canceled));
            assert_eq!(barrier.wait_ctx(&ctx).err(), Some(Error::Canceled), "one participant is still missing");
            assert_eq!(parked("barrier"), 1);
            let (live, _cancel) = Context::background().with_cancel();
            let second = s.spawn(|| barrier.wait_ctx(&Context::background()).unwrap().is_leader());
            until(|| parked("barrier") == 2);
            assert!(barrier.wait_ctx(&live).unwrap().is_leader());
            assert!(!stays.join().unwrap() && !second.join().unwrap());
        });
    });
}

#[test]
fn a_wait_of_a_thread_ends_with_its_context() {
    check_from_thread(|| {
        let (barrier, (ctx, _cancel)) = (Barrier::new(2), Context::background().with_timeout(Duration::from_millis(2)));
        assert_eq!(barrier.wait_ctx(&ctx).err(), Some(Error::DeadlineExceeded));
        thread::scope(|s| {
            let other = s.spawn(|| barrier.wait().is_leader());
            assert_ne!(barrier.wait().is_leader(), other.join().unwrap());
        });
    });
}

/// Some participants leave at any time and return.
///
/// Each round still has one leader and the right number of others.
#[test]
fn storm_of_rounds_with_canceled_waits() {
    storm(|random| {
        let (size, n) = (2 + random.below(3) as usize, 8);
        let barrier = Arc::new(Barrier::new(size));
        let (leaders, others) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (all, end) = Context::background().with_cancel();
        let wg = WaitGroup::new();
        for _ in 0..n {
            let (barrier, leaders, others) = (Arc::clone(&barrier), Arc::clone(&leaders), Arc::clone(&others));
            let (mut random, all) = (random.fork(), all.clone());
            wg.go(move || {
                for _ in 0..20 {
                    let (ctx, _cancel) = all.with_timeout(Duration::from_micros(random.below(200)));
                    let result = if random.one_in(3) { barrier.wait_ctx(&ctx) } else { barrier.wait_ctx(&all) };
                    match result {
                        Ok(result) if result.is_leader() => leaders.fetch_add(1, Ordering::Relaxed),
                        Ok(_) => others.fetch_add(1, Ordering::Relaxed),
                        Err(_) => 0,
                    };
                }
            });
        }
        (0..random.below(200)).for_each(|_| yield_now());
        end.cancel();
        wg.wait();
        assert_eq!(others.load(Ordering::Relaxed), leaders.load(Ordering::Relaxed) * (size - 1));
        // The barrier works as if it were new.
        let met: Vec<_> = (0..size)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                spawn(move || barrier.wait().is_leader())
            })
            .collect();
        assert_eq!(met.into_iter().map(|one| usize::from(one.join().unwrap())).sum::<usize>(), 1);
    });
}
