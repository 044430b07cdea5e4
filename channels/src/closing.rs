//! Support for waits outside of channels that the close of a channel also ends: locks and
//! semaphores that give up when a context is done.
//!
//! # Protocol
//! The close is one more case of the operation (`protocol::claim` in the scheduler). The waiter
//! takes the lock of the object that it waits for and links its node there. Then it joins the
//! channel ([`Closing::join`]), which takes the channel's lock and keeps it. The two nodes are
//! cases of the same claim, which is open from the start. The commit step releases both locks. When
//! the wait is over, [`Closing::leave`] passes through the channel's lock, and the waiter passes
//! through its own lock unless it was completed there.
//!
//! The channel's lock is taken last: no thread waits for another lock while it holds a channel's
//! lock.
//!
//! The node is a *watcher*, not a receiver. A `select!` could send to a receiver and then give up,
//! and a receiver would count as an operation that waits for a value. A watcher can also be
//! notified of a value that never arrives, if a select offers a send but does not make it. That
//! wake is spurious, and the wait starts over.
//!
//! # Invariants
//! * I1: a [`CloseWaiter`] is in the channel's queue only between `join` and `leave`, which its
//!   owner calls, and lies in the owner's frame.

use std::convert::Infallible;
use std::fmt;
use std::ptr::{self, NonNull};

use crate::handle::{Receiver, Sender};
use crate::head::{Direction, Guard, Head};
use crate::primitive::{Case, Waker};
use crate::waiter::{Node, Outcome, PinnedNode, Waiter};

/// A channel as seen by an operation that waits for its close.
#[derive(Clone, Copy)]
pub struct Closing<'a>(Option<&'a Head>);

/// A node for waiting until a channel closes.
///
/// It lies in the waiter's frame.
pub struct CloseWaiter(Node);

/// The lock of a channel that an operation has joined.
#[must_use = "the channel stays locked until `unlock`"]
pub struct Joined<'a>(Option<Guard<'a, Head>>);

impl CloseWaiter {
    /// Creates a node for `case` of an operation, with the waker of the operation's owner.
    #[inline]
    pub fn new(case: Case, waker: Waker) -> Self {
        Self(Node::new(Waiter::new(case, waker, ptr::null_mut())))
    }
}

impl Joined<'_> {
    /// Releases the channel's lock as part of the commit step.
    #[inline]
    pub fn unlock(self) {
        if let Some(guard) = self.0 {
            guard.unlock();
        }
    }
}

impl fmt::Debug for CloseWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("CloseWaiter { .. }")
    }
}

impl fmt::Debug for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Joined { .. }")
    }
}

impl fmt::Debug for Closing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing").field("closed", &self.is_closed()).finish()
    }
}

impl<'a> Closing<'a> {
    /// Observes the close of this channel.
    ///
    /// A nil channel never closes.
    #[inline]
    pub fn of(receiver: &'a Receiver<Infallible>) -> Self {
        Self(receiver.head())
    }

    /// Observes the close of this channel, for a sender that has nothing to send.
    ///
    /// Dropping the last receiver closes the channel too. A nil channel never closes.
    #[inline]
    pub fn of_sender<T>(sender: &'a Sender<T>) -> Self {
        Self(sender.head())
    }

    /// Returns `true` if the channel is closed.
    ///
    /// Takes no lock. A thread that sees the close sees what the closing thread did before.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.0.is_some_and(Head::is_closed)
    }

    /// Links the waiter into the channel's queue and keeps the channel's lock.
    ///
    /// Returns `None` if the channel is closed.
    ///
    /// # Safety
    /// One of two conditions holds. Either the claim of the waiter's operation is open, and peers
    /// find the other nodes of the operation only under locks that the caller holds, none of them a
    /// channel's lock. Or the claim is shut, the commit step opens it before it calls
    /// [`Joined::unlock`], and peers that find the other nodes take the claim early.
    ///
    /// If this returns `Some`, the caller blocks, calls [`Joined::unlock`] in its commit step, and
    /// calls [`leave`](Self::leave) before it leaves the frame that holds the waiter (I1).
    pub unsafe fn join(&self, waiter: &CloseWaiter) -> Option<Joined<'a>> {
        let Some(head) = self.0 else { return Some(Joined(None)) };
        let mut guard = head.lock();
        if !guard.locked().is_open() {
            guard.unlock();
            return None;
        }
        // SAFETY: I1: the node is in no list, and the caller calls `leave` before it leaves the
        // frame.
        let node = unsafe { PinnedNode::new(NonNull::from(&waiter.0)) };
        guard.locked().queue(Direction::Recv).push_watcher(node);
        Some(Joined(Some(guard)))
    }

    /// Ends the wait.
    ///
    /// `won` says whether the claim was taken for the waiter's case. If it was, and the channel is
    /// not closed, the wake was spurious.
    ///
    /// # Safety
    /// Either the caller has joined and blocked, and the wait is over: the claim is taken, and the
    /// caller was woken. Or `join` told the caller that the channel is closed. In both cases, the
    /// caller holds no lock.
    pub unsafe fn leave(&self, waiter: &CloseWaiter, won: bool) {
        let Some(head) = self.0 else { return };
        if won {
            // SAFETY: the claim was taken for this node, and its owner was woken.
            let closed = matches!(unsafe { waiter.0.value.outcome() }, Outcome::Closed);
            if !closed {
                // The event is of no use to this waiter, but the next watcher may need it.
                head.notify_next_watcher(Direction::Recv);
            }
            return;
        }
        let mut guard = head.lock();
        // SAFETY: I1: the node is among the watchers of this queue or in no list.
        unsafe { guard.locked().queue(Direction::Recv).remove_watcher(NonNull::from(&waiter.0)) };
        guard.unlock();
    }
}
