//! What the locks ask of their surroundings.
//!
//! The protocols decide who waits and who is let go. How somebody waits, as a goroutine or as a thread, and what may
//! end the wait before its turn, is the business of whoever uses them; the models wait in loom.
//!
//! # Waits that something else may end
//! A deadline, or the end of a context, is one more who may take the waiter's claim ([`crate::protocol::claim`]). The rules are the
//! same for all locks:
//!
//! 1. The waiter links its node under the lock of the queue, and the commit step releases that lock ([`Limit::wait`]).
//! 2. Whoever takes a node out in order to serve it [reserves](Wake::reserve) the waiter, under the same hold of the lock. If
//!    that fails the wait has ended in another way: the node is dropped, and the next one is served.
//! 3. A waiter whose wait was ended takes the lock of the queue once more, and takes its node out if it is still there. If others
//!    waited only because of this one, it lets them go.

use std::fmt;
use std::marker::PhantomData;

/// A way to let one waiter go on.
pub trait Wake: Clone {
    /// A hint that [`wake`](Self::wake) will come soon. The waiter has not been in anybody's cache for long.
    fn prefetch(&self);

    /// Whether the waiter still waits; from now on [`wake`](Self::wake) alone ends its wait, and is owed to it.
    ///
    /// # Safety
    /// The caller holds the lock of the queue in which it found the waiter's node, and has taken it out under this same hold.
    unsafe fn reserve(&self) -> bool;

    /// Lets the waiter go on, once.
    ///
    /// # Safety
    /// The waiter blocks, and its commit step has begun to release the lock under which this was found; this is the one
    /// wake-up of that wait; the caller holds no [`RawLock`](crate::protocol::lock::RawLock).
    unsafe fn wake(self);
}

/// A way to block. One value is one wait of the caller.
///
/// # Safety
/// [`block`](Self::block) does not return before the waker was used, or its frame would be left while a queue still names
/// it.
pub unsafe trait Wait {
    /// Wakes one waiter, once.
    type Waker: Wake;

    /// Captures the caller.
    fn new() -> Self;

    /// The waker of this wait.
    fn waker(&self) -> Self::Waker;

    /// Blocks until the waker is used; calls `commit` once, from where a waker may find the caller.
    ///
    /// # Safety
    /// The caller is the goroutine or thread that made this. `commit` does not panic or block, and does not touch the
    /// frame after it has released the lock of the queue.
    unsafe fn block(&self, commit: impl FnOnce());

    /// Spins for a moment, as the `round`th time in a row; returns false at once if that is not worth it.
    fn spin(round: u32) -> bool;
}

/// How a limited wait came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There was nothing to wait for.
    Needless,
    /// By its waker.
    Served,
    /// By what limits it; now and then also for nothing.
    Ended,
}

/// What may end a wait before its turn.
///
/// # Safety
/// [`wait`](Self::wait) does not return before the waker was used, or `withdraw` was called.
pub unsafe trait Limit {
    /// As [`Wait::Waker`].
    type Waker;

    /// Whether it has come, so that nobody should wait any more.
    fn has_come(&self) -> bool;

    /// One wait of the caller, who holds no [`RawLock`](crate::protocol::lock::RawLock). Calls `enter` once: it looks whether
    /// there is something to wait for, links the caller's node with the waker under the lock of a queue, and returns
    /// the commit step, which releases that lock. If the wait is [ended](Woken::Ended), calls `withdraw`, which takes
    /// the lock and takes the node out if it is still in the queue.
    ///
    /// # Safety
    /// The closures do what is said above, and whoever uses the waker has reserved it. The commit step does not touch the frame
    /// after it has released the lock.
    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(Self::Waker) -> Option<C>, withdraw: impl FnOnce()) -> Woken;
}

/// No limit: waits as `W`.
pub struct Unlimited<W>(PhantomData<W>);

impl<W> Unlimited<W> {
    /// No limit.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<W> Default for Unlimited<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> fmt::Debug for Unlimited<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Unlimited")
    }
}

// SAFETY: a `Wait` blocks until its waker is used.
unsafe impl<W: Wait> Limit for Unlimited<W> {
    type Waker = W::Waker;

    fn has_come(&self) -> bool {
        false
    }

    #[inline]
    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(W::Waker) -> Option<C>, _: impl FnOnce()) -> Woken {
        let wait = W::new();
        let Some(commit) = enter(wait.waker()) else { return Woken::Needless };
        // SAFETY: made above; the rest is the caller's contract.
        unsafe { wait.block(commit) };
        Woken::Served
    }
}
