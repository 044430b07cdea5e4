//! The environment that the locks need: a way to block, a way to wake, and a limit that may end a
//! wait early.
//!
//! The protocols decide which callers wait and which are released. Their users decide how a waiter
//! blocks (as a goroutine or as a thread) and what may end a wait early. The models block in loom.
//!
//! # Waits that something else may end
//! A deadline, or the end of a context, is a further party that may take the waiter's claim
//! ([`crate::protocol::claim`]). The rules are the same for all locks:
//!
//! 1. The waiter links its node under the lock of the queue, and the commit step releases that lock
//!    ([`Limit::wait`]).
//! 2. A peer that removes a node in order to serve it [reserves](Wake::reserve) the waiter under
//!    the same hold of the lock. If that fails, the wait has ended in another way: the node is
//!    dropped, and the next one is served.
//! 3. A waiter whose wait was ended takes the lock of the queue once more, and removes its node if
//!    the node is still in the queue. If others waited only because of this waiter, it releases
//!    them.

use std::fmt;
use std::marker::PhantomData;

/// A way to wake one waiter.
pub trait Wake: Clone {
    /// Hints that [`wake`](Self::wake) will be called soon: the waiter's data has probably left the
    /// cache.
    fn prefetch(&self);

    /// Reserves the waiter.
    ///
    /// Returns `true` if it still waits. From then on only [`wake`](Self::wake) ends its wait, and
    /// the caller owes it that call.
    ///
    /// # Safety
    /// The caller holds the lock of the queue in which it found the waiter's node, and has removed
    /// the node under this same hold.
    unsafe fn reserve(&self) -> bool;

    /// Wakes the waiter, once.
    ///
    /// # Safety
    /// The waiter blocks, and its commit step has begun to release the lock under which this waker
    /// was found. This call is the only wake-up of that wait. The caller holds no
    /// [`RawLock`](crate::protocol::lock::RawLock).
    unsafe fn wake(self);
}

/// A way to block: each value represents one wait of its creator.
///
/// # Safety
/// [`block`](Self::block) does not return before the waker is used. Otherwise the waiter would
/// leave its frame while a queue still points into the frame.
pub unsafe trait Wait {
    /// Wakes one waiter, once.
    type Waker: Wake;

    /// Creates a wait for the calling goroutine or thread.
    fn new() -> Self;

    /// Returns the waker of this wait.
    fn waker(&self) -> Self::Waker;

    /// Blocks until the waker is used. Calls `commit` once, at a point after which a waker may find
    /// the caller.
    ///
    /// # Safety
    /// The caller is the goroutine or thread that created this. `commit` does not panic or block,
    /// and does not touch the frame after it has released the lock of the queue.
    unsafe fn block(&self, commit: impl FnOnce());

    /// Spins for a moment, for the `round`th time in a row.
    ///
    /// Returns `false` immediately if spinning is not worthwhile.
    fn spin(round: u32) -> bool;
}

/// The outcome of a limited wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// There was nothing to wait for.
    NotNeeded,
    /// The waker ended the wait.
    Served,
    /// The limit, or occasionally a spurious wake-up, ended the wait.
    Ended,
}

/// A condition that may end a wait early.
///
/// # Safety
/// [`wait`](Self::wait) does not return before the waker was used or `withdraw` was called.
pub unsafe trait Limit {
    /// Wakes one waiter; see [`Wait::Waker`].
    type Waker;

    /// Returns `true` if the limit has been reached, so that no one should wait anymore.
    fn has_come(&self) -> bool;

    /// Waits once, for a caller that holds no [`RawLock`](crate::protocol::lock::RawLock).
    ///
    /// Calls `enter` once. `enter` checks whether there is something to wait for, links the
    /// caller's node with the waker under the lock of a queue, and returns the commit step, which
    /// releases that lock. If the wait is [ended](WaitOutcome::Ended), calls `withdraw`, which
    /// takes the lock and removes the node if it is still in the queue.
    ///
    /// # Safety
    /// The closures behave as described above, and a peer that uses the waker has reserved it. The
    /// commit step does not touch the frame after it has released the lock.
    unsafe fn wait<C: FnOnce()>(
        &self,
        enter: impl FnOnce(Self::Waker) -> Option<C>,
        withdraw: impl FnOnce(),
    ) -> WaitOutcome;
}

/// The absence of a limit: blocks as `W` does.
pub struct Unlimited<W>(PhantomData<W>);

impl<W> Unlimited<W> {
    /// Creates a value that sets no limit.
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
    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(W::Waker) -> Option<C>, _: impl FnOnce()) -> WaitOutcome {
        let wait = W::new();
        let Some(commit) = enter(wait.waker()) else { return WaitOutcome::NotNeeded };
        // SAFETY: the calling goroutine or thread created `wait` above; `commit` is as the contract
        // of `Limit::wait` demands.
        unsafe { wait.block(commit) };
        WaitOutcome::Served
    }
}
