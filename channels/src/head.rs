//! The part of a channel that does not depend on the type of its values: the lock, the state, and who waits.
//!
//! # Answers without the lock
//! `try_send` on a full channel and `try_recv` on an empty one fail without taking the lock, and so does a `select!` with a
//! `default`, so polling does not disturb those who work. Such an answer must hold at one instant.
//!
//! Every channel has an *epoch*, which is raised whenever an operation on it becomes possible that was not: a value comes
//! into the empty buffer, room into the full one, somebody begins to wait for whom there is nothing in the buffer, the channel
//! closes. A reader notes the epochs, finds that nothing is possible, and reads the epochs again. If none was raised, nothing
//! has become possible between its look at each channel and its second look at that epoch. With one channel that says that
//! the two words it has read, say "nothing in the buffer" and "nobody waits to send", were true together; with several,
//! that nothing was possible on any of them at the instant between the two passes. (Else a value may have gone from the channel
//! that was looked at last to the first, and there was one all the time.) The change is stored *before* its epoch is
//! raised, so one that was seen, with an epoch not yet raised, was the last of its channel until then. What becomes
//! *im*possible raises no epoch.
//!
//! Rejected: taking all locks to say no: half of the time of a `select!` whose `default` is taken. Rejected: looking twice without epochs: a
//! value that goes round in circles is missed. (Go reads two words of one channel without such a check; a close between them
//! that sends the waiting receivers away makes a channel look full that never was.)
//!
//! A look without the lock may err on the other side: a queue may hold only nodes whose operations were completed elsewhere,
//! and `len` does not count promised room. Who finds something possible takes the lock, and who then finds that it
//! is not has learnt nothing about the other channels.
//!
//! # Promised room
//! A select's send is chosen first and evaluates its message after that. Meanwhile room in the buffer is kept for it: it
//! counts as taken for all others. So a chosen send never blocks. The value enters the buffer when it is there, behind those
//! that were sent meanwhile.
//!
//! # Invariants
//! * I1: `promised` and the queues are touched only under the lock; `state`, `len`, `epoch` are written only under it.
//! * I2: while a receiver waits the buffer is empty and no sender waits; while a sender waits the buffer and the promises
//!   have no room left. Operations that were completed elsewhere do not count, nor does one operation beside itself.
//! * I3: no node joins a queue of a closed channel, and those that are there are being woken by whoever closed it.
//! * I4: whoever calls a method holds a handle, so a channel outlives its own calls, also the unlock that lets a waiter
//!   go. A waiter's commit step touches nothing of it after its unlock.
//!
//! # Orderings
//! * P1: the release store of `len` or `occupied` under the lock -> its acquire load in `looks_ready`: who sees *full* or
//!   *empty* also sees every epoch that was raised before, also by a close.
//! * P2: the release store of `epoch`, after the change -> its acquire load in `epoch`: an epoch that is read before a
//!   look at the channel covers every change that the look did not see.
//! * All else is ordered by the lock (P1 of `lock`).

use std::ptr::NonNull;

use crate::primitive::{AtomicU8, AtomicUsize, Ordering, RawLock, UnsafeCell, WakeBatch, Waker};
use crate::queue::Queue;
use crate::waiter::{Node, Outcome, Popped};

/// Not closed.
const OPEN: u8 = 0;
/// Closed because one side has no handle left.
const DISCONNECTED: u8 = 1;
/// Closed by `close`.
const CLOSED: u8 = 2;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Recv,
}

