//! The queue of one side of a channel: the senders or the receivers that wait.
//!
//! It has two lists. *Waiters* wait for a peer to complete their operation, and peers complete the
//! longest-waiting one first. *Watchers* wait to learn when their operation can be performed
//! (`Select::ready`). They are notified one at a time, and each notifies the next
//! ([`notify_next_watcher`](crate::head::Head::notify_next_watcher)). So an operation pays for at
//! most one wake, however many watchers there are.
//!
//! # Invariants
//! * I1: the lists are touched only under the lock of the channel, that is, through a
//!   [`Locked<Queue>`](Locked).
//! * I2: a node in a list lies in a frame that the node's owner leaves only after the wake, or
//!   after it has removed the node.
//! * I3: `occupied` says whether `waiters` holds a node, and is written only under the lock. The
//!   node of an operation that was completed through another queue still counts until a peer meets
//!   it or its owner removes it.
//!
//! # Orderings
//! * P1: the release store of `occupied` -> its acquire load: if a close emptied the queue, a
//!   thread that sees the queue empty also sees the close (P1 of `head`).

use std::ptr::NonNull;

use crate::locked::Locked;
use crate::primitive::{AtomicBool, Ordering, UnsafeCell, WaitList, WakeBatch, prefetch_frames};
use crate::waiter::{ClaimedWaiter, Node, Outcome, PinnedNode, Waiter};

/// The waiters and watchers of one side of a channel.
pub(crate) struct Queue {
    waiters: UnsafeCell<WaitList<Waiter>>,
    watchers: UnsafeCell<WaitList<Waiter>>,
    /// `true` if `waiters` holds a node (I3).
    occupied: AtomicBool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            waiters: UnsafeCell::new(WaitList::new()),
            watchers: UnsafeCell::new(WaitList::new()),
            occupied: AtomicBool::new(false),
        }
    }

    /// Returns `true` if an operation seems to be waiting.
    #[inline]
    pub(crate) fn is_occupied(&self) -> bool {
        // ORDERING P1: acquire pairs with the release in `set_occupied`.
        self.occupied.load(Ordering::Acquire)
    }

    #[inline]
    fn set_occupied(&self, occupied: bool) {
        // ORDERING P1: release pairs with the acquire in `is_occupied`.
        self.occupied.store(occupied, Ordering::Release);
    }
}

