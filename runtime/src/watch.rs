//! Waiting for a descriptor, and for the close of a channel at the same time.
//!
//! # Invariants
//! * I1: the claim and the watch stay in the frame of [`wait`] until `leave` has passed through the channel's lock:
//!   nobody finds them after that.

use std::ptr::NonNull;

use greenthread_channels::closing::{CloseWaiter, Closing, Joined};
use greenthread_scheduler::protocol::claim::{Case, Claim};
use greenthread_scheduler::{Descriptor, Direction, Ended, WaitReason, Woken};

/// Blocks until the descriptor seems ready in this direction, or the channel is closed, or for nothing: the caller looks at both.
///
/// # Errors
/// As [`Descriptor::wait`].
///
/// # Panics
/// As [`Descriptor::wait`].
pub(crate) fn wait(
    io: &Descriptor,
    direction: Direction,
    reason: WaitReason,
    closing: Closing<'_>,
) -> Result<Woken, Ended> {
    let claim = Claim::new();
    let mut watch = None;
    let woken = io.wait_watched(direction, reason, |waker| {
        let watch = watch.insert(CloseWaiter::new(Case::of(NonNull::from(&claim), 0), waker));
        // SAFETY: I1. The claim is open and has no other node; the waker may be used at any time, so the wait need not have begun.
        let joined = unsafe { closing.join(watch) };
        joined.map(Joined::unlock).is_some()
    });
    if let Some(watch) = &watch {
        // SAFETY: it has joined, or the channel was closed, for which leaving is no harm. Passing through the lock is what I1 asks for.
        unsafe { closing.leave(watch, false) };
    }
    woken
}
