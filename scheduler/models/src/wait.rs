//! How the modelled locks wait: in loom's `Notify`, with a clock and spinning that the model chooses, and with others who end
//! the wait.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use loom::sync::{Arc, Notify};
use loom::thread;

use crate::primitive::{AtomicBool, Ordering};
use crate::protocol::claim::{Case, Claim};
use crate::protocol::raw_mutex::TimedWait;
use crate::protocol::wait::{Limit, Wait, Woken};

/// What the clock and the spinning are in a model.
pub trait Surroundings {
    /// Whether every lost wait starves, or none does.
    const STARVES: bool;
    /// Rounds that a waiter spins.
    const SPINS: u32;
}

/// Nobody starves or spins.
pub struct Patient;
impl Surroundings for Patient {
    const STARVES: bool = false;
    const SPINS: u32 = 0;
}

/// A waiter looks once more before it queues.
pub struct Spinning;
impl Surroundings for Spinning {
    const STARVES: bool = false;
    const SPINS: u32 = 1;
}

/// The cases of a wait that may be ended.
const SERVED: usize = 0;
const ENDED: usize = 1;

/// Wakes one wait.
#[derive(Clone)]
pub struct Token {
    case: Case,
    sleeper: Sleeper,
}

/// Who sleeps until it is woken.
#[derive(Clone)]
struct Sleeper(Arc<(Notify, AtomicBool)>);

impl Sleeper {
    fn new() -> Self {
        Self(Arc::new((Notify::new(), AtomicBool::new(false))))
    }

    fn sleep(&self) {
        let (notify, woken) = &*self.0;
        while !woken.load(Ordering::Acquire) {
            notify.wait();
        }
    }

    fn wake(&self) {
        let (notify, woken) = &*self.0;
        assert!(!woken.swap(true, Ordering::Release), "woken twice");
        notify.notify();
    }
}

/// One wait of a modelled thread.
pub struct LoomWait<S>(Sleeper, PhantomData<S>);

impl<S: Surroundings> Wait for LoomWait<S> {
    type Waker = Token;

    fn new() -> Self {
        Self(Sleeper::new(), PhantomData)
    }

    fn waker(&self) -> Token {
        Token { case: Case::only(), sleeper: self.0.clone() }
    }

    fn block(&self, commit: impl FnOnce()) {
        commit();
        self.0.sleep();
    }

    unsafe fn reserve(waker: &Token) -> bool {
        // SAFETY: the contract of this function is that of `Case::reserve`.
        unsafe { waker.case.reserve() }
    }

    unsafe fn wake(waker: Token) {
        waker.sleeper.wake();
    }

    fn spin(round: u32) -> bool {
        // No pause: it would let others run, and hide what happens when they do not.
        round < S::SPINS
    }
}

/// Lets another thread end each wait at any time. Has come as soon as it has ended one.
#[derive(Default)]
pub struct GiveUp(Cell<bool>);

impl Limit for GiveUp {
    type Waker = Token;

    fn has_come(&self) -> bool {
        self.0.get()
    }

    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(Token) -> Option<C>, withdraw: impl FnOnce()) -> Woken {
        let (claim, sleeper) = (Arc::new(Claim::new()), Sleeper::new());
        let case = Case::of(NonNull::from(&*claim), SERVED);
        let Some(commit) = enter(Token { case, sleeper: sleeper.clone() }) else { return Woken::Needless };
        let other = {
            let (claim, sleeper) = (Arc::clone(&claim), sleeper.clone());
            thread::spawn(move || {
                if claim.take(ENDED) {
                    sleeper.wake();
                }
            })
        };
        commit();
        sleeper.sleep();
        other.join().unwrap();
        if claim.winner() == Some(SERVED) {
            return Woken::Served;
        }
        withdraw();
        self.0.set(true);
        Woken::Ended
    }
}

impl<S: Surroundings> TimedWait for LoomWait<S> {
    type Since = ();

    fn now() {}

    fn starved((): ()) -> bool {
        S::STARVES
    }
}