impl Locked<'_, Queue> {
    #[inline]
    fn waiters<R>(&mut self, f: impl FnOnce(&mut WaitList<Waiter>) -> R) -> R {
        // SAFETY: I1: the token proves that the lock is held, and `&mut self` makes the access
        // exclusive.
        self.get().waiters.with_mut(|list| f(unsafe { &mut *list }))
    }

    #[inline]
    fn watchers<R>(&mut self, f: impl FnOnce(&mut WaitList<Waiter>) -> R) -> R {
        // SAFETY: I1: the token proves that the lock is held, and `&mut self` makes the access
        // exclusive.
        self.get().watchers.with_mut(|list| f(unsafe { &mut *list }))
    }

    /// Appends a waiter.
    #[inline]
    pub(crate) fn push(&mut self, node: PinnedNode) {
        // SAFETY: `PinnedNode` promises I2, and the node is in no list.
        self.waiters(|list| unsafe { list.push_back(node.into_inner()) });
        self.get().set_occupied(true);
    }

    /// Appends a watcher.
    pub(crate) fn push_watcher(&mut self, node: PinnedNode) {
        // SAFETY: `PinnedNode` promises I2, and the node is in no list.
        self.watchers(|list| unsafe { list.push_back(node.into_inner()) });
    }

    /// Removes a waiter, if it is still in the queue.
    ///
    /// # Safety
    /// The caller owns the node, which is among the waiters of this queue or in no list.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, node: NonNull<Node>) {
        let queue = self.get();
        self.waiters(|list| {
            // SAFETY: the owner keeps the node alive, and it is in this list or in none.
            if unsafe { list.remove(node) } {
                queue.set_occupied(!list.is_empty());
            }
        });
    }

    /// Removes a watcher, if it is still in the queue.
    ///
    /// # Safety
    /// The caller owns the node, which is among the watchers of this queue or in no list.
    pub(crate) unsafe fn remove_watcher(&mut self, node: NonNull<Node>) {
        // SAFETY: the owner keeps the node alive, and it is in this list or in none.
        self.watchers(|list| unsafe { list.remove(node) });
    }

    /// Claims the longest-waiting operation that has not been completed yet.
    #[inline]
    pub(crate) fn claim_first(&mut self) -> Option<ClaimedWaiter> {
        if self.waiters(|list| list.is_empty()) { None } else { self.claim_first_of_some() }
    }

    #[inline]
    fn claim_first_of_some(&mut self) -> Option<ClaimedWaiter> {
        let queue = self.get();
        self.waiters(|list| {
            if let Some(node) = list.front() {
                prefetch_frames(node);
            }
            let claimed = claim_from(list);
            queue.set_occupied(!list.is_empty());
            claimed
        })
    }

    /// Claims the longest-waiting watcher. The caller completes it with `Retry`.
    #[inline]
    pub(crate) fn claim_watcher(&mut self) -> Option<ClaimedWaiter> {
        self.watchers(|list| if list.is_empty() { None } else { claim_from(list) })
    }

    /// Returns `true` if an operation that has not been completed yet is waiting.
    ///
    /// Removes the nodes in front of that operation's node, which belong to completed operations.
    pub(crate) fn has_claimable(&mut self) -> bool {
        let queue = self.get();
        self.waiters(|list| {
            while let Some(node) = list.front() {
                // SAFETY: I2: the node is in the queue, whose lock is held.
                if unsafe { node.as_ref().value.case.is_open() } {
                    break;
                }
                list.pop_front();
            }
            queue.set_occupied(!list.is_empty());
            !list.is_empty()
        })
    }

    /// Returns `true` if there is neither a waiter nor a watcher.
    #[inline]
    pub(crate) fn is_empty(&mut self) -> bool {
        self.waiters(|list| list.is_empty()) && self.watchers(|list| list.is_empty())
    }

    /// Completes operations with `outcome`, the longest-waiting first, until `batch` is full.
    ///
    /// The caller wakes the batch. Returns `true` if no waiter and no watcher is left.
    pub(crate) fn complete_batch(&mut self, batch: &mut WakeBatch, outcome: fn() -> Outcome) -> bool {
        let mut complete = |list: &mut WaitList<Waiter>| {
            while !batch.is_full() {
                let Some(claimed) = claim_from(list) else { break };
                claimed.complete(outcome()).push_to(batch);
            }
            list.is_empty()
        };
        let no_waiter = self.waiters(&mut complete);
        self.get().set_occupied(!no_waiter);
        no_waiter && self.watchers(complete)
    }

    /// Returns the number of waiters.
    #[cfg(test)]
    pub(crate) fn count(&mut self) -> usize {
        self.waiters(|list| {
            // SAFETY: `next` is asked for nodes that are in the list.
            std::iter::successors(list.front(), |&node| unsafe { list.next(node) }).count()
        })
    }
}

/// Claims the first node in a list whose operation has not been completed yet.
///
/// The list belongs to a queue whose lock is held: no other `&mut` to it can exist (I1).
#[inline]
fn claim_from(list: &mut WaitList<Waiter>) -> Option<ClaimedWaiter> {
    while let Some(node) = list.pop_front() {
        // SAFETY: I2: the node was in the queue until now, and was unlinked under the queue's lock,
        // which is still held.
        if unsafe { node.as_ref().value.case.reserve() } {
            // SAFETY: the case was reserved above, and the node is in no list. I2 keeps its owner
            // in place.
            return Some(unsafe { ClaimedWaiter::new(node) });
        }
    }
    None
}

/// Watchers that were claimed under locks and are woken later. The list links the nodes in the
/// watchers' own frames.
pub(crate) struct ClaimedWatchers(WaitList<Waiter>);

impl ClaimedWatchers {
    pub(crate) fn new() -> Self {
        Self(WaitList::new())
    }

    pub(crate) fn push(&mut self, watcher: ClaimedWaiter) {
        // SAFETY: a claimed node is in no list, and its owner stays in place until it is woken.
        unsafe { self.0.push_back(watcher.into_node()) };
    }

    /// Wakes all watchers to check again. The locks must have been released.
    pub(crate) fn wake_all(mut self) {
        while let Some(node) = self.0.pop_front() {
            // SAFETY: the node was claimed before it was pushed, and is removed here, so this is
            // its one wake.
            unsafe { ClaimedWaiter::new(node) }.complete(Outcome::Retry).wake();
        }
    }
}
