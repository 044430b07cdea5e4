//! Models of the semaphore: the word, its queue, grants, and waits that end without a grant.

use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::sync::raw_semaphore::{Excess, RawSemaphore};
use greenthread_models::wait::{AtOnce, GiveUp, LoomWait, Patient};
use greenthread_models::{explore, in_threads};
use loom::sync::Arc;
use loom::thread;

struct Shared {
    semaphore: RawSemaphore<LoomWait<Patient>>,
    /// Touched only by the holder of the whole semaphore.
    n: UnsafeCell<u32>,
}

// SAFETY: `n` is touched only by the holder of the whole semaphore; the models check that this
// suffices.
unsafe impl Sync for Shared {}
// SAFETY: `n` is touched only by the holder of the whole semaphore.
unsafe impl Send for Shared {}

impl Shared {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { semaphore: RawSemaphore::new(size), n: UnsafeCell::new(0) })
    }

    fn acquire(&self, want: usize) {
        self.semaphore.acquire(want);
    }

    /// Acquires like `acquire`, while another thread may end the wait at any time.
    ///
    /// Returns `true` if the permits were granted.
    fn acquire_or_give_up(&self, want: usize) -> bool {
        self.semaphore.acquire_within(want, &GiveUp::default())
    }

    fn release(&self, amount: usize) {
        assert_eq!(self.semaphore.release(amount), Ok(()));
    }

    fn add(&self) {
        // SAFETY: the caller holds the whole semaphore.
        self.n.with_mut(|n| unsafe { *n += 1 });
    }

    fn assert_free(&self) {
        assert_eq!(self.semaphore.peek(), (self.semaphore.size(), false), "nothing is held, and nobody waits");
    }
}

// Works as a mutex if each thread acquires the whole semaphore.
#[test]
fn all_of_it_excludes_others() {
    for (threads, turns, preemptions) in [(2, 3, 3), (3, 1, 2)] {
        explore(preemptions, move || {
            let shared = Shared::new(2);
            in_threads(threads, &shared, move |shared, _| {
                for _ in 0..turns {
                    shared.acquire(2);
                    shared.add();
                    shared.release(2);
                }
            });
            shared.assert_free();
            // SAFETY: the other threads have ended.
            assert_eq!(shared.n.with(|n| unsafe { *n }), threads as u32 * turns);
        });
    }
}

// One release serves several waiters, and several releases serve one waiter.
#[test]
fn different_weights() {
    explore(2, || {
        let shared = Shared::new(2);
        let works = [2, 1].map(|weight| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.acquire(weight);
                if weight == 2 {
                    shared.add();
                }
                shared.release(weight);
            })
        });
        shared.acquire(1);
        shared.release(1);
        works.into_iter().for_each(|work| work.join().unwrap());
        shared.assert_free();
    });
}

// Two releases are both needed, since neither alone satisfies the waiter.
#[test]
fn two_releases_for_one_waiter() {
    explore(1, || {
        let shared = Shared::new(2);
        shared.acquire(1);
        shared.acquire(1);
        let releases = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.release(1))
        });
        shared.acquire(2);
        shared.add();
        shared.release(2);
        releases.into_iter().for_each(|release| release.join().unwrap());
        shared.assert_free();
    });
}

// A wait is abandoned while its grant arrives: the granted permits are released once, and nothing
// is lost.
#[test]
fn a_grant_against_giving_up() {
    explore(3, || {
        let shared = Shared::new(1);
        shared.acquire(1);
        let releaser = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.release(1))
        };
        if shared.acquire_or_give_up(1) {
            shared.add();
            shared.release(1);
        }
        releaser.join().unwrap();
        shared.assert_free();
    });
}

// The first waiter wants more than is available, and gives up.
//
// The waiter behind it is served, whichever thread gets there first.
#[test]
fn giving_up_lets_the_next_through() {
    explore(2, || {
        let shared = Shared::new(2);
        shared.acquire(1);
        let first = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if shared.acquire_or_give_up(2) {
                    shared.release(2);
                }
            })
        };
        let second = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.acquire(1);
                shared.release(1);
            })
        };
        // Nothing is released here, and the first thread may still be waiting.
        second.join().unwrap();
        shared.release(1);
        first.join().unwrap();
        shared.assert_free();
    });
}

// `try_acquire` does not pass waiters, and takes nothing if it fails.
#[test]
fn trying_does_not_barge() {
    explore(3, || {
        let shared = Shared::new(2);
        shared.acquire(1);
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.acquire(2);
                shared.add();
                shared.release(2);
            })
        };
        let waited = shared.semaphore.peek().1;
        let got = shared.semaphore.try_acquire(1);
        assert!(!(waited && got), "the one who waits comes first");
        shared.release(1 + usize::from(got));
        waiter.join().unwrap();
        shared.assert_free();
        assert_eq!(shared.semaphore.release(1), Err(Excess));
        shared.assert_free();
    });
}

// A refused attempt takes nothing, not even for a moment, and an abandoned wait does not block
// later waits.
#[test]
fn trying_fails_only_because_of_another() {
    for waits in [false, true] {
        explore(3, move || {
            let shared = Shared::new(2);
            shared.acquire(1);
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || match waits {
                    false => shared.semaphore.try_acquire(2),
                    true => shared.semaphore.acquire_within(2, &AtOnce::default()),
                })
            };
            shared.release(1);
            let got = shared.semaphore.try_acquire(1);
            let other = other.join().unwrap();
            let later = !got && !other && waits && shared.semaphore.try_acquire(1);
            assert!(got || other || later, "nothing is held, and nobody waits");
            shared.release(if other { 2 } else { 1 });
            shared.assert_free();
        });
    }
}
