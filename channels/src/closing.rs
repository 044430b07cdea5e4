//! The door for waits of another kind that the close of a channel ends too: locks and semaphores that give up when a
//! context is done.
//!
//! # Protocol
//! The close is one more case of the operation (`protocol::claim` in the scheduler). The waiter takes the lock of what it
//! waits for, links its node there, and then joins the channel ([`Closing::join`]), which takes the channel's lock and keeps it.
//! Both nodes have cases of one claim, which is open from the start. The commit step releases both locks. When the wait is over,
//! [`Closing::leave`] passes through the channel's lock, and the waiter through its own, as far as it has not won there.
//!
//! The channel's lock is taken last: nobody waits for another lock while it holds one of a channel.
//!
//! Its node is a *watcher*, not a receiver. To a receiver a `select!` could make a promise and then take it back, and it
//! would count as somebody who waits for a value. A watcher, too, can be told that a value seems to come, if somebody selects on
//! a send that can never be made. Then the wait has ended for nothing, and begins again.
//!
//! # Invariants
//! * I1: a watch is in the channel's queue only between `join` and `leave`, which are called by its owner, in its frame.

use std::convert::Infallible;
use std::fmt;
use std::ptr::{self, NonNull};

use crate::handle::{Receiver, Sender};
use crate::head::{Direction, Head};
use crate::primitive::{Case, Waker};
use crate::waiter::{Node, Outcome, Waiter};

/// A channel as one who waits for its close sees it.
#[derive(Clone, Copy)]
pub struct Closing<'a>(Option<&'a Head>);

/// A place among those who watch a channel. In the frame of who waits.
pub struct Watch(Node);

impl Watch {
    /// A watch for `case` of an operation, whose owner is woken by `waker`.
    #[inline]
    pub fn new(case: Case, waker: Waker) -> Self {
        Self(Node::new(Waiter::new(case, waker, ptr::null_mut())))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Watch { .. }")
    }
}

impl fmt::Debug for Closing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing").field("closed", &self.is_closed()).finish()
    }
}

impl<'a> Closing<'a> {
    /// The close of this channel. A nil channel never closes.
    #[inline]
    pub fn of(receiver: &'a Receiver<Infallible>) -> Self {
        Self(receiver.head())
    }

    /// The close of this channel, for one who has nothing to send just now: that the last receiver is dropped closes it too. A nil channel
    /// never closes.
    #[inline]
    pub fn of_sender<T>(sender: &'a Sender<T>) -> Self {
        Self(sender.head())
    }

    /// Whether the channel is closed. Takes no lock. Who sees it sees what was done before.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.0.is_some_and(Head::is_closed)
    }

    /// Puts the watch into the channel's queue and keeps the channel's lock (true), or finds it closed (false).
    ///
    /// # Safety
    /// The case of the watch belongs to an operation whose claim is open, and whose other nodes are found only under locks that the
    /// caller holds; no lock of a channel is among them. Or the claim is shut, the commit step opens it before it calls
    /// [`unlock`](Self::unlock), and whoever finds the other nodes takes it early. After true the caller blocks, calls [`unlock`](Self::unlock) in its commit
    /// step, and [`leave`](Self::leave) before it leaves the frame with the watch.
    pub unsafe fn join(&self, watch: &Watch) -> bool {
        let Some(head) = self.0 else { return true };
        head.lock();
        // SAFETY: locked above; the node is new, and stays as the caller says (I1).
        unsafe {
            let open = head.is_open();
            if open {
                head.queue(Direction::Recv).push_watcher(NonNull::from(&watch.0));
            } else {
                head.unlock();
            }
            open
        }
    }

    /// Releases the lock that [`join`](Self::join) has kept.
    ///
    /// # Safety
    /// The caller has joined, and has not called this since.
    #[inline]
    pub unsafe fn unlock(&self) {
        if let Some(head) = self.0 {
            // SAFETY: `join` has taken it.
            unsafe { head.unlock() };
        }
    }

    /// Ends the watch. `won`: whether the claim was taken for its case. If it was and the channel is not closed, the wait has ended
    /// for nothing.
    ///
    /// # Safety
    /// The caller has joined and blocked, and the wait is over: the claim is taken, and the wake has come. It holds no lock.
    pub unsafe fn leave(&self, watch: &Watch, won: bool) {
        let Some(head) = self.0 else { return };
        if won {
            // SAFETY: the claim was taken for this node, and the wake has come.
            let closed = matches!(unsafe { watch.0.value.outcome() }, Outcome::Closed);
            if !closed {
                // It was told what is not for it: the next one may want to know.
                // SAFETY: the caller holds no lock.
                unsafe { head.pass_word_on(Direction::Recv) };
            }
            return;
        }
        head.lock();
        // SAFETY: locked above; the node is among the watchers or in no list.
        unsafe {
            head.queue(Direction::Recv).remove_watcher(NonNull::from(&watch.0));
            head.unlock();
        }
    }
}
