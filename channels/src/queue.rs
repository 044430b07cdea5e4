//! Those who wait on one side of a channel.
//!
//! Two lists. *Waiters* want their operation to be completed, the longest waiting first. *Watchers* want to know when
//! theirs could be (`Select::ready`): they are told one at a time, and each passes the word on ([`Queue::pop_watcher`]'s
//! caller in `select::run`), so a crowd of them costs an operation no more than one wake.
//!
//! # Invariants
//! * I1: the lists are touched only under the lock of the channel.
//! * I2: a node in a list is in a frame that its owner leaves only after the wake, or after it has removed the node.
//! * I3: `occupied` says whether `waiters` holds a node; it is written only under the lock. A node of an operation that
//!   was completed elsewhere counts until somebody finds it or its owner removes it.
//!
//! # Orderings
//! * P1: the release store of `occupied` -> its acquire load: who sees a queue empty also sees the close that has emptied
//!   it, if it was one (P1 of `head`).

use std::ptr::NonNull;

use crate::primitive::{AtomicBool, Ordering, UnsafeCell, WaitList, WakeBatch, prefetch_frames};
use crate::waiter::{Node, Outcome, Popped, Waiter};

/// The waiters and watchers of one side.
pub(crate) struct Queue {
    waiters: UnsafeCell<WaitList<Waiter>>,
    watchers: UnsafeCell<WaitList<Waiter>>,
    /// Whether `waiters` holds a node.
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

    /// Whether somebody seems to wait. Needs no lock.
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

    /// Puts a waiter at the end.
    ///
    /// # Safety
    /// The caller holds the channel's lock. The node is in no list, and its owner keeps it as I2 says.
    #[inline]
    pub(crate) unsafe fn push(&self, node: NonNull<Node>) {
        // SAFETY: I1; the node is as `push_back` wants it.
        self.waiters.with_mut(|list| unsafe { (*list).push_back(node) });
        self.set_occupied(true);
    }

