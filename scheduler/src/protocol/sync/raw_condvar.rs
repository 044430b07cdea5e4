//! A condition variable: waiting for a notification that a condition may have changed.
//!
//! # Vocabulary
//! A *condition* is protected by a mutex, which is not part of the condition variable. A wait
//! *begins* when its owner *joins*. It ends when it is *notified* or its owner *withdraws*, for
//! example at a deadline. A notifier takes the claim of a wait *early* if it finds the wait before
//! the waiter has *parked*.
//!
//! # Protocol
//! A waiter links its node under `lock`, unlocks the mutex, and parks. After its wake-up, it locks
//! the mutex again. The node is in the queue before the mutex is free, so a thread that changes the
//! condition under the mutex and then notifies finds the node.
//!
//! A notification may therefore find a waiter that has not parked yet. The waiter's [`Claim`]
//! decides that case: it is shut until the owner has parked, and a waiter that was taken early is
//! not woken but continues by itself. The deadline of a wait is another party that may take the
//! claim. If a wait's deadline was faster than a notification, the notification goes to the next
//! waiter in the queue, so it is not lost.
//!
//! A notification is one wake-up of one wait, and nothing else wakes a waiter: there are no
//! spurious wake-ups. `notify_all` wakes the waiters that were in the queue when it began. It
//! recognizes them by their tickets. It works in batches, so each hold of the lock is short.
//! Waiters that join between two batches stay, even if they were woken before.
//!
//! # The races
//! * *Wait against notify.* The waiter joins before it unlocks the mutex. A notifier that has
//!   changed the condition under the mutex did so either before the waiter checked the condition,
//!   which then holds, or after the waiter's unlock. In the latter case it finds the node.
//! * *Notify against parking.* The claim decides: either `open` fails and there is no wake-up, or
//!   the claim was open and the notifier owes the wake-up.
//! * *Notify against deadline.* The claim decides again. If the deadline was faster, the notifier
//!   drops the node and continues with the next one; the owner of the node passes through the lock
//!   before it leaves its frame.
//! * *`notify_all` against a wait that begins between two batches.* Its ticket is too high.
//!
//! # Rejected
//! * Unlocking the mutex in the commit step, when the goroutine has parked. No claim would be
//!   needed, but the goroutine could be notified, lock the mutex, and free it while the commit step
//!   is still in `unlock`.
//! * Moving notified waiters to the queue of the mutex: this spares them a useless wake-up, but
//!   ties the condition variable to one mutex while there are waiters. Waiting with different
//!   mutexes would then be an error, as in `std`.
//!
//! # Invariants
//! * I1: `queue` is touched only under `lock`, and the tickets in it rise from front to back.
//! * I2: the frame of a waiter stays valid until its claim is taken. A notifier that takes a shut
//!   claim does not touch the frame anymore; a notifier that takes an open claim wakes the waiter,
//!   which stays until then. If another party takes the claim, the owner passes through
//!   [`withdraw`](RawCondvar::withdraw).
//! * I3: a caller of any method borrows the condition variable until the end of the call, so it
//!   outlives all unlocks.
//!
//! # Orderings
//! `occupied` is relaxed and read without the lock. A notifier that runs after a waiter has
//! unlocked the mutex sees, through the mutex, the waiter's store or a later one. A later store of
//! `false` was made under the lock by a thread that found the queue empty, so the wait was already
//! notified. Everything else is synchronized by the lock and the claim.
//!
//! # See also
//! `sync/cond.go` and `runtime/sema.go` in Go; the models in `scheduler/models/tests/condvar.rs`.

use std::fmt;
use std::iter;
use std::ptr::NonNull;

use super::env::Wake;
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicBool, Ordering, UnsafeCell, const_fn};
use crate::protocol::claim::{Claim, TakenFrom};
use crate::protocol::lock::RawLock;

/// The case for which a notification takes the claim of a wait; the other cases are for the wait's
/// owner to use.
pub const NOTIFIED: usize = 0;

/// A waiter, in its own frame.
pub struct Waiter<K> {
    /// Set under the lock.
    ticket: UnsafeCell<u64>,
    claim: NonNull<Claim>,
    waker: K,
}

/// A place in the queue of a condition variable.
pub type Node<K> = WaitNode<Waiter<K>>;

impl<K: Wake> Waiter<K> {
    /// Creates a waiter whose wait ends when `claim` is taken, and which `waker` then wakes if it
    /// has already parked.
    pub fn new(claim: NonNull<Claim>, waker: K) -> Self {
        Self { ticket: UnsafeCell::new(0), claim, waker }
    }
}

impl<K> fmt::Debug for Waiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// A condition variable without its mutex.
pub struct RawCondvar<K> {
    lock: RawLock,
    queue: UnsafeCell<Queue<K>>,
    /// `true` if there are waiters.
    ///
    /// Changed under `lock`.
    occupied: AtomicBool,
}

struct Queue<K> {
    list: WaitList<Waiter<K>>,
    /// The number of waits that have begun.
    tickets: u64,
}

// SAFETY: `queue` is the only part that is not an atomic, and is touched only under `lock` (I1);
// the claims in it are atomic words, valid by I2, and the wakers cross threads, hence the bound.
unsafe impl<K: Send> Send for RawCondvar<K> {}
// SAFETY: `queue` is touched only under `lock` (I1), as for `Send`.
unsafe impl<K: Send> Sync for RawCondvar<K> {}

impl<K> fmt::Debug for RawCondvar<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCondvar").field("occupied", &self.occupied).finish_non_exhaustive()
    }
}