/// A channel without its buffer. In two cache lines, which is all that an operation without a buffer touches: among a thousand
/// goroutines that pass values on, waiting for memory is what takes the time.
#[repr(C, align(64))]
pub(crate) struct Head {
    lock: RawLock,
    /// OPEN, DISCONNECTED or CLOSED; changes at most twice, in this order, under `lock`.
    state: AtomicU8,
    /// Whether the number of buffered values has a limit. Immutable. No value of `cap` could say it: a channel of values
    /// without size may have any capacity.
    bounded: bool,
    /// The number of buffered values. Written only under `lock`.
    len: AtomicUsize,
    /// The limit of `len`; `usize::MAX` if there is none. Immutable.
    cap: usize,
    /// Raised under `lock` when something has become possible.
    epoch: AtomicUsize,
    /// Room in the buffer that is kept for chosen sends. Under `lock`.
    promised: UnsafeCell<usize>,
    pub(crate) senders: Queue,
    pub(crate) receivers: Queue,
}

/// How a select's send will be completed.
pub(crate) enum Chosen {
    /// Not at all: the channel is closed.
    Closed,
    /// There is always room.
    Unbounded,
    /// By the room that is kept for it.
    Room,
    /// By this receiver, which waits for it.
    Peer(Popped),
}

impl Head {
    /// The head of a channel with room for `cap` values, or any number.
    pub(crate) fn new(cap: Option<usize>) -> Self {
        Self {
            lock: RawLock::new(),
            state: AtomicU8::new(OPEN),
            bounded: cap.is_some(),
            len: AtomicUsize::new(0),
            cap: cap.unwrap_or(usize::MAX),
            epoch: AtomicUsize::new(0),
            promised: UnsafeCell::new(0),
            senders: Queue::new(),
            receivers: Queue::new(),
        }
    }

    /// The number of buffered values.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The capacity; none if there is no limit.
    #[inline]
    pub(crate) fn capacity(&self) -> Option<usize> {
        self.bounded.then_some(self.cap)
    }

