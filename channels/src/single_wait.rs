//! Waiting on one channel: how the plain operations block, with and without a deadline.
//!
//! A `select!` waits on several channels at once (`select`).

use std::ptr::NonNull;
use std::time::Instant;

use crate::head::{Direction, Guard, Head, wake};
use crate::primitive::{Blocker, Case, Claim, Timed, WaitReason};
use crate::waiter::{ClaimedWaiter, Node, Outcome, PinnedNode, Waiter};

/// The reason why an operation that was ready to wait did nothing.
pub(crate) enum WaitError {
    /// The channel is closed and, for a receive, drained.
    Closed,
    /// The deadline was reached.
    Deadline,
}

/// The means that one attempt at an operation needs in order to wait.
pub(crate) struct WaitSetup<'a> {
    blocker: &'a Blocker,
    /// The armed deadline, and the claim that the deadline takes.
    limit: Option<(Timed<'a>, &'a Claim)>,
}

/// The case of a peer, in a wait with a deadline.
const PEER: usize = 0;
/// The case of the deadline.
const DEADLINE: usize = 1;

/// Calls `attempt` until it returns `true` or an error.
pub(crate) fn retry_until_done(
    deadline: Option<Instant>,
    mut attempt: impl FnMut(WaitSetup<'_>) -> Result<bool, WaitError>,
) -> Result<(), WaitError> {
    loop {
        let blocker = Blocker::new();
        let done = match deadline {
            None => attempt(WaitSetup { blocker: &blocker, limit: None })?,
            Some(deadline) => {
                let claim = Claim::shut();
                // The timer is armed before the attempt takes a lock, because arming takes a mutex
                // and may allocate. SAFETY: the claim is new and shut, and belongs to this wait.
                unsafe {
                    blocker.with_deadline(deadline, &claim, DEADLINE, |timed| {
                        attempt(WaitSetup { blocker: &blocker, limit: Some((timed, &claim)) })
                    })
                }?
            }
        };
        if done {
            return Ok(());
        }
    }
}

impl Guard<'_, Head> {
    /// Enqueues the operation, releases the lock, and waits.
    ///
    /// Returns `true` if the value was moved from or to `value`, and `false` if the caller has to
    /// start over with a new setup. The caller has found under the lock that it has to wait.
    ///
    /// # Safety
    /// For a send, there is a value of the channel's type at `value`, and `true` means that the
    /// value was moved out. For a receive, there is room for such a value at `value`, and `true`
    /// means that the room was filled. The place stays valid for the call.
    #[inline]
    pub(crate) unsafe fn wait(
        mut self,
        direction: Direction,
        value: *mut (),
        setup: WaitSetup<'_>,
    ) -> Result<bool, WaitError> {
        let head = self.get();
        let case = match setup.limit {
            None => Case::only(),
            Some((_, claim)) => Case::of(NonNull::from(claim), PEER),
        };
        let node = Node::new(Waiter::new(case, setup.blocker.waker(), value));
        // SAFETY: the node is new, and stays in this frame until its owner is woken, or until the
        // node is removed below.
        let pinned = unsafe { PinnedNode::new(NonNull::from(&node)) };
        let owed = self.locked().enqueue(direction, pinned).map(|watcher| watcher.complete(Outcome::Retry));
        // This frame may be gone after the unlock.
        let commit = move || {
            self.unlock();
            wake(owed);
        };
        match setup.limit {
            // SAFETY: the blocker was made for this attempt. After the unlock the commit step only
            // uses the waker that it owns.
            None => unsafe { setup.blocker.block(reason(direction), commit) },
            Some((timed, claim)) => {
                // SAFETY: before a waiter leaves this frame, the channel's lock has been taken
                // again, either below or by the peer that has claimed the waiter.
                unsafe { timed.block(reason(direction), commit) };
                if claim.winner() != Some(PEER) {
                    let mut guard = head.lock();
                    // SAFETY: the node is in this queue or in none.
                    unsafe { guard.locked().queue(direction).remove(NonNull::from(&node)) };
                    guard.unlock();
                    return Err(WaitError::Deadline);
                }
            }
        }
        // SAFETY: the owner of the node was woken.
        match unsafe { node.value.outcome() } {
            Outcome::Moved => Ok(true),
            Outcome::Closed => Err(WaitError::Closed),
            // The last two are for permit requests.
            Outcome::Retry | Outcome::Slot | Outcome::Receiver(_) => Ok(false),
        }
    }

    /// Waits like [`wait`](Self::wait), without a deadline.
    ///
    /// # Safety
    /// The same contract about `value` as for [`wait`](Self::wait).
    #[inline(never)]
    pub(crate) unsafe fn wait_forever(self, direction: Direction, value: *mut ()) -> Result<bool, WaitError> {
        // SAFETY: the caller promises the same about `value`.
        unsafe { self.wait(direction, value, WaitSetup { blocker: &Blocker::new(), limit: None }) }
    }

    /// Waits for the value of a claimed permit request, and releases the lock.
    ///
    /// The value goes to `to`. Returns `false` if the owner of the request has given up.
    ///
    /// # Safety
    /// The request was claimed under this lock. At `to` there is room for a value of the channel's
    /// type, and the room stays in place for the call.
    #[cold]
    pub(crate) unsafe fn rendezvous(self, request: ClaimedWaiter, to: *mut ()) -> bool {
        let blocker = Blocker::new();
        let node = Node::new(Waiter::new(Case::only(), blocker.waker(), to));
        // SAFETY: the node stays in this frame until this waiter is woken by its only peer, the
        // owner of the request.
        let receiver = unsafe { ClaimedWaiter::new(NonNull::from(&node)) };
        let owner = request.complete(Outcome::Receiver(receiver));
        // Only the owner of the request can end this wait, and the owner does nothing before it is
        // woken here.
        let commit = move || {
            self.unlock();
            owner.wake();
        };
        // SAFETY: the blocker was made for this wait. After the unlock the commit step only uses
        // the waker that it owns.
        unsafe { blocker.block(WaitReason::ChanReceive, commit) };
        // SAFETY: the owner of the node was woken.
        matches!(unsafe { node.value.outcome() }, Outcome::Moved)
    }
}

fn reason(direction: Direction) -> WaitReason {
    match direction {
        Direction::Send => WaitReason::ChanSend,
        Direction::Recv => WaitReason::ChanReceive,
    }
}
