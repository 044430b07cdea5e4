//! Those who wait in a channel, and the queue they stand in.
//!
//! # Invariants
//! * I1: a queue is touched only under the lock of its channel.
//! * I2: a node in a queue, with its slot and its waker, is in a frame that its owner leaves only after the wake, which
//!   comes after the node was popped.
//! * I3: who pops a waiter is the only one to touch its slot until it wakes it.
//! * I4: `occupied` says whether the queue holds a node; it is written only under the lock.
//!
//! # Orderings
//! * P1: the release store of `occupied` -> its acquire load: who sees a queue empty also sees the close that has emptied
//!   it, if it was one (P1 of `chan`).

use std::ptr::NonNull;

use crate::primitive::{AtomicBool, Case, Ordering, UnsafeCell, WaitList, WaitNode, WakeBatch, Waker};

/// What a peer must know about one who waits.
pub(crate) struct Waiter<T> {
    /// Which case of which operation this is.
    pub(crate) case: Case,
    /// A sender's value; where a receiver wants its value.
    pub(crate) slot: NonNull<Option<T>>,
    /// Wakes the owner, when the operation is completed.
    pub(crate) waker: Waker,
}

/// A node that was popped: its owner waits for the caller to complete its operation and to wake it.
pub(crate) struct Popped<T>(NonNull<WaitNode<Waiter<T>>>);

impl<T> Popped<T> {
    #[inline]
    fn waiter(&self) -> &Waiter<T> {
        // SAFETY: I2: the owner keeps the node until it is woken, which consumes this.
        unsafe { &self.0.as_ref().value }
    }

    /// Completes a send: takes the value. The waker is owed a wake.
    ///
    /// # Safety
    /// The waiter is a sender.
    #[inline]
    pub(crate) unsafe fn take(self) -> (T, Waker) {
        let waiter = self.waiter();
        // SAFETY: I2 and I3.
        let value = unsafe { (*waiter.slot.as_ptr()).take() }.expect("channel: a waiting sender has no value");
        (value, waiter.waker)
    }

    /// Completes a receive: hands the value over. The waker is owed a wake.
    ///
    /// # Safety
    /// The waiter is a receiver.
    #[inline]
    pub(crate) unsafe fn give(self, value: T) -> Waker {
        let waiter = self.waiter();
        // SAFETY: I2 and I3. The slot is empty, so nothing is dropped by not dropping what was in it.
        unsafe { waiter.slot.write(Some(value)) };
        waiter.waker
    }
}

/// Waiters of one side, the longest waiting first.
pub(crate) struct Queue<T> {
    list: UnsafeCell<WaitList<Waiter<T>>>,
    /// Whether `list` holds a node.
    occupied: AtomicBool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { list: UnsafeCell::new(WaitList::new()), occupied: AtomicBool::new(false) }
    }

    /// Whether somebody waits. Needs no lock.
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
    /// The caller holds the channel's lock. The node is in no queue, and its owner keeps it as I2 says.
    pub(crate) unsafe fn push(&self, node: NonNull<WaitNode<Waiter<T>>>) {
        // SAFETY: I1; the node is as `push_back` wants it.
        self.list.with_mut(|list| unsafe { (*list).push_back(node) });
        self.set_occupied(true);
    }

    /// Takes the longest waiting operation that is still to be completed. The caller completes and wakes it.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    #[inline]
    pub(crate) unsafe fn pop(&self) -> Option<Popped<T>> {
        // SAFETY: I1.
        let nobody = self.list.with_mut(|list| unsafe { (*list).is_empty() });
        // SAFETY: the caller's promise.
        if nobody { None } else { unsafe { self.pop_occupied() } }
    }

    /// # Safety
    /// As for `pop`.
    #[inline]
    unsafe fn pop_occupied(&self) -> Option<Popped<T>> {
        self.list.with_mut(|list| {
            // SAFETY: I1.
            let list = unsafe { &mut *list };
            let mut found = None;
            while let Some(node) = list.pop_front() {
                // SAFETY: I2: the node was in the queue until now, and the caller still has the lock. Found in this queue
                // and unlinked under its lock.
                if unsafe { node.as_ref().value.case.reserve() } {
                    found = Some(Popped(node));
                    break;
                }
            }
            self.set_occupied(!list.is_empty());
            found
        })
    }

    /// Takes operations that are still to be completed, the longest waiting first, as long as there is room in `batch`; true
    /// if the queue is empty now. The caller wakes them.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    pub(crate) unsafe fn take_batch(&self, batch: &mut WakeBatch) -> bool {
        self.list.with_mut(|list| {
            // SAFETY: I1.
            let list = unsafe { &mut *list };
            while !batch.is_full() {
                let Some(node) = list.pop_front() else { break };
                // SAFETY: I2: the node was in the queue until now; found and unlinked under the queue's lock.
                let waiter = unsafe { &node.as_ref().value };
                // SAFETY: as above.
                if unsafe { waiter.case.reserve() } {
                    batch.push(waiter.waker);
                }
            }
            self.set_occupied(!list.is_empty());
            list.is_empty()
        })
    }

    /// The number of nodes.
    ///
    /// # Safety
    /// The caller holds the channel's lock.
    #[cfg(test)]
    pub(crate) unsafe fn count(&self) -> usize {
        self.list.with_mut(|list| {
            // SAFETY: I1; `next` is asked of nodes in the list only.
            unsafe { std::iter::successors((*list).front(), |&node| (*list).next(node)).count() }
        })
    }
}
