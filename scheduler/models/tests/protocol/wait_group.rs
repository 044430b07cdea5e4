//! Models of the wait group: the word, its queue, and sets that follow one another.

use greenthread_models::primitive::{AtomicU32, Ordering, UnsafeCell};
use greenthread_models::protocol::sync::raw_wait_group::{Counts, OutOfRange, RawWaitGroup};
use greenthread_models::wait::{AtOnce, GiveUp, LoomWait, Patient};
use greenthread_models::{explore, in_threads};
use loom::sync::Arc;

struct Shared {
    group: RawWaitGroup<LoomWait<Patient>>,
    // Each element is written once, before a `done`. Loom fails if that write does not happen
    // before the reads.
    work: [UnsafeCell<u32>; 2],
}

// SAFETY: `work` is written before a `done` and read after the `wait` that this `done` ends; the
// models check that this suffices.
unsafe impl Sync for Shared {}
// SAFETY: `work` is written before a `done` and read after the `wait` that this `done` ends.
unsafe impl Send for Shared {}

impl Shared {
    /// Creates a set whose counter is `counter`.
    fn new(counter: isize) -> Arc<Self> {
        let shared = Self { group: RawWaitGroup::new(), work: [UnsafeCell::new(0), UnsafeCell::new(0)] };
        shared.add(counter);
        Arc::new(shared)
    }

    fn add(&self, n: isize) {
        assert_eq!(self.group.add(n), Ok(()));
    }

    /// Performs work item `n`, and calls `done`.
    fn work_and_done(&self, n: usize) {
        // SAFETY: no other thread performs this work item.
        self.work[n].with_mut(|work| unsafe { *work += 1 });
        self.add(-1);
    }

    /// Waits, and checks that the work items below `done` are done.
    fn wait_for(&self, done: usize) {
        self.group.wait();
        for work in &self.work[..done] {
            // SAFETY: the work item is done.
            assert_eq!(work.with(|work| unsafe { *work }), 1);
        }
    }

    fn assert_empty(&self) {
        assert_eq!(self.group.peek(), Counts { counter: 0, waiters: 0 });
    }
}

/// Runs `waiters` threads that wait for `workers` threads.
fn run(waiters: usize, workers: usize, preemptions: usize) {
    explore(preemptions, move || {
        let shared = Shared::new(workers as isize);
        in_threads(waiters + workers, &shared, move |shared, n| match n.checked_sub(waiters) {
            None => shared.wait_for(workers),
            Some(work) => shared.work_and_done(work),
        });
        shared.assert_empty();
    });
}

#[test]
fn a_wait_against_a_done() {
    run(1, 1, 4);
}

#[test]
fn a_wait_against_two() {
    run(1, 2, 3);
}

#[test]
fn two_waits_against_a_done() {
    run(2, 1, 1);
}

#[test]
fn two_waits_against_two() {
    run(2, 2, 1);
}

#[test]
fn one_is_added_while_another_waits() {
    explore(3, || {
        let shared = Shared::new(1);
        in_threads(2, &shared, |shared, n| match n {
            0 => shared.wait_for(2),
            _ => {
                shared.add(1);
                shared.work_and_done(0);
                shared.work_and_done(1);
            }
        });
        shared.assert_empty();
    });
}

// Adds one to the counter.
//
// If that happens before the last `done`, that `done` is no longer the last. If it happens
// afterwards, the addition begins a set of its own, which no thread must wait for.
#[test]
fn one_is_added_while_the_last_one_finishes() {
    explore(2, || {
        let shared = Shared::new(1);
        in_threads(3, &shared, |shared, n| match n {
            0 => shared.wait_for(1),
            1 => shared.work_and_done(0),
            _ => {
                shared.add(1);
                shared.work_and_done(1);
            }
        });
        shared.assert_empty();
    });
}

// The next set begins while the waiters of the first set are still leaving, or before they have
// checked.
#[test]
fn the_next_set_begins_at_once() {
    explore(3, || {
        let shared = Shared::new(1);
        in_threads(2, &shared, |shared, n| match n {
            0 => {
                shared.wait_for(1);
                shared.group.wait();
            }
            _ => {
                shared.work_and_done(0);
                shared.add(1);
                shared.work_and_done(1);
            }
        });
        shared.assert_empty();
    });
}

// Two waiters wait for different sets: neither is released by the end of the other's set, and
// neither is forgotten.
#[test]
fn waits_in_turn_belong_to_their_sets() {
    explore(2, || {
        let shared = Arc::new([Shared::new(1), Shared::new(1)]);
        in_threads(2, &shared, |[mine, yours], n| match n {
            0 => {
                mine.wait_for(1);
                mine.add(1);
                yours.add(-1);
                mine.wait_for(2);
            }
            _ => {
                mine.work_and_done(0);
                yours.group.wait();
                mine.work_and_done(1);
            }
        });
        shared.iter().for_each(|shared| shared.assert_empty());
    });
}

// A surplus `done` changes nothing, whichever `done` arrives last.
#[test]
fn one_done_too_many_is_an_error() {
    explore(1, || {
        let shared = Arc::new((Shared::new(1), AtomicU32::new(0)));
        in_threads(3, &shared, |(shared, refused), n| {
            if n == 0 {
                shared.group.wait();
            } else if shared.group.add(-1) == Err(OutOfRange::Negative) {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!(shared.1.load(Ordering::Relaxed), 1);
        shared.0.assert_empty();
    });
}

// A wait is abandoned while its set ends: the other waiter is released, and no waiter stays
// counted.
#[test]
fn a_wait_is_given_up() {
    explore(1, || {
        let shared = Shared::new(1);
        assert!(!shared.group.wait_within(&AtOnce::default()));
        assert_eq!(shared.group.peek(), Counts { counter: 1, waiters: 0 });
    });
    explore(3, || {
        let shared = Shared::new(1);
        in_threads(2, &shared, |shared, n| match n {
            0 => {
                if shared.group.wait_within(&GiveUp::default()) {
                    shared.wait_for(1);
                }
            }
            _ => shared.work_and_done(0),
        });
        shared.assert_empty();
    });
    explore(2, || {
        let shared = Shared::new(1);
        in_threads(3, &shared, |shared, n| match n {
            0 => shared.work_and_done(0),
            1 => shared.wait_for(1),
            _ => {
                if shared.group.wait_within(&AtOnce::default()) {
                    shared.wait_for(1);
                }
            }
        });
        shared.assert_empty();
    });
}
