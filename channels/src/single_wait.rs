//! Waiting in one channel: how the plain operations block, with and without a deadline.
//!
//! A `select!` waits in several channels at once (`select`).

use std::ptr::NonNull;
use std::time::Instant;

use crate::head::{Direction, Guard, Head, wake};
use crate::primitive::{Blocker, Case, Claim, Timed, WaitReason};
use crate::waiter::{ClaimedWaiter, Node, Outcome, PinnedNode, Waiter};

/// Why an operation that was ready to wait did nothing.
pub(crate) enum WaitError {
    /// The channel is closed, and for a receive drained.
    Closed,
    /// The deadline has come.
    Deadline,
}

/// What one attempt at an operation needs in order to wait.
pub(crate) struct WaitSetup<'a> {
    blocker: &'a Blocker,
    /// The deadline, which is armed, and the claim that it takes.
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
                // The timer is armed before the attempt takes a lock, since arming takes a mutex
                // and may allocate.
                // SAFETY: the claim is new and shut, and belongs to this wait.
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
    /// At `value` there is a value of the channel's type to send, which is gone afterwards if it
    /// was moved; or there is room for one, which is filled if it was moved. It stays in place for
    /// the call.
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
        // SAFETY: the node is new, and stays in this frame until the wake, or until it is removed
        // below.
        let pinned = unsafe { PinnedNode::new(NonNull::from(&node)) };
        let owed = self.locked().enqueue(direction, pinned).map(|watcher| watcher.complete(Outcome::Retry));
        // After the unlock this frame may be gone.
        let commit = move || {
            self.unlock();
            wake(owed);
        };
        match setup.limit {
            // SAFETY: the blocker was made for this attempt. After the unlock the commit step only
            // uses the waker that it owns.
            None => unsafe { setup.blocker.block(reason(direction), commit) },
            Some((timed, claim)) => {
                // SAFETY: a waiter that leaves this frame has passed through the lock since, here
                // or through the peer that has claimed it.
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
        // SAFETY: the wake has come.
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
        // SAFETY: the contract about `value` is the caller's.
        unsafe { self.wait(direction, value, WaitSetup { blocker: &Blocker::new(), limit: None }) }
    }

    /// Waits for the value of a claimed permit request, and releases the lock.
    ///
    /// The value goes to `to`. Returns `false` if the owner of the request has given up.
    ///
    /// # Safety
    /// The request was claimed under this lock. There is room at `to` for a value of the channel's
    /// type, which stays in place for the call.
    #[cold]
    pub(crate) unsafe fn rendezvous(self, request: ClaimedWaiter, to: *mut ()) -> bool {
        let blocker = Blocker::new();
        let node = Node::new(Waiter::new(Case::only(), blocker.waker(), to));
        // SAFETY: the node lies in this frame until the wake, which its only peer, the owner of the
        // request, owes it.
        let receiver = unsafe { ClaimedWaiter::new(NonNull::from(&node)) };
        let owner = request.complete(Outcome::Receiver(receiver));
        // Only the owner can end this wait, and it does nothing before it is woken here.
        let commit = move || {
            self.unlock();
            owner.wake();
        };
        // SAFETY: the blocker was made for this wait. After the unlock the commit step only uses
        // the waker that it owns.
        unsafe { blocker.block(WaitReason::ChanReceive, commit) };
        // SAFETY: the wake has come.
        matches!(unsafe { node.value.outcome() }, Outcome::Moved)
    }
}

fn reason(direction: Direction) -> WaitReason {
    match direction {
        Direction::Send => WaitReason::ChanSend,
        Direction::Recv => WaitReason::ChanReceive,
    }
}
