//! Models of the mutex: the word, its queue, and the hand-over.
//!
//! The clock is data here: a model says whether every lost wait starves or none does.
//!
//! One case is not reached within these bounds, and it is the case for P2 of the protocol: another
//! thread's whole lock and unlock overtakes an unlock, which then hands over. It takes three
//! threads and four preemptions, and a model of that size does not end.

use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::sync::raw_mutex::RawMutex;
use greenthread_models::wait::{AtOnce, GiveUp, LoomWait, Patient, Spinning, Surroundings};
use greenthread_models::{explore, in_threads};
use loom::sync::Arc;
use loom::thread;

struct Starving;
impl Surroundings for Starving {
    const STARVES: bool = true;
    const SPINS: u32 = 0;
}

struct StarvingSpinner;
impl Surroundings for StarvingSpinner {
    const STARVES: bool = true;
    const SPINS: u32 = 1;
}

struct Shared<S: Surroundings> {
    mutex: RawMutex<LoomWait<S>>,
    n: UnsafeCell<u32>,
}

// SAFETY: `n` is touched only under `mutex`; the models check that this suffices.
unsafe impl<S: Surroundings> Sync for Shared<S> {}
// SAFETY: `n` is touched only under `mutex`.
unsafe impl<S: Surroundings> Send for Shared<S> {}

impl<S: Surroundings> Shared<S> {
    fn add_and_unlock(&self) {
        // SAFETY: the caller has locked the mutex.
        self.n.with_mut(|n| unsafe { *n += 1 });
        // SAFETY: the caller has locked the mutex.
        unsafe { self.mutex.unlock() };
    }
}

/// Lets each of `threads` threads lock `turns` times, and checks that all succeed and see each
/// other's work.
fn run<S: Surroundings + 'static>(threads: usize, turns: u32, preemptions: usize) {
    explore(preemptions, move || {
        let shared = Arc::new(Shared::<S> { mutex: RawMutex::new(), n: UnsafeCell::new(0) });
        in_threads(threads, &shared, move |shared, _| {
            for _ in 0..turns {
                shared.mutex.lock();
                shared.add_and_unlock();
            }
        });
        assert!(shared.mutex.try_lock(), "everybody is done, so the mutex is free and no mode is left behind");
        // SAFETY: under the mutex.
        assert_eq!(shared.n.with(|n| unsafe { *n }), threads as u32 * turns);
    });
}

#[test]
fn two_threads_without_starvation() {
    run::<Patient>(2, 3, 3);
}

#[test]
fn two_threads_always_starving() {
    run::<Starving>(2, 3, 3);
}

#[test]
fn two_threads_that_spin() {
    run::<Spinning>(2, 3, 3);
}

#[test]
fn three_threads_without_starvation() {
    run::<Patient>(3, 2, 2);
}

#[test]
fn three_threads_always_starving() {
    run::<Starving>(3, 2, 2);
}

#[test]
fn three_threads_that_spin_and_starve() {
    run::<StarvingSpinner>(3, 2, 2);
}

#[test]
fn try_lock_barges_or_fails_but_never_breaks_in() {
    explore(3, || {
        let shared = Arc::new(Shared::<Starving> { mutex: RawMutex::new(), n: UnsafeCell::new(0) });
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.mutex.lock();
                shared.add_and_unlock();
            })
        };
        let tryer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let got = shared.mutex.try_lock();
                if got {
                    shared.add_and_unlock();
                }
                u32::from(got)
            })
        };
        waiter.join().unwrap();
        let tried = tryer.join().unwrap();
        shared.mutex.lock();
        // SAFETY: under the mutex.
        assert_eq!(shared.n.with(|n| unsafe { *n }), 1 + tried);
    });
}

/// Lets `patient` threads lock, while `others` give up if they must wait and are told to give up.
///
/// Checks that no waiter is forgotten and no mode is left behind.
fn give_up<S: Surroundings + 'static>(patient: u32, others: u32, preemptions: usize) {
    explore(preemptions, move || {
        let shared = Arc::new(Shared::<S> { mutex: RawMutex::new(), n: UnsafeCell::new(0) });
        shared.mutex.lock();
        let threads: Vec<_> = (0..patient + others)
            .map(|id| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let locked = if id < patient {
                        shared.mutex.lock();
                        true
                    } else {
                        shared.mutex.lock_within(&GiveUp::default())
                    };
                    if locked {
                        shared.add_and_unlock();
                    }
                    u32::from(locked)
                })
            })
            .collect();
        shared.add_and_unlock();
        let turns: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(shared.mutex.try_lock(), "everybody is done, so the mutex is free and no mode is left behind");
        // SAFETY: under the mutex.
        assert_eq!(shared.n.with(|n| unsafe { *n }), 1 + turns);
    });
}

#[test]
fn the_only_waiter_gives_up() {
    give_up::<Patient>(0, 1, 3);
    give_up::<Starving>(0, 1, 3);
}

#[test]
fn one_gives_up_among_two() {
    give_up::<Patient>(1, 1, 2);
}

#[test]
fn one_gives_up_among_two_that_starve() {
    give_up::<Starving>(1, 1, 2);
}

/// Checks that neither a refused attempt nor an abandoned wait leaves anything behind.
///
/// A thread that `waits` may be in the way until it has given up.
fn trying_fails_only_because_of_another<S: Surroundings + 'static>(
    waits: bool,
    theirs: fn(&RawMutex<LoomWait<S>>) -> bool,
) {
    explore(3, move || {
        let shared = Arc::new(Shared::<S> { mutex: RawMutex::new(), n: UnsafeCell::new(0) });
        shared.mutex.lock();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || theirs(&shared.mutex))
        };
        shared.add_and_unlock();
        let got = shared.mutex.try_lock();
        let other = other.join().unwrap();
        assert!(got || other || waits && shared.mutex.try_lock(), "nobody has the mutex or waits for it");
    });
}

#[test]
fn an_attempt_beside_an_attempt() {
    trying_fails_only_because_of_another::<Patient>(false, RawMutex::try_lock);
    trying_fails_only_because_of_another::<Starving>(false, RawMutex::try_lock);
}

#[test]
fn an_attempt_beside_a_wait_that_is_given_up() {
    trying_fails_only_because_of_another::<Patient>(true, |mutex| mutex.lock_within(&AtOnce::default()));
    trying_fails_only_because_of_another::<Starving>(true, |mutex| mutex.lock_within(&AtOnce::default()));
}
