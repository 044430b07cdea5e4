//! The functions to which `select!` expands, and the support for sibling crates.
//!
//! This module is not part of the public interface, and may change with any version.
//!
//! An arm is a value in the frame of the `select!`. It knows the type of its channel, and has room
//! for the value that it receives. `select` only borrows the arms. Afterwards the chosen arm is
//! finished. Any order of calls is safe, because finishing an arm that was not chosen panics.

use std::fmt;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use crate::chan::Chan;
use crate::error::{RecvError, SendError, TrySendError};
use crate::handle::{Receiver, Sender};
use crate::head::Grant;
use crate::select::{Arm, Completion, Goal, Limit, select_arms};

/// Sends a value at once, in place of the oldest value if the buffer is full.
///
/// Returns the displaced value. All other operations see this as one step, so no value is displaced
/// unless the buffer is full. Use it only on channels whose senders never wait, because it would
/// overtake waiting senders.
///
/// # Errors
/// If the channel is closed, or if no receiver waits and the channel has no buffer or is nil.
pub fn displace<T>(sender: &Sender<T>, value: T) -> Result<Option<T>, TrySendError<T>> {
    match sender.chan() {
        Some(chan) => chan.displace(value),
        None => Err(TrySendError::Full(value)),
    }
}

const NOT_CHOSEN: &str = "select: this arm was not chosen, so it has no result";

/// An arm that receives.
pub struct RecvArm<'a, T> {
    arm: Arm<'a>,
    slot: MaybeUninit<T>,
}

/// An arm that sends.
pub struct SendArm<'a, T> {
    arm: Arm<'a>,
    chan: Option<&'a Chan<T>>,
}

/// A send that was chosen and will not block.
///
/// Dropping the permit releases what is reserved for the send.
pub struct Permit<'a, T> {
    chan: Option<&'a Chan<T>>,
    grant: Option<Grant>,
}

/// An arm of any type.
#[repr(transparent)]
pub struct CaseRef<'b>(&'b Arm<'b>);

impl<'a, T> RecvArm<'a, T> {
    /// Creates an arm that receives from `receiver`.
    #[inline]
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        Self { arm: receiver.arm(), slot: MaybeUninit::uninit() }
    }

    /// Returns the arm for [`select`].
    #[inline]
    pub fn case(&mut self) -> CaseRef<'_> {
        self.arm.set_slot(self.slot.as_mut_ptr().cast());
        CaseRef(&self.arm)
    }

    /// Returns the result of the receive.
    #[inline]
    pub fn finish(self) -> Result<T, RecvError> {
        match self.arm.take_completion() {
            // SAFETY: I2 of `arm`: the slot was set by `case`, and the completion says that it is
            // filled.
            Some(Completion::Received(true)) => Ok(unsafe { self.slot.assume_init() }),
            Some(Completion::Received(false)) => Err(RecvError),
            _ => panic!("{NOT_CHOSEN}"),
        }
    }
}

impl<'a, T> SendArm<'a, T> {
    /// Creates an arm that sends to `sender`.
    #[inline]
    pub fn new(sender: &'a Sender<T>) -> Self {
        Self { arm: sender.arm(), chan: sender.chan() }
    }

    /// Returns the arm for [`select`].
    #[inline]
    pub fn case(&mut self) -> CaseRef<'_> {
        self.arm.set_slot(std::ptr::null_mut());
        CaseRef(&self.arm)
    }

    /// Returns the permit to send that was granted.
    #[inline]
    pub fn permit(self) -> Permit<'a, T> {
        match self.arm.take_completion() {
            Some(Completion::Granted(grant)) => Permit::new(self.chan, grant),
            _ => panic!("{NOT_CHOSEN}"),
        }
    }
}

impl<'a, T> Permit<'a, T> {
    #[inline]
    pub(crate) fn new(chan: Option<&'a Chan<T>>, grant: Grant) -> Self {
        Self { chan, grant: Some(grant) }
    }

    /// Sends the message, without blocking.
    #[inline]
    pub fn send(mut self, msg: T) -> Result<(), SendError<T>> {
        match (self.chan, self.grant.take()) {
            (Some(chan), Some(grant)) => chan.send_granted(grant, msg),
            // A permit has no channel only if it was never granted, since a nil channel grants
            // none.
            _ => Err(SendError(msg)),
        }
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if let (Some(chan), Some(grant)) = (self.chan, self.grant.take()) {
            chan.return_grant(grant);
        }
    }
}

/// Waits until one of the arms is chosen, and returns its number.
#[inline]
pub fn select(cases: &mut [CaseRef<'_>], biased: bool) -> usize {
    choose(cases, Limit::Never, biased).expect("select: waits until an arm is chosen")
}

/// Chooses one of the arms if that is possible now, and returns its number.
#[inline]
pub fn try_select(cases: &mut [CaseRef<'_>], biased: bool) -> Option<usize> {
    choose(cases, Limit::Now, biased)
}

/// Waits for at most `timeout` until one of the arms is chosen, and returns its number.
pub fn select_timeout(cases: &mut [CaseRef<'_>], timeout: Duration, biased: bool) -> Option<usize> {
    let limit = Instant::now().checked_add(timeout).map_or(Limit::Never, Limit::At);
    choose(cases, limit, biased)
}

#[inline]
fn choose(cases: &mut [CaseRef<'_>], limit: Limit, biased: bool) -> Option<usize> {
    for (index, case) in cases.iter().enumerate() {
        case.0.set_index(index);
    }
    // SAFETY: `CaseRef` is a transparent wrapper. The lifetime of an arm is the borrow of its
    // channel, which outlives the arm.
    let arms = unsafe { &mut *(std::ptr::from_mut(cases) as *mut [&Arm<'_>]) };
    // SAFETY: `case` sets the slot of an arm and borrows the arm exclusively for as long as the
    // case exists. So each arm is in the list once and stays in place.
    let position = unsafe { select_arms(arms, Goal::Perform, limit, biased) }?;
    Some(arms[position].index())
}

impl<T> fmt::Debug for RecvArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvArm { .. }")
    }
}

impl<T> fmt::Debug for SendArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendArm { .. }")
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Permit { .. }")
    }
}

impl fmt::Debug for CaseRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("CaseRef { .. }")
    }
}
