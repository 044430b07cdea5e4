//! Waiting in one channel: the plain operations, with and without a deadline. (`select` waits in several.)

use std::ptr::NonNull;
use std::time::Instant;

use crate::head::{Direction, Head, wake};
use crate::primitive::{Blocker, Case, Claim, Timed, WaitReason, Waker};
use crate::waiter::{Node, Outcome, Popped, Waiter};

/// Why an operation that could wait did nothing.
pub(crate) enum Stop {
    /// The channel is closed, and for a receive drained.
    Closed,
    /// The deadline has come.
    Deadline,
}

/// How long to wait.
pub(crate) struct Patience<'a> {
    blocker: &'a Blocker,
    limit: Option<(Timed<'a>, &'a Claim)>,
}

/// The cases of a wait with a deadline.
const PEER: usize = 0;
const DEADLINE: usize = 1;

/// Calls `round` until it says that it is done, or that it was stopped.
pub(crate) fn persist(
    deadline: Option<Instant>,
    mut round: impl FnMut(Patience<'_>) -> Result<bool, Stop>,
) -> Result<(), Stop> {
    loop {
        let blocker = Blocker::new();
        let done = match deadline {
            None => round(Patience { blocker: &blocker, limit: None })?,
            Some(deadline) => {
                let claim = Claim::shut();
                // Before the round takes a lock: setting a timer is no work for under a spin lock.
                // SAFETY: the claim is new, and belongs to this wait.
                unsafe {
                    blocker.with_deadline(deadline, &claim, DEADLINE, |timed| {
                        round(Patience { blocker: &blocker, limit: Some((timed, &claim)) })
                    })
                }?
            }
        };
        if done {
            return Ok(());
        }
    }
}

impl Head {
    /// Queues up, releases the lock, and waits; true if the value was moved from or to `value`, false to begin again with new
    /// patience.
    ///
    /// # Safety
    /// The caller holds the lock, and has found under it that it must wait. At `value` there is a value to send, which is gone
    /// afterwards if it was moved, or room for one, which was filled then.
    #[inline]
    pub(crate) unsafe fn wait(
        &self,
        direction: Direction,
        value: *mut (),
        patience: Patience<'_>,
    ) -> Result<bool, Stop> {
        let case = match patience.limit {
            None => Case::only(),
            Some((_, claim)) => Case::of(NonNull::from(claim), PEER),
        };
        let node = Node::new(Waiter::new(case, patience.blocker.waker(), value));
        // SAFETY: the caller holds the lock. The node is new, and stays here until the wake, or until it is removed.
        let owed = unsafe { self.enqueue(direction, NonNull::from(&node)) }.map(|watcher| watcher.end(Outcome::Retry));
        // SAFETY: the caller holds the lock.
        let commit = move || unsafe { self.unlock_and_wake(owed) };
        match patience.limit {
            // SAFETY: the blocker is the caller's own; the commit step wakes by wakers that it has brought along.
            None => unsafe { patience.blocker.block(reason(direction), commit) },
            Some((timed, claim)) => {
                // SAFETY: who leaves here has passed through the lock since, or a peer has.
                unsafe { timed.block(reason(direction), commit) };
                if claim.winner() != Some(PEER) {
                    self.lock();
                    // SAFETY: locked above; the node is in this queue or in none.
                    unsafe {
                        self.queue(direction).remove(NonNull::from(&node));
                        self.unlock();
                    }
                    return Err(Stop::Deadline);
                }
            }
        }
        // SAFETY: the wake has come.
        match unsafe { node.value.outcome() } {
            Outcome::Moved => Ok(true),
            Outcome::Closed => Err(Stop::Closed),
            // The last two are for promises.
            Outcome::Retry | Outcome::Room | Outcome::Peer(_) => Ok(false),
        }
    }

    /// [`wait`](Self::wait) without a deadline.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    pub(crate) unsafe fn wait_for_ever(&self, direction: Direction, value: *mut ()) -> Result<bool, Stop> {
        // SAFETY: the caller's contract.
        unsafe { self.wait(direction, value, Patience { blocker: &Blocker::new(), limit: None }) }
    }

    /// Waits for the value of a promise, releasing the lock; false if its owner has given up. The value goes to `to`.
    ///
    /// # Safety
    /// The caller holds the lock, under which it has popped the promise; there is room for a value at `to`.
    #[cold]
    pub(crate) unsafe fn meet(&self, promise: Popped, to: *mut ()) -> bool {
        let blocker = Blocker::new();
        let node = Node::new(Waiter::new(Case::only(), blocker.waker(), to));
        // SAFETY: the node is in this frame until the wake that its only peer, the owner of the promise, owes it.
        let owner = promise.end(Outcome::Peer(unsafe { Popped::new(NonNull::from(&node)) }));
        // SAFETY: the caller holds the lock. The owner lets nobody into this frame before it is woken.
        let commit = move || unsafe { self.unlock_and_wake(Some(owner)) };
        // SAFETY: the blocker is the caller's own; the commit step touches the frame no more once it has unlocked.
        unsafe { blocker.block(WaitReason::ChanReceive, commit) };
        // SAFETY: the wake has come.
        matches!(unsafe { node.value.outcome() }, Outcome::Moved)
    }

    /// The commit step: from the unlock on the frame of who waits may be gone.
    ///
    /// # Safety
    /// The caller holds the lock, under which `owed` was reserved.
    #[inline]
    unsafe fn unlock_and_wake(&self, owed: Option<Waker>) {
        // SAFETY: the caller's contract.
        unsafe {
            self.unlock();
            wake(owed);
        }
    }
}

fn reason(direction: Direction) -> WaitReason {
    match direction {
        Direction::Send => WaitReason::ChanSend,
        Direction::Recv => WaitReason::ChanReceive,
    }
}
