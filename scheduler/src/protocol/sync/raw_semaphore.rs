//! A weighted semaphore that serves strictly in order.
//!
//! # Vocabulary
//! The semaphore has a fixed *size*. The part that is not held is *free*. A waiter *wants* an
//! amount; its request is *granted* when that amount is subtracted from the free part on the
//! waiter's behalf. A wait can end without a grant: at a deadline, or because of another event that
//! its owner waits for at the same time ([`super::env`]). The owner then *withdraws*.
//!
//! # Protocol
//! One word holds the free amount and a bit, `QUEUED`, which says whether there are waiters.
//! Without waiters, acquire and release each take one exchange of the word. With waiters,
//! everything is done under the lock of the queue:
//!
//! * An acquire that finds too little, or finds `QUEUED` set, takes the lock and checks again. If
//!   it must wait, it sets `QUEUED` and links its node at the end. It must wait even if there is
//!   enough for it, as long as there are earlier waiters.
//! * A release that finds `QUEUED` set takes the lock, adds its amount, and grants requests from
//!   the front as long as there is enough for the first waiter. It removes those nodes, and wakes
//!   their owners after releasing the lock.
//! * A waiter that withdraws removes its node and also serves the queue: if it was the first
//!   waiter, there may be enough for the next.
//!
//! As long as `QUEUED` is set, only the holder of the lock changes the word: every exchange outside
//! the lock expects a word without the bit. So a plain store suffices under the lock.
//!
//! # The races
//! * *Wait against release.* The waiter sets `QUEUED` by an exchange of a word in which there was
//!   too little. If a release comes before this exchange in the order of the word, the exchange
//!   fails and the waiter checks again. If it comes after, it sees the bit, and gets the lock only
//!   when the waiter is linked and asleep.
//! * *Grant against deadline.* The claim decides, before the amount is taken. A node whose claim is
//!   lost is dropped from the queue and costs nothing; its owner finds that the node is no longer
//!   in the list.
//! * *A waiter that has lost its claim is at the front* and wants more than is free. The waiters
//!   behind it wait for its owner to withdraw. The owner is awake and about to do so.
//!
//! # Rejected
//! * Letting small requests pass a large one that waits: more of the semaphore would be in use, but
//!   under load the large request might wait forever.
//! * Waking the first waiter to try again, as the mutex does: it can lose against newcomers. A
//!   semaphore guards long operations, so the switch that a hand-over costs does not matter.
//! * Queueing requests for more than the size like the others: no waiter behind them would ever be
//!   served.
//!
//! # Invariants
//! * I1: `queue` is touched only under `lock`, and `QUEUED` changes only under it: it is set
//!   exactly when the queue is not empty, except while the lock is held.
//! * I2: the free and held amounts add up to the size. No request is granted out of order.
//! * I3: a node stays in its owner's frame until the wake that a grant owes the owner, or until the
//!   owner has passed through `withdraw`.
//! * I4: a caller of any method borrows the semaphore until the end of the call, so it outlives all
//!   unlocks.
//!
//! # Orderings
//! * P1: the release of the word in `release` and `serve_and_unlock` -> the acquire exchange in
//!   `try_acquire` and `take_or_queue`: what was done before a release is visible to every acquire
//!   after it. Exchanges in between continue the release sequence.
//! * P2: the release of the word in `release` -> the acquire load in `serve_and_unlock`: a plain
//!   store follows, which would end the release sequence on which P1 relies. The grant's wake-up
//!   passes this visibility on to the waiter.
//!
//! # See also
//! `semaphore/semaphore.go` in golang.org/x/sync; the models in
//! `scheduler/models/tests/semaphore.rs`.

use std::cell::OnceCell;
use std::fmt;
use std::ptr::NonNull;

use super::env::{Limit, Unlimited, Wait, WaitOutcome, Wake};
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicUsize, Ordering, UnsafeCell, const_fn};
use crate::protocol::lock::RawLock;

/// Set if there are waiters.
///
/// The other bits hold the free amount.
const QUEUED: usize = 1;

/// The largest size of a semaphore.
pub const MAX_SIZE: usize = usize::MAX >> 1;

/// A waiter, in its own frame.
struct Waiter<K> {
    want: usize,
    waker: K,
}

