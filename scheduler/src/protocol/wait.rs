//! What the locks ask of their surroundings.
//!
//! The protocols decide who waits and who is let go. How somebody waits, as a goroutine or as a thread, is the
//! business of whoever uses them; the models wait in loom.

/// A way to block. One value is one wait of the caller.
pub trait Wait {
    /// Wakes one waiter, once.
    type Waker: Clone;

    /// Captures the caller.
    fn new() -> Self;

    /// The waker of this wait.
    fn waker(&self) -> Self::Waker;

    /// Blocks until the waker is used; calls `commit` once, from where a waker may find the caller.
    fn block(&self, commit: impl FnOnce());

    /// Lets the waiter go on.
    ///
    /// # Safety
    /// The waiter is in `block` and its `commit` has begun; this is the one wake-up of that call; the caller holds no
    /// [`RawLock`](super::lock::RawLock).
    unsafe fn wake(waker: Self::Waker);

    /// Spins for a moment, as the `round`th time in a row; returns false at once if that is not worth it.
    fn spin(round: u32) -> bool;
}