    /// Puts a watcher at the end.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn push_watcher(&self, node: NonNull<Node>) {
        // SAFETY: I1; the node is as `push_back` wants it.
        self.watchers.with_mut(|list| unsafe { (*list).push_back(node) });
    }

    /// Takes a node out, if it is still there.
    ///
    /// # Safety
    /// The caller holds the channel's lock and owns the node, which is among the waiters of this queue or in no list.
    #[inline]
    pub(crate) unsafe fn remove(&self, node: NonNull<Node>) {
        self.waiters.with_mut(|list| {
            // SAFETY: I1, and the caller's contract.
            let list = unsafe { &mut *list };
            // SAFETY: as above.
            if unsafe { list.remove(node) } {
                self.set_occupied(!list.is_empty());
            }
        });
    }

    /// Takes a watcher's node out, if it is still there.
    ///
    /// # Safety
    /// As for [`remove`](Self::remove), for watchers.
    pub(crate) unsafe fn remove_watcher(&self, node: NonNull<Node>) {
        // SAFETY: I1, and the caller's contract.
        self.watchers.with_mut(|list| unsafe { (*list).remove(node) });
    }

    /// Takes the longest waiting operation that is still to be completed. The caller completes and wakes it.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    #[inline]
    pub(crate) unsafe fn pop(&self) -> Option<Popped> {
        // SAFETY: I1.
        let nobody = self.waiters.with_mut(|list| unsafe { (*list).is_empty() });
        // SAFETY: the caller's promise.
        if nobody { None } else { unsafe { self.pop_occupied() } }
    }

    /// # Safety
    /// As for `pop`.
    #[inline]
    unsafe fn pop_occupied(&self) -> Option<Popped> {
        self.waiters.with_mut(|list| {
            // SAFETY: I1.
            let list = unsafe { &mut *list };
            if let Some(node) = list.front() {
                prefetch_frames(node);
            }
            // SAFETY: the caller's promise.
            let found = unsafe { pop_open(list) };
            self.set_occupied(!list.is_empty());
            found
        })
    }

    /// Takes the watcher that has waited longest. The caller ends its wait, to look again, and wakes it.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    #[inline]
    pub(crate) unsafe fn pop_watcher(&self) -> Option<Popped> {
        self.watchers.with_mut(|list| {
            // SAFETY: I1.
            let list = unsafe { &mut *list };
            if list.is_empty() {
                return None;
            }
            // SAFETY: the caller's promise.
            unsafe { pop_open(list) }
        })
    }

    /// Whether an operation waits that is still to be completed. Forgets those that are not.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    pub(crate) unsafe fn has_open(&self) -> bool {
        self.waiters.with_mut(|list| {
            // SAFETY: I1.
            let list = unsafe { &mut *list };
            while let Some(node) = list.front() {
                // SAFETY: I2: the node is in the queue.
                if unsafe { node.as_ref().value.case.is_open() } {
                    break;
                }
                list.pop_front();
            }
            self.set_occupied(!list.is_empty());
            !list.is_empty()
        })
    }

    /// Whether nobody waits or watches.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    #[inline]
    pub(crate) unsafe fn is_deserted(&self) -> bool {
        // SAFETY: I1.
        let is_empty = |list: &UnsafeCell<WaitList<Waiter>>| list.with_mut(|list| unsafe { (*list).is_empty() });
        is_empty(&self.waiters) && is_empty(&self.watchers)
    }

    /// Ends waits with `outcome`, the longest first, as long as there is room in `batch`; true if nobody is left. The
    /// caller wakes them.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    pub(crate) unsafe fn end_batch(&self, batch: &mut WakeBatch, outcome: fn() -> Outcome) -> bool {
        let mut end_in = |list: &UnsafeCell<WaitList<Waiter>>| {
            list.with_mut(|list| {
                // SAFETY: I1.
                let list = unsafe { &mut *list };
                while !batch.is_full() {
                    // SAFETY: the caller's promise.
                    let Some(popped) = (unsafe { pop_open(list) }) else { break };
                    batch.push(popped.end(outcome()));
                }
                list.is_empty()
            })
        };
        let no_waiter = end_in(&self.waiters);
        self.set_occupied(!no_waiter);
        no_waiter && end_in(&self.watchers)
    }

    /// The number of waiters.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    #[cfg(test)]
    pub(crate) unsafe fn count(&self) -> usize {
        self.waiters.with_mut(|list| {
            // SAFETY: I1; `next` is asked of nodes in the list only.
            unsafe { std::iter::successors((*list).front(), |&node| (*list).next(node)).count() }
        })
    }
}

/// Watchers that were taken, to be woken later: a list in their own frames.
pub(crate) struct Owed(WaitList<Waiter>);

impl Owed {
    pub(crate) fn new() -> Self {
        Self(WaitList::new())
    }

    pub(crate) fn push(&mut self, watcher: Popped) {
        // SAFETY: a popped node is in no list, and its owner stays until it is woken.
        unsafe { self.0.push_back(watcher.node()) };
    }

    /// Ends the waits of all, to look again, and wakes them.
    ///
    /// # Safety
    /// The caller holds no lock, and those under which the watchers were taken have been released.
    pub(crate) unsafe fn wake_all(mut self) {
        while let Some(node) = self.0.pop_front() {
            // SAFETY: reserved before it was pushed, so this is its one wake.
            unsafe { Popped::new(node).end(Outcome::Retry).wake() };
        }
    }
}

/// Takes the first node of an operation that is still to be completed.
///
/// # Safety
/// The caller holds the lock of the channel that the list belongs to.
#[inline]
unsafe fn pop_open(list: &mut WaitList<Waiter>) -> Option<Popped> {
    while let Some(node) = list.pop_front() {
        // SAFETY: I2: the node was in the queue until now, and the caller still has the lock. Found in this queue and
        // unlinked under its lock.
        if unsafe { node.as_ref().value.case.reserve() } {
            // SAFETY: reserved.
            return Some(unsafe { Popped::new(node) });
        }
    }
    None
}
