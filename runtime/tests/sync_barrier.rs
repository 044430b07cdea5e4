//! `sync::Barrier` from the outside.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::drops::OnDrop;
use common::{check, parked, storm, text, until};
use greenthread::sync::Barrier;
use greenthread::{scope, spawn};

#[test]
fn nobody_goes_on_before_the_last() {
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
            assert!(barrier.wait().is_leader(), "the last to come");
        });
        assert_eq!(passed.into_inner(), 4);
        assert_eq!(format!("{barrier:?}"), "Barrier { size: 5, .. }");
    });
}

#[test]
fn a_barrier_for_nobody_or_one_does_not_block() {
    check(|| {
        for barrier in [Barrier::new(0), Barrier::new(1)] {
            (0..3).for_each(|_| assert!(barrier.wait().is_leader()));
        }
    });
}

#[test]
fn stress_rounds_are_not_mixed_up() {
    storm(|random| {
        let (size, rounds) = (2 + random.below(8) as usize, 50);
        let barrier = Barrier::new(size);
        // Relaxed on purpose: it is the barrier that makes the additions visible.
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
fn it_waits_in_destructors_while_unwinding() {
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
