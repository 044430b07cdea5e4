//! Models of the semaphore: the word, its queue, grants, and waits that end without one.

use std::ptr::NonNull;

use greenthread_models::explore;
use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::claim::{Case, Claim};
use greenthread_models::protocol::raw_semaphore::{Excess, Node, RawSemaphore, Waiter, Wake};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// The cases of a wait that may end without a grant.
const GRANT: usize = 0;
const GIVE_UP: usize = 1;

/// Who waits for it sleeps. Leaked: a wake may still be inside when the waiter is gone.
#[derive(Clone, Copy)]
struct Token(&'static (Mutex<bool>, Condvar));

impl Token {
    fn new() -> Self {
        Self(Box::leak(Box::new((Mutex::new(false), Condvar::new()))))
    }

    fn wait(self) {
        let mut woken = self.0.0.lock().unwrap();
        while !*woken {
            woken = self.0.1.wait(woken).unwrap();
        }
    }
}

impl Wake for Token {
    unsafe fn wake(self) {
        let mut woken = self.0.0.lock().unwrap();
        assert!(!*woken, "woken twice");
        *woken = true;
        self.0.1.notify_one();
    }
}

struct Shared {
    semaphore: RawSemaphore<Token>,
    /// Touched only by who holds the whole semaphore.
    n: UnsafeCell<u32>,
}

// SAFETY: `n` is touched only by who holds everything; that this suffices is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { semaphore: RawSemaphore::new(size), n: UnsafeCell::new(0) })
    }

    fn acquire(&self, want: usize) {
        if self.semaphore.try_acquire(want) {
            return;
        }
        let token = Token::new();
        let node = Node::new(Waiter::new(want, Case::only(), token));
        // SAFETY: the node is new, and stays until the wake.
        if !unsafe { self.semaphore.join(NonNull::from(&node)) } {
            // SAFETY: `join` has kept the lock.
            unsafe { self.semaphore.unlock() };
            token.wait();
        }
    }

    /// As `acquire`, with another thread that ends the wait at any time; whether it was granted.
    fn acquire_or_give_up(&self, want: usize) -> bool {
        let token = Token::new();
        let claim = Arc::new(Claim::new());
        let node = Node::new(Waiter::new(want, Case::of(NonNull::from(&*claim), GRANT), token));
        // SAFETY: the node is new, and stays until the wake, or until it was withdrawn.
        if unsafe { self.semaphore.join(NonNull::from(&node)) } {
            return true;
        }
        let other = {
            let claim = Arc::clone(&claim);
            thread::spawn(move || {
                if claim.take(GIVE_UP) {
                    // SAFETY: the claim is taken here, so this is the one wake.
                    unsafe { token.wake() };
                }
            })
        };
        // SAFETY: `join` has kept the lock.
        unsafe { self.semaphore.unlock() };
        token.wait();
        other.join().unwrap();
        let granted = claim.winner() == Some(GRANT);
        if !granted {
            // SAFETY: the claim is taken, and not by a grant.
            unsafe { self.semaphore.withdraw(NonNull::from(&node)) };
        }
        granted
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

/// With the whole semaphore in each hand it is a mutex.
#[test]
fn all_of_it_excludes_others() {
    for (threads, turns, preemptions) in [(2, 3, 3), (3, 1, 2)] {
        explore(preemptions, move || {
            let shared = Shared::new(2);
            let work = move |shared: &Shared| {
                for _ in 0..turns {
                    shared.acquire(2);
                    shared.add();
                    shared.release(2);
                }
            };
            let others: Vec<_> = (1..threads)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || work(&shared))
                })
                .collect();
            work(&shared);
            others.into_iter().for_each(|other| other.join().unwrap());
            shared.assert_free();
            // SAFETY: the others are gone.
            assert_eq!(shared.n.with(|n| unsafe { *n }), threads * turns);
        });
    }
}

/// One release serves several, and several releases serve one.
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

/// Two releases that are both needed, and neither sees the waiter alone.
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

/// A wait that is given up against its grant: what was granted is given back once, and nothing is lost.
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

/// The first wants more than there is, and gives up: the one behind it is served, by whoever comes.
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
        // Without any release, while the first may still hope.
        second.join().unwrap();
        shared.release(1);
        first.join().unwrap();
        shared.assert_free();
    });
}

/// `try_acquire` does not pass those who wait, and takes nothing if it fails.
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