type Node<K> = WaitNode<Waiter<K>>;

/// The error of a release that exceeds the held amount.
#[derive(Debug, PartialEq, Eq)]
pub struct Excess;

/// A semaphore without guards.
pub struct RawSemaphore<W: Wait> {
    size: usize,
    word: AtomicUsize,
    lock: RawLock,
    queue: UnsafeCell<WaitList<Waiter<W::Waker>>>,
}

// SAFETY: `queue` is the only part that is not an atomic, and is touched only under `lock` (I1);
// the wakers in it cross threads, hence the bound.
unsafe impl<W: Wait<Waker: Send>> Send for RawSemaphore<W> {}
// SAFETY: `queue` is touched only under `lock` (I1), as for `Send`.
unsafe impl<W: Wait<Waker: Send>> Sync for RawSemaphore<W> {}

impl<W: Wait> fmt::Debug for RawSemaphore<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        let mut all = f.debug_struct("RawSemaphore");
        all.field("size", &self.size).field("free", &free(word)).field("queued", &is_queued(word)).finish()
    }
}

impl<W: Wait> RawSemaphore<W> {
    const_fn! {
        /// Creates a semaphore that is entirely free.
        ///
        /// `size` is at most [`MAX_SIZE`].
        pub fn new(size: usize) -> Self {
            Self {
                size,
                word: AtomicUsize::new(size << 1),
                lock: RawLock::new(),
                queue: UnsafeCell::new(WaitList::new()),
            }
        }
    }

    /// Returns the size.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the amount that is currently free, and whether there are waiters.
    pub fn peek(&self) -> (usize, bool) {
        let word = self.word.load(Ordering::Relaxed);
        (free(word), is_queued(word))
    }

    /// Acquires `want`; blocks until that much is free and all earlier waiters are served.
    ///
    /// `want` is at most the size.
    #[inline]
    pub fn acquire(&self, want: usize) {
        if !self.try_acquire(want) {
            self.queue_up(want, &Unlimited::<W>::new());
        }
    }

    /// Acquires like [`acquire`](Self::acquire), unless `limit` is reached first.
    ///
    /// Returns `true` if `want` was acquired. `want` may exceed the size. In that case the wait
    /// ends only when the limit is reached, and delays no other waiter.
    #[inline]
    pub fn acquire_within(&self, want: usize, limit: &impl Limit<Waker = W::Waker>) -> bool {
        let mut taken = self.try_acquire(want);
        while !taken && !limit.has_come() {
            taken = self.queue_up(want, limit);
        }
        taken
    }

