//! Models of the barrier: rounds that immediately follow each other.

use greenthread_models::primitive::{AtomicU32, Ordering, UnsafeCell};
use greenthread_models::protocol::sync::raw_barrier::RawBarrier;
use greenthread_models::wait::{AtOnce, GiveUp, LoomWait, Patient};
use greenthread_models::{explore, in_threads};
use loom::sync::Arc;

struct Shared {
    barrier: RawBarrier<LoomWait<Patient>>,
    // Each thread writes its own element before it arrives, and reads the others' elements
    // afterwards.
    work: Vec<UnsafeCell<usize>>,
    leaders: AtomicU32,
}

// SAFETY: between two rounds, `work` is either only read, or written with one thread per element;
// the models check that the barrier guarantees this.
unsafe impl Sync for Shared {}
// SAFETY: between two rounds, `work` is either only read, or written with one thread per element.
unsafe impl Send for Shared {}

impl Shared {
    fn meet(&self) {
        if self.barrier.wait() {
            self.leaders.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Checks that all of `threads` meet before they read each other's work, and before they continue
/// with it.
fn run(threads: usize, turns: usize, preemptions: usize) {
    explore(preemptions, move || {
        let shared = Arc::new(Shared {
            barrier: RawBarrier::new(threads),
            work: (0..threads).map(|_| UnsafeCell::new(0)).collect(),
            leaders: AtomicU32::new(0),
        });
        in_threads(threads, &shared, move |shared, n| {
            for turn in 1..=turns {
                // SAFETY: in this round, each thread has its own element.
                shared.work[n].with_mut(|work| unsafe { *work = turn });
                shared.meet();
                for work in &shared.work {
                    // SAFETY: no thread writes in this round.
                    assert_eq!(work.with(|work| unsafe { *work }), turn);
                }
                if turn < turns {
                    shared.meet();
                }
            }
        });
        assert_eq!(shared.leaders.load(Ordering::Relaxed) as usize, 2 * turns - 1, "one in each round");
    });
}

#[test]
fn a_size_of_one_never_blocks() {
    run(1, 2, 1);
}

#[test]
fn two_threads() {
    run(2, 2, 3);
}

#[test]
fn three_threads() {
    run(3, 2, 1);
}

// All waiters of a round get the same answer.
//
// A waiter that leaves counts as not having arrived, and the barrier serves those that arrive in
// its place.
#[test]
fn one_that_leaves_has_not_arrived() {
    explore(3, || {
        let barrier = Arc::new(RawBarrier::<LoomWait<Patient>>::new(2));
        let other = {
            let barrier = Arc::clone(&barrier);
            loom::thread::spawn(move || barrier.wait_within(&GiveUp::default()))
        };
        let mine = barrier.wait_within(&AtOnce::default());
        match (mine, other.join().unwrap()) {
            (Some(mine), Some(other)) => assert!(mine != other, "one leader"),
            (None, None) => {}
            one => panic!("only one of a round has met the other: {one:?}"),
        }
        // A whole round runs, as if no other thread had been there.
        let other = {
            let barrier = Arc::clone(&barrier);
            loom::thread::spawn(move || barrier.wait())
        };
        assert!(barrier.wait() != other.join().unwrap());
    });
}

// A waiter that leaves is replaced by another, while a third waits all the time.
#[test]
fn another_comes_in_its_place() {
    explore(2, || {
        let barrier = Arc::new(RawBarrier::<LoomWait<Patient>>::new(2));
        let (stays, leaves) = {
            let (one, other) = (Arc::clone(&barrier), Arc::clone(&barrier));
            (
                loom::thread::spawn(move || one.wait()),
                loom::thread::spawn(move || other.wait_within(&AtOnce::default())),
            )
        };
        let left = leaves.join().unwrap();
        if left.is_none() {
            barrier.wait();
        }
        stays.join().unwrap();
    });
}
