//! One who waits in a channel.
//!
//! A waiter is untyped: everything about waiting (queues, claims, closing) is written once for all types, and only who
//! moves a value knows its type.
//!
//! # Vocabulary
//! *Sender, receiver*: the node of a waiting operation; its `value` points to the value, or to where one is wanted.
//! *Promise*: the node of a select's send. It has no value: a select evaluates a message only when its arm was chosen.
//!
//! | a peer pops | and | the owner wakes with |
//! | --- | --- | --- |
//! | a sender | takes its value | `Moved` |
//! | a receiver | gives it a value | `Moved` |
//! | a receiver, in a select's send | evaluates the message first: gives it the value, or gives up | `Moved` or `Retry` |
//! | a promise, as room became free | keeps the room for it | `Room` |
//! | a promise, as a receiver | *introduces* itself: it waits until the owner gives it the value | `Peer` |
//! | any, as the channel closes | | `Closed` |
//!
//! Who wakes with `Retry` begins again, behind those that wait by then: the one exception from first-in-first-out.
//!
//! # Invariants
//! * I1: a node in a queue, its value and its waker are in a frame that its owner leaves only after the wake, or after it
//!   has taken the node out under the queue's lock.
//! * I2: who pops a node and reserves its case is the only one to touch `value` and `outcome` until it wakes the owner.

use std::mem;
use std::ptr::{self, NonNull};

use crate::primitive::{Case, UnsafeCell, WaitNode, Waker};

/// A place in a queue.
pub(crate) type Node = WaitNode<Waiter>;

/// What a peer must know about one who waits.
pub(crate) struct Waiter {
    /// Which case of which operation this is.
    pub(crate) case: Case,
    /// Wakes the owner, when the operation is completed.
    waker: Waker,
    /// A sender's value, where a receiver wants its value, or null for a promise.
    value: *mut (),
    outcome: UnsafeCell<Outcome>,
}

/// How a wait ended.
pub(crate) enum Outcome {
    /// Nobody completed the operation: the channel was closed.
    Closed,
    /// The value was moved.
    Moved,
    /// For a promise: there is room in the buffer, kept for the owner.
    Room,
    /// For a promise: this receiver waits for the owner's value.
    Peer(Popped),
    /// The peer that was to complete the operation gave up, or what the owner waits for has changed: begin again.
    Retry,
}

impl Waiter {
    #[inline]
    pub(crate) fn new(case: Case, waker: Waker, value: *mut ()) -> Self {
        Self { case, waker, value, outcome: UnsafeCell::new(Outcome::Closed) }
    }

    /// How the wait ended.
    ///
    /// # Safety
    /// The wake has come, so that nobody else looks at the node (I2).
    #[inline]
    pub(crate) unsafe fn outcome(&self) -> Outcome {
        // SAFETY: the caller's contract.
        self.outcome.with_mut(|outcome| mem::replace(unsafe { &mut *outcome }, Outcome::Closed))
    }
}

/// A node that was popped and reserved: its owner waits for this to be completed, and for a wake.
pub(crate) struct Popped(NonNull<Node>);

impl Popped {
    /// # Safety
    /// The caller has reserved the node's case, or has the node in its own frame and passes it on as `Outcome::Peer`. The
    /// owner stays in its frame until it is woken.
    #[inline]
    pub(crate) unsafe fn new(node: NonNull<Node>) -> Self {
        Self(node)
    }

    /// The node, which is in no list.
    pub(crate) fn node(self) -> NonNull<Node> {
        self.0
    }

    #[inline]
    fn waiter(&self) -> &Waiter {
        // SAFETY: I1: the owner keeps the node until it is woken, which consumes this.
        unsafe { &self.0.as_ref().value }
    }

    /// Notes how the wait has ended. The waker is owed a wake.
    #[inline]
    pub(crate) fn end(self, outcome: Outcome) -> Waker {
        let waiter = self.waiter();
        // SAFETY: I2. What was there is `Closed`, which needs no drop.
        waiter.outcome.with_mut(|old| unsafe { old.write(outcome) });
        waiter.waker
    }

    /// Whether this is a promise: a send whose value is still to come.
    #[inline]
    pub(crate) fn is_promise(&self) -> bool {
        self.waiter().value.is_null()
    }

    /// Completes a send: moves the value to `to`. The waker is owed a wake.
    ///
    /// # Safety
    /// The waiter is a sender of `T`, not a promise; `to` may be written.
    #[inline]
    pub(crate) unsafe fn take<T>(self, to: *mut T) -> Waker {
        // SAFETY: the caller's contract, and I2; the owner takes the value for gone.
        unsafe { ptr::copy_nonoverlapping(self.waiter().value.cast::<T>(), to, 1) };
        self.end(Outcome::Moved)
    }

    /// Completes a receive: moves the value from `from`. The waker is owed a wake.
    ///
    /// # Safety
    /// The waiter is a receiver of `T`; there is a value at `from`, which is gone afterwards.
    #[inline]
    pub(crate) unsafe fn give<T>(self, from: *const T) -> Waker {
        // SAFETY: the caller's contract, and I2.
        unsafe { ptr::copy_nonoverlapping(from, self.waiter().value.cast::<T>(), 1) };
        self.end(Outcome::Moved)
    }
}