    /// Whether the channel is closed, by whichever means.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: acquire pairs with the release in `shut_and_unlock`: who sees the close sees what its closer did before.
        self.state.load(Ordering::Acquire) != OPEN
    }

    /// Whether an operation would not block, it seems. "No" is certain if the epoch stays as it was before the look.
    #[inline]
    pub(crate) fn looks_ready(&self, direction: Direction) -> bool {
        // ORDERING P1: acquire, here and in `is_occupied`, so that the second look at the epoch comes after.
        let len = self.len.load(Ordering::Acquire);
        let blocked = match direction {
            Direction::Send => len == self.cap && !self.receivers.is_occupied(),
            Direction::Recv => len == 0 && !self.senders.is_occupied(),
        };
        !blocked || self.is_closed()
    }

    /// Whether there was an instant in which an operation would have blocked. "No" is not certain.
    #[inline]
    pub(crate) fn is_blocked(&self, direction: Direction) -> bool {
        let epoch = self.epoch();
        !self.looks_ready(direction) && self.epoch() == epoch
    }

    /// The number of times that something has become possible.
    #[inline]
    pub(crate) fn epoch(&self) -> usize {
        // ORDERING P2.
        self.epoch.load(Ordering::Acquire)
    }

    /// To be called under the lock, after the change that makes something possible.
    #[inline]
    pub(crate) fn raise_epoch(&self) {
        // ORDERING P2. Only the holder of the lock writes, so a plain load and a plain store will do.
        self.epoch.store(self.epoch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    #[inline]
    pub(crate) fn lock(&self) {
        self.lock.lock();
    }

    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        // SAFETY: the caller's contract.
        unsafe { self.lock.unlock() };
    }

    /// Whether the channel is open.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn is_open(&self) -> bool {
        // ORDERING: relaxed, under the lock.
        self.state.load(Ordering::Relaxed) == OPEN
    }

    /// Whether the buffer has room that is not promised to anybody.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn has_room(&self) -> bool {
        // SAFETY: I1.
        self.len() + self.promised.with_mut(|promised| unsafe { *promised }) < self.cap
    }

    /// Keeps room for one value.
    ///
    /// # Safety
    /// The caller holds the lock, and there is room.
    #[inline]
    pub(crate) unsafe fn promise_room(&self) {
        // SAFETY: I1.
        self.promised.with_mut(|promised| unsafe { *promised += 1 });
    }

    /// Gives room back that was kept; whether there was no other.
    ///
    /// # Safety
    /// The caller holds the lock, and has the promise.
    pub(crate) unsafe fn release_room(&self) -> bool {
        // SAFETY: the caller holds the lock.
        let was_full = unsafe { !self.has_room() };
        // SAFETY: I1.
        self.promised.with_mut(|promised| unsafe { *promised -= 1 });
        was_full
    }

    /// Notes that the buffer has one value more. A returned waker is owed a wake.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn value_came(&self) -> Option<Waker> {
        let before = self.len();
        // ORDERING P1.
        self.len.store(before + 1, Ordering::Release);
        // SAFETY: the caller holds the lock.
        if before == 0 { unsafe { self.became_possible(Direction::Recv) } } else { None }
    }

    /// Notes that the buffer has one value less. A returned waker is owed a wake.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn value_went(&self) -> Option<Waker> {
        // SAFETY: the caller holds the lock.
        let was_full = unsafe { !self.has_room() };
        // ORDERING P1.
        self.len.store(self.len() - 1, Ordering::Release);
        // SAFETY: the caller holds the lock.
        if was_full { unsafe { self.became_possible(Direction::Send) } } else { None }
    }

    /// Notes that the buffer has one value less, and that its room is kept for a send.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn value_became_promise(&self) {
        // SAFETY: the caller holds the lock.
        unsafe { self.promise_room() };
        // ORDERING P1.
        self.len.store(self.len() - 1, Ordering::Release);
    }

    /// Notes that the buffer was emptied.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn values_went(&self) {
        // ORDERING P1: before the close, but no receiver is left to take it for *empty and open*.
        self.len.store(0, Ordering::Release);
    }

    /// Raises the epoch, and ends the wait of one watcher, if there is any; its waker is owed a wake.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn became_possible(&self, direction: Direction) -> Option<Waker> {
        self.raise_epoch();
        // SAFETY: the caller holds the lock.
        unsafe { self.queue(direction).pop_watcher() }.map(|watcher| watcher.end(Outcome::Retry))
    }

    /// Those who wait to do this.
    #[inline]
    pub(crate) fn queue(&self, direction: Direction) -> &Queue {
        match direction {
            Direction::Send => &self.senders,
            Direction::Recv => &self.receivers,
        }
    }

    /// The longest waiting sender. None from the close on: those who wait then get their values back.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(crate) unsafe fn next_sender(&self) -> Option<Popped> {
        // SAFETY: the caller holds the lock.
        if unsafe { self.is_open() } { unsafe { self.senders.pop() } } else { None }
    }

    /// Whether an operation would not block.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn is_ready(&self, direction: Direction) -> bool {
        // SAFETY: the caller holds the lock.
        unsafe {
            !self.is_open()
                || match direction {
                    Direction::Send => self.has_room() || self.receivers.has_open(),
                    Direction::Recv => self.len() > 0 || self.senders.has_open(),
                }
        }
    }

    /// Tells the next watcher, if what one was told before is still possible.
    ///
    /// # Safety
    /// The caller holds no lock.
    pub(crate) unsafe fn pass_word_on(&self, direction: Direction) {
        self.lock();
        // SAFETY: locked above.
        unsafe {
            let next = if self.is_ready(direction) { self.queue(direction).pop_watcher() } else { None };
            self.unlock();
            wake(next.map(|watcher| watcher.end(Outcome::Retry)));
        }
    }

    /// Puts a waiter into its queue. A returned watcher's wait is to be ended after the lock is released.
    ///
    /// # Safety
    /// The caller holds the lock and has found that it must wait; the node is as [`Queue::push`] wants it.
    #[inline]
    pub(crate) unsafe fn enqueue(&self, direction: Direction, node: NonNull<Node>) -> Option<Popped> {
        // SAFETY: the caller's contract.
        unsafe { self.queue(direction).push(node) };
        // Where there is nothing in the buffer, or no room, one who waits is what the other side needs.
        let (others, news) = match direction {
            Direction::Send => (&self.receivers, self.len() == 0),
            // SAFETY: the caller's contract.
            Direction::Recv => (&self.senders, unsafe { !self.has_room() }),
        };
        if !news {
            return None;
        }
        self.raise_epoch();
        // SAFETY: the caller's contract.
        unsafe { others.pop_watcher() }
    }

    /// Chooses a send if it would not block: from now on it will not, whatever happens.
    ///
    /// # Safety
    /// The caller holds the lock, and sees to it that the choice is honoured or given back.
    pub(crate) unsafe fn choose_send(&self) -> Option<Chosen> {
        // SAFETY: the caller holds the lock.
        unsafe {
            if !self.is_open() {
                return Some(Chosen::Closed);
            }
            if let Some(receiver) = self.receivers.pop() {
                return Some(Chosen::Peer(receiver));
            }
            if !self.bounded {
                return Some(Chosen::Unbounded);
            }
            self.has_room().then(|| {
                self.promise_room();
                Chosen::Room
            })
        }
    }

    /// The number of waiting senders and receivers.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.lock();
        // SAFETY: locked above.
        unsafe {
            let counts = (self.senders.count(), self.receivers.count());
            self.unlock();
            counts
        }
    }

    /// Closes the channel. Panics if that was done before.
    pub(crate) fn close(&self) {
        self.lock();
        // ORDERING: relaxed, under the lock.
        let again = self.state.load(Ordering::Relaxed) == CLOSED;
        if again {
            // SAFETY: locked above.
            unsafe { self.unlock() };
            panic!("close of closed channel");
        }
        // SAFETY: locked above.
        unsafe { self.shut_and_unlock(CLOSED) };
    }

    /// Closes the channel because the last handle of a side is gone, and releases the lock.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn disconnect_and_unlock(&self) {
        // SAFETY: the caller's contract.
        unsafe { self.shut_and_unlock(DISCONNECTED) };
    }

    /// Closes the channel, releases the lock, and wakes all who wait.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn shut_and_unlock(&self, state: u8) {
        // ORDERING: the load is relaxed, under the lock. The store is a release for `is_closed`, and comes before the
        // queues are emptied: who sees them empty sees the close.
        if self.state.load(Ordering::Relaxed) < state {
            self.state.store(state, Ordering::Release);
        }
        self.raise_epoch();
        // SAFETY: the caller holds the lock; nobody joins the queues of a closed channel.
        unsafe { self.end_all_and_unlock(|| Outcome::Closed) };
    }

    /// Ends all waits, releases the lock and wakes. Comes to an end only if nobody joins the queues meanwhile.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn end_all_and_unlock(&self, outcome: fn() -> Outcome) {
        // SAFETY: the caller holds the lock.
        unsafe {
            // Most channels are closed while nobody waits: a context's, of which thousands may end at a time.
            if self.receivers.is_deserted() && self.senders.is_deserted() {
                return self.unlock();
            }
        }
        // In batches, so that each node is touched once: with a million waiters, waiting for memory is all there is to it.
        loop {
            let mut batch = WakeBatch::new();
            // SAFETY: the caller, or this loop, holds the lock.
            let emptied =
                unsafe { self.receivers.end_batch(&mut batch, outcome) && self.senders.end_batch(&mut batch, outcome) };
            // SAFETY: as above.
            unsafe { self.unlock() };
            // SAFETY: the operations were reserved, so this is their one wake; the lock is released.
            unsafe { batch.wake_all() };
            if emptied {
                return;
            }
            self.lock();
        }
    }
}

/// Wakes those who are owed it.
///
/// # Safety
/// The waker comes from an operation that was reserved under a lock that has been released since; nobody else wakes it.
#[inline]
pub(crate) unsafe fn wake(owed: Option<Waker>) {
    if let Some(waker) = owed {
        // SAFETY: the caller's contract.
        unsafe { waker.wake() };
    }
}
