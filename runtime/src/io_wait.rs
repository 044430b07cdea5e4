//! Waiting for a descriptor and for the close of a channel at the same time.
//!
//! # Invariants
//! * I1: the claim and the close waiter stay in the frame of [`wait_or_close`] until `leave` has
//!   passed through the channel's lock. No other thread can find them after that.

use std::ptr::NonNull;

use greenthread_channels::closing::{CloseWaiter, Closing, Joined};
use greenthread_scheduler::protocol::claim::{Case, Claim};
use greenthread_scheduler::{Descriptor, Direction, Ended, IoWake, WaitReason};

/// Blocks until the descriptor seems ready in this direction or the channel is closed.
///
/// It may also return early, with [`IoWake::Interrupted`], so the caller checks both conditions.
///
/// # Errors
/// Returns the same errors as [`Descriptor::wait`].
///
/// # Panics
/// If another wait in this direction is in progress, like [`Descriptor::wait`].
pub(crate) fn wait_or_close(
    io: &Descriptor,
    direction: Direction,
    reason: WaitReason,
    closing: Closing<'_>,
) -> Result<IoWake, Ended> {
    let claim = Claim::new();
    let mut close_waiter = None;
    let woken = io.wait_watched(direction, reason, |waker| {
        let close_waiter = close_waiter.insert(CloseWaiter::new(Case::of(NonNull::from(&claim), 0), waker));
        // SAFETY: I1. The claim is open and has no other node. The waker may be used at any time,
        // so the wait need not have begun.
        let joined = unsafe { closing.join(close_waiter) };
        joined.map(Joined::unlock).is_some()
    });
    if let Some(close_waiter) = &close_waiter {
        // SAFETY: I1: `leave` passes through the channel's lock. Either the waiter has joined, or
        // the channel was closed and leaving has no effect.
        unsafe { closing.leave(close_waiter, false) };
    }
    woken
}
