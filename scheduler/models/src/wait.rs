//! How the modelled locks wait: in loom's `Notify`, with a clock and spinning that the model chooses.

use std::marker::PhantomData;

use loom::sync::{Arc, Notify};

use crate::primitive::{AtomicBool, Ordering};
use crate::protocol::raw_mutex::TimedWait;
use crate::protocol::wait::Wait;

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

/// Wakes one wait.
#[derive(Clone)]
pub struct Token(Arc<(Notify, AtomicBool)>);

/// One wait of a modelled thread.
pub struct LoomWait<S>(Token, PhantomData<S>);

impl<S: Surroundings> Wait for LoomWait<S> {
    type Waker = Token;

    fn new() -> Self {
        Self(Token(Arc::new((Notify::new(), AtomicBool::new(false)))), PhantomData)
    }

    fn waker(&self) -> Token {
        self.0.clone()
    }

    fn block(&self, commit: impl FnOnce()) {
        commit();
        let (notify, woken) = &*self.0.0;
        while !woken.load(Ordering::Acquire) {
            notify.wait();
        }
    }

    unsafe fn wake(waker: Token) {
        let (notify, woken) = &*waker.0;
        assert!(!woken.swap(true, Ordering::Release), "woken twice");
        notify.notify();
    }

    fn spin(round: u32) -> bool {
        // No pause: it would let others run, and hide what happens when they do not.
        round < S::SPINS
    }
}

impl<S: Surroundings> TimedWait for LoomWait<S> {
    type Since = ();

    fn now() {}

    fn starved((): ()) -> bool {
        S::STARVES
    }
}