    /// Acquires `want` if that much is free and there are no waiters.
    ///
    /// Returns `true` on success.
    #[inline]
    pub fn try_acquire(&self, want: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while !is_queued(word) && want <= free(word) {
            // ORDERING P1: acquire pairs with the releases of the word.
            match self.word.compare_exchange_weak(word, word - (want << 1), Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Releases `amount`, and wakes the waiters whose requests can now be granted.
    ///
    /// # Errors
    /// If `amount` is more than is held. In that case nothing changes.
    #[inline]
    pub fn release(&self, amount: usize) -> Result<(), Excess> {
        match self.add(amount)? {
            true => Ok(()),
            false => self.release_to_waiters(amount),
        }
    }

    /// Releases `amount` if there are no waiters.
    ///
    /// Returns whether it did, or the error.
    #[inline]
    fn add(&self, amount: usize) -> Result<bool, Excess> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if amount > self.size - free(word) {
                return Err(Excess);
            }
            if is_queued(word) {
                return Ok(false);
            }
            // ORDERING P1, P2: release publishes what was done before.
            match self.word.compare_exchange_weak(word, word + (amount << 1), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Ok(true),
                Err(now) => word = now,
            }
        }
    }

    #[cold]
    fn release_to_waiters(&self, amount: usize) -> Result<(), Excess> {
        self.lock.lock();
        // The queue may already be empty, and becomes nonempty again only under the lock. A waiter
        // may also have been granted the amount that the caller thinks it holds.
        let done = self.add(amount);
        if done == Ok(false) {
            // SAFETY: locked above, and `QUEUED` was seen under the lock.
            unsafe { self.serve_and_unlock(amount) };
        } else {
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
        }
        done.map(|_| ())
    }

    /// Acquires `want`, waiting in the queue if necessary.
    ///
    /// Returns `false` if the wait was ended.
    #[cold]
    fn queue_up(&self, want: usize, limit: &impl Limit<Waker = W::Waker>) -> bool {
        if want > self.size {
            // SAFETY: no other thread learns of the waker.
            return unsafe { limit.wait(|_| Some(|| ()), || ()) } == WaitOutcome::Served;
        }
        let node = OnceCell::new();
        let enter = |waker| {
            let node = NonNull::from(node.get_or_init(|| Node::new(Waiter { want, waker })));
            self.lock.lock();
            if self.take_or_queue(want) {
                // SAFETY: locked above.
                unsafe { self.lock.unlock() };
                return None;
            }
            // SAFETY: the queue is ours under the lock (I1); the node is new, and stays (I3).
            self.queue.with_mut(|queue| unsafe { (*queue).push_back(node) });
            // SAFETY: locked above; a waker finds this wait through its node in the queue.
            Some(|| unsafe { self.lock.unlock() })
        };
        let withdraw = || node.get().into_iter().for_each(|node| self.withdraw(node));
        // SAFETY: a grant reserves the waiter that it wakes; the commit step is one unlock.
        unsafe { limit.wait(enter, withdraw) != WaitOutcome::Ended }
    }

    /// Acquires `want` and returns `true`, or ensures that a release will check the queue and
    /// returns `false`.
    ///
    /// Called under the lock.
    fn take_or_queue(&self, want: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while !is_queued(word) {
            let enough = want <= free(word);
            let next = if enough { word - (want << 1) } else { word | QUEUED };
            // ORDERING P1: acquire pairs with the releases of the word.
            match self.word.compare_exchange_weak(word, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return enough,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Removes from the queue the node of a wait that was ended, if no release has removed it, and
    /// wakes the waiters that can now be served.
    fn withdraw(&self, node: &Node<W::Waker>) {
        self.lock.lock();
        // SAFETY: the queue is ours under the lock (I1); the node is in it, or a grant that lost
        // has dropped it.
        let removed = self.queue.with_mut(|queue| unsafe { (*queue).remove(NonNull::from(node)) });
        if removed {
            // SAFETY: the lock is held. The queue held a node under this hold of the lock, so by I1
            // its bit is set.
            unsafe { self.serve_and_unlock(0) };
        } else {
            // SAFETY: the lock is held.
            unsafe { self.lock.unlock() };
        }
    }

    /// Adds `released` to the free amount, grants requests from the front, releases the lock, and
    /// wakes their owners.
    ///
    /// # Safety
    /// The caller holds the lock and no other, and `QUEUED` is set.
    unsafe fn serve_and_unlock(&self, released: usize) {
        // ORDERING P2: acquire pairs with the release in `add`.
        let mut left = free(self.word.load(Ordering::Acquire)) + released;
        let mut granted = WaitList::new();
        let queued = self.queue.with_mut(|queue| {
            // SAFETY: the queue is ours under the lock (I1).
            let queue = unsafe { &mut *queue };
            while let Some(node) = queue.front() {
                // SAFETY: the node is in the queue, so its owner keeps it (I3).
                let waiter = &unsafe { node.as_ref() }.value;
                if waiter.want > left {
                    break;
                }
                queue.pop_front();
                // SAFETY: found and unlinked under this hold of the lock.
                if unsafe { waiter.waker.reserve() } {
                    left -= waiter.want;
                    // SAFETY: the node is in no list, and its owner stays until the wake below
                    // (I3).
                    unsafe { granted.push_back(node) };
                }
            }
            !queue.is_empty()
        });
        // ORDERING P1: release publishes what was done before the `release` call that this is part
        // of.
        self.word.store(left << 1 | if queued { QUEUED } else { 0 }, Ordering::Release);
        // SAFETY: the caller holds the lock, as this function demands.
        unsafe { self.lock.unlock() };
        // SAFETY: they were reserved, so this is the only wake of each; the lock is released.
        unsafe { granted.wake_all(|waiter| &waiter.waker) };
    }
}

fn free(word: usize) -> usize {
    word >> 1
}

fn is_queued(word: usize) -> bool {
    word & QUEUED != 0
}
