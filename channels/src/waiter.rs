//! A waiter: the payload of the wait node that a blocked operation links into a channel's queue.
//!
//! A waiter is untyped. The code for waiting (queues, claims, closing) is written once for all
//! types, and only the code that moves a value knows its type.
//!
//! # Vocabulary
//! * *Sender, receiver*: the node of a blocked operation. Its `value` points to the value to send,
//!   or to the slot for the received value.
//! * *Permit request*: the node of a select's send. It has no value, because a select evaluates the
//!   message of a send only after the send was chosen.
//! * *Claim*: a peer removes a node from its queue and reserves the node's case, so that no other
//!   peer can complete the same operation (`protocol::claim` in the scheduler). The peer then holds
//!   a [`ClaimedWaiter`], completes the operation, and owes the waiter one wake.
//! * *Rendezvous*: a receiver that claims a permit request finds no value to take yet. The receiver
//!   hands its own node to the owner of the request, and waits until the owner has evaluated the
//!   message.
//!
//! | a peer claims | and | the owner wakes with |
//! | --- | --- | --- |
//! | a sender | takes its value | `Moved` |
//! | a receiver | gives it a value | `Moved` |
//! | a receiver, for a select's send | evaluates the message, then gives it the value | `Moved` |
//! | a receiver, for a select's send | fails to evaluate the message, and gives up | `Retry` |
//! | a permit request, because room became free | reserves a buffer slot for it | `Slot` |
//! | a permit request, as a receiver | starts a rendezvous | `Receiver` |
//! | any node, because the channel closes | | `Closed` |
//!
//! A waiter that wakes with `Retry` starts over and requeues at the tail. This is the only
//! exception to first-in-first-out order.
//!
//! # Invariants
//! * I1: a node in a queue, its value and its waker lie in a frame that the node's owner leaves
//!   only after its wake, or after it has removed the node under the queue's lock.
//! * I2: the peer that has claimed a node is the only one that touches `value` and `outcome` until
//!   it wakes the owner.
//! * I3: an [`OwedWake`] is the only wake of its waiter. The waiter was claimed under a lock after
//!   the waiter's commit step had released that lock.

use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};

use crate::primitive::{Case, UnsafeCell, WaitNode, WakeBatch, Waker};

/// A node in a channel's queue.
pub(crate) type Node = WaitNode<Waiter>;

/// The information that a peer needs about a blocked operation.
pub(crate) struct Waiter {
    /// The case of the operation for which this node stands.
    pub(crate) case: Case,
    /// Wakes the owner when the operation is completed.
    waker: Waker,
    /// A sender's value, a receiver's slot, or null for a permit request.
    value: *mut (),
    outcome: UnsafeCell<Outcome>,
}

/// The outcome of a wait.
pub(crate) enum Outcome {
    /// The channel was closed before a peer completed the operation.
    Closed,
    /// The value was moved.
    Moved,
    /// For a permit request: a buffer slot is reserved for the owner.
    Slot,
    /// For a permit request: this receiver waits for the owner's value.
    Receiver(ClaimedWaiter),
    /// The peer gave up, or the state that the owner waits on has changed: the owner starts over.
    Retry,
}

impl Waiter {
    #[inline]
    pub(crate) fn new(case: Case, waker: Waker, value: *mut ()) -> Self {
        Self { case, waker, value, outcome: UnsafeCell::new(Outcome::Closed) }
    }

    /// Returns the outcome of the wait.
    ///
    /// # Safety
    /// The owner was woken, so the peer no longer touches the node (I2).
    #[inline]
    pub(crate) unsafe fn outcome(&self) -> Outcome {
        // SAFETY: I2: the caller was woken, so the peer no longer uses `outcome`.
        self.outcome.with_mut(|outcome| mem::replace(unsafe { &mut *outcome }, Outcome::Closed))
    }
}

/// A node that may be linked into a queue, because its owner keeps it in place as I1 requires.
pub(crate) struct PinnedNode(NonNull<Node>);