impl<K> RawCondvar<K> {
    const_fn! {
        /// Creates a condition variable without waiters.
        pub fn new() -> Self {
            let queue = Queue { list: WaitList::new(), tickets: 0 };
            Self { lock: RawLock::new(), queue: UnsafeCell::new(queue), occupied: AtomicBool::new(false) }
        }
    }
}

impl<K> Default for RawCondvar<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Wake> RawCondvar<K> {
    /// Begins a wait.
    ///
    /// The caller holds the mutex, unlocks it afterwards, and parks by opening its claim. If
    /// opening fails, it continues.
    ///
    /// # Safety
    /// The node is in no list, its claim is shut, and its owner keeps both valid as I2 says. The
    /// caller holds no [`RawLock`].
    pub unsafe fn join(&self, node: NonNull<Node<K>>) {
        self.lock.lock();
        self.queue.with_mut(|queue| {
            // SAFETY: locked above (I1).
            let queue = unsafe { &mut *queue };
            // SAFETY: the caller keeps the node in place (I2), and no other thread knows it yet.
            unsafe { node.as_ref() }.value.ticket.with_mut(|ticket| unsafe { *ticket = queue.tickets });
            queue.tickets += 1;
            // SAFETY: the node is in no list, and the caller keeps it in place (I2).
            unsafe { queue.list.push_back(node) };
        });
        // SAFETY: locked above.
        unsafe { self.unlock() };
    }

    /// Removes the node of a wait that has ended without a notification.
    ///
    /// # Safety
    /// The node has joined this queue, and its claim was taken for a case other than [`NOTIFIED`].
    /// The caller holds no [`RawLock`].
    pub unsafe fn withdraw(&self, node: NonNull<Node<K>>) {
        self.lock.lock();
        // SAFETY: locked above (I1); the node is in the list, or in none if a notifier has met it.
        self.queue.with_mut(|queue| unsafe { (*queue).list.remove(node) });
        // SAFETY: locked above.
        unsafe { self.unlock() };
    }

    /// Ends the oldest wait.
    ///
    /// Returns `true` if there was one. Never blocks.
    #[inline]
    pub fn notify_one(&self) -> bool {
        self.is_occupied() && self.notify_at_most(1, &mut None) == 1
    }

    /// Ends all waits that have begun, the oldest first.
    ///
    /// Returns their number. Never blocks. The lock is held for at most `batch` of them at a time.
    pub fn notify_all(&self, batch: usize) -> usize {
        let (mut sum, mut limit) = (0, None);
        while self.is_occupied() {
            let ended = self.notify_at_most(batch, &mut limit);
            sum += ended;
            if ended < batch {
                break;
            }
        }
        sum
    }

    #[inline]
    fn is_occupied(&self) -> bool {
        // ORDERING: relaxed, see the module's documentation.
        self.occupied.load(Ordering::Relaxed)
    }

    /// Ends up to `most` waits whose tickets are below `limit`; if `limit` is `None`, it is first
    /// set to the number of waits so far.
    fn notify_at_most(&self, most: usize, limit: &mut Option<u64>) -> usize {
        let mut parked = WaitList::new();
        self.lock.lock();
        let ended = self.queue.with_mut(|queue| {
            // SAFETY: locked above (I1).
            let queue = unsafe { &mut *queue };
            let limit = *limit.get_or_insert(queue.tickets);
            // SAFETY: locked above (I1).
            let one_more = || unsafe { end_next(&mut queue.list, limit, &mut parked) };
            iter::repeat_with(one_more).take(most).take_while(|ended| *ended).count()
        });
        // SAFETY: locked above.
        unsafe { self.unlock() };
        // SAFETY: their open claims were taken, so this is the only wake-up of each, and they stay
        // until then (I2); the lock is released.
        unsafe { parked.wake_all(|waiter| &waiter.waker) };
        ended
    }

    /// # Safety
    /// The caller holds the lock.
    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock (I1).
        let occupied = self.queue.with(|queue| unsafe { !(*queue).list.is_empty() });
        // ORDERING: relaxed, see the module's documentation.
        self.occupied.store(occupied, Ordering::Relaxed);
        // SAFETY: the caller holds the lock.
        unsafe { self.lock.unlock() };
    }
}

/// Ends the oldest wait whose ticket is below `limit`.
///
/// Returns `false` if there is none. A waiter that has parked is moved to `parked`, and the caller
/// owes it a wake-up.
///
/// # Safety
/// The list belongs to a condition variable whose lock the caller holds.
unsafe fn end_next<K: Wake>(list: &mut WaitList<Waiter<K>>, limit: u64, parked: &mut WaitList<Waiter<K>>) -> bool {
    while let Some(node) = list.front() {
        // SAFETY: the node is in the list, so its frame is valid (I2).
        let waiter = &unsafe { node.as_ref() }.value;
        // SAFETY: the caller holds the lock, under which the ticket was set.
        if waiter.ticket.with(|ticket| unsafe { *ticket }) >= limit {
            return false;
        }
        list.pop_front();
        // SAFETY: no other thread can notify it anymore. If its deadline is faster, its owner has
        // yet to pass through the lock (I2).
        match unsafe { waiter.claim.as_ref() }.take_early(NOTIFIED) {
            Some(TakenFrom::Open) => {
                waiter.waker.prefetch();
                // SAFETY: the node is in no list, and its owner stays until the wake-up (I2).
                unsafe { parked.push_back(node) };
                return true;
            }
            Some(TakenFrom::Shut) => return true,
            None => {}
        }
    }
    false
}
