//! How the modeled locks wait: in one of loom's `Condvar`s, with a clock and spinning that the
//! model chooses, and with other threads that end the wait.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem;
use std::ptr::NonNull;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::protocol::claim::{Case, Claim};
use crate::protocol::sync::env::{Limit, Wait, WaitOutcome, Wake};
use crate::protocol::sync::raw_mutex::TimedWait;

/// The behavior of the clock and of spinning in a model.
pub trait Surroundings {
    /// `true` if every lost wait starves, `false` if none does.
    const STARVES: bool;
    /// The number of rounds that a waiter spins.
    const SPINS: u32;
}

/// No waiter starves or spins.
pub struct Patient;
impl Surroundings for Patient {
    const STARVES: bool = false;
    const SPINS: u32 = 0;
}

/// A waiter checks once more before it queues.
pub struct Spinning;
impl Surroundings for Spinning {
    const STARVES: bool = false;
    const SPINS: u32 = 1;
}

/// The cases of a wait that another thread may end.
const SERVED: usize = 0;
const ENDED: usize = 1;

/// Wakes one wait.
#[derive(Clone)]
pub struct Token {
    case: Case,
    sleeper: Arc<(Mutex<bool>, Condvar)>,
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

impl Token {
    /// Creates a wait that has yet to be woken.
    pub fn new() -> Self {
        Self::of(Case::only())
    }

    fn of(case: Case) -> Self {
        Self { case, sleeper: Arc::new((Mutex::new(false), Condvar::new())) }
    }

    /// Blocks until it is woken.
    pub fn wait(&self) {
        let (woken, wake) = &*self.sleeper;
        let mut woken = woken.lock().unwrap();
        while !*woken {
            woken = wake.wait(woken).unwrap();
        }
    }
}

impl Wake for Token {
    fn prefetch(&self) {}

    unsafe fn reserve(&self) -> bool {
        // SAFETY: this function has the same contract as `Case::reserve`.
        unsafe { self.case.reserve() }
    }

    unsafe fn wake(self) {
        let (woken, wake) = &*self.sleeper;
        assert!(!mem::replace(&mut *woken.lock().unwrap(), true), "woken twice");
        wake.notify_one();
    }
}

/// A single wait of a modeled thread.
pub struct LoomWait<S>(Token, PhantomData<S>);

// SAFETY: `Token::wait` returns when the token was used.
unsafe impl<S: Surroundings> Wait for LoomWait<S> {
    type Waker = Token;

    fn new() -> Self {
        Self(Token::new(), PhantomData)
    }

    fn waker(&self) -> Token {
        self.0.clone()
    }

    unsafe fn block(&self, commit: impl FnOnce()) {
        commit();
        self.0.wait();
    }

    fn spin(round: u32) -> bool {
        // Does not pause. A pause would let other threads run, and hide what happens when they do
        // not.
        round < S::SPINS
    }
}

/// Lets another thread end each wait at any time; reached as soon as that thread has ended one.
#[derive(Default)]
pub struct GiveUp(Cell<bool>);

// SAFETY: the wait ends served, or it withdraws.
unsafe impl Limit for GiveUp {
    type Waker = Token;

    fn has_come(&self) -> bool {
        self.0.get()
    }

    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(Token) -> Option<C>, withdraw: impl FnOnce()) -> WaitOutcome {
        let claim = Arc::new(Claim::new());
        let token = Token::of(Case::of(NonNull::from(&*claim), SERVED));
        let Some(commit) = enter(token.clone()) else { return WaitOutcome::NotNeeded };
        let other = {
            let (claim, token) = (Arc::clone(&claim), token.clone());
            thread::spawn(move || {
                if claim.take(ENDED) {
                    // SAFETY: the claim is taken here, so the token receives no other wake.
                    unsafe { token.wake() };
                }
            })
        };
        commit();
        token.wait();
        other.join().unwrap();
        if claim.winner() == Some(SERVED) {
            return WaitOutcome::Served;
        }
        withdraw();
        self.0.set(true);
        WaitOutcome::Ended
    }
}

/// Ends each wait by itself, as soon as other threads can have found it; reached as soon as it has
/// ended one.
#[derive(Default)]
pub struct AtOnce(Cell<bool>);

// SAFETY: the wait ends served, or it withdraws.
unsafe impl Limit for AtOnce {
    type Waker = Token;

    fn has_come(&self) -> bool {
        self.0.get()
    }

    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(Token) -> Option<C>, withdraw: impl FnOnce()) -> WaitOutcome {
        let claim = Claim::new();
        let token = Token::of(Case::of(NonNull::from(&claim), SERVED));
        let Some(commit) = enter(token.clone()) else { return WaitOutcome::NotNeeded };
        commit();
        if !claim.take(ENDED) {
            token.wait();
            return WaitOutcome::Served;
        }
        withdraw();
        self.0.set(true);
        WaitOutcome::Ended
    }
}

impl<S: Surroundings> TimedWait for LoomWait<S> {
    type Since = ();

    fn now() {}

    fn starved((): ()) -> bool {
        S::STARVES
    }
}