impl PinnedNode {
    /// Promises that the node stays in place.
    ///
    /// # Safety
    /// The node is in no list. Its owner leaves the frame that holds it only after the wake, or
    /// after it has removed the node under the lock of the queue that it was linked into (I1).
    #[inline]
    pub(crate) unsafe fn new(node: NonNull<Node>) -> Self {
        Self(node)
    }

    #[inline]
    pub(crate) fn into_inner(self) -> NonNull<Node> {
        self.0
    }
}

/// A waiter that a peer has claimed. The peer has to complete the waiter's operation and wake the
/// waiter.
#[must_use = "the waiter blocks until its operation is completed"]
pub(crate) struct ClaimedWaiter(NonNull<Node>);

impl ClaimedWaiter {
    /// Takes charge of a waiter.
    ///
    /// # Safety
    /// The caller has reserved the node's case, or the node lies in the caller's own frame and is
    /// handed to a peer as [`Outcome::Receiver`]. The node is in no list, and its owner stays in
    /// its frame until it is woken (I1).
    #[inline]
    pub(crate) unsafe fn new(node: NonNull<Node>) -> Self {
        Self(node)
    }

    /// Returns the node, which is in no list.
    pub(crate) fn into_node(self) -> NonNull<Node> {
        self.0
    }

    #[inline]
    fn waiter(&self) -> &Waiter {
        // SAFETY: I1: the owner keeps the node until it is woken, and waking the owner first
        // consumes `self`.
        unsafe { &self.0.as_ref().value }
    }

    /// Ends the wait with `outcome`.
    #[inline]
    pub(crate) fn complete(self, outcome: Outcome) -> OwedWake {
        let waiter = self.waiter();
        // SAFETY: I2: the waiter is claimed. The old outcome is `Closed`, which needs no drop.
        waiter.outcome.with_mut(|old| unsafe { old.write(outcome) });
        OwedWake(waiter.waker)
    }

    /// Returns `true` if this is a permit request: a select's send that has no value yet.
    #[inline]
    pub(crate) fn wants_permit(&self) -> bool {
        self.waiter().value.is_null()
    }

    /// Completes a send by moving the waiter's value to `to`.
    ///
    /// # Safety
    /// The waiter is a sender of `T`, and not a permit request.
    #[inline]
    pub(crate) unsafe fn take<T>(self, to: &mut MaybeUninit<T>) -> OwedWake {
        // SAFETY: the waiter is a sender of `T` by the contract above. By I2 only this peer touches
        // the value, and the owner treats the value as moved out after `Moved`.
        unsafe { ptr::copy_nonoverlapping(self.waiter().value.cast::<T>(), to.as_mut_ptr(), 1) };
        self.complete(Outcome::Moved)
    }

    /// Completes a receive by moving the value at `from` into the waiter's slot.
    ///
    /// # Safety
    /// The waiter is a receiver of `T`. There is a value at `from`, which counts as moved out
    /// afterwards.
    #[inline]
    pub(crate) unsafe fn give<T>(self, from: *const T) -> OwedWake {
        // SAFETY: both types are `T` by the contract above, and by I2 only this peer touches the
        // slot.
        unsafe { ptr::copy_nonoverlapping(from, self.waiter().value.cast::<T>(), 1) };
        self.complete(Outcome::Moved)
    }
}

/// The wake that a peer owes to a waiter whose operation it has completed.
#[must_use = "the waiter sleeps until it is woken"]
pub(crate) struct OwedWake(Waker);

impl OwedWake {
    /// Wakes the waiter.
    ///
    /// The caller must have released the channel's lock. A wake may first run other goroutines on
    /// this thread, and they would spin on the lock.
    #[inline]
    pub(crate) fn wake(self) {
        // SAFETY: I3: this is the only wake, and the waiter's commit step has begun to release the
        // lock under which the waiter was claimed.
        unsafe { self.0.wake() };
    }

    /// Adds the wake to `batch`, which delivers it later.
    pub(crate) fn push_to(self, batch: &mut WakeBatch) {
        batch.push(self.0);
    }
}
