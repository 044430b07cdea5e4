//! The head of a channel: its lock, its state and its queues. The head does not depend on the type
//! of the channel's values.
//!
//! It corresponds to Go's `hchan` without the buffer.
//!
//! # Answers without the lock
//! `try_send` on a full channel and `try_recv` on an empty one fail without taking the lock, and so
//! does a `select!` with a `default`. Polling therefore does not disturb the threads that use the
//! channel. Such a negative answer must have been true at some instant.
//!
//! Every channel has an *epoch*. The epoch is raised whenever an operation becomes possible that
//! was not possible before. This happens when a value enters the empty buffer, when room appears in
//! the full buffer, when the channel closes, or when an operation begins to wait while the buffer
//! has nothing to offer to the other side. A reader notes the epochs of its channels, finds that no
//! operation is possible, and reads the epochs again. If no epoch was raised, nothing became
//! possible on any channel between the reader's check of that channel and the second read of its
//! epoch.
//!
//! * For one channel this means that the two facts that the reader has read, "nothing in the
//!   buffer" and "no sender waits", were true at the same time.
//! * For several channels it means that nothing was possible on any of them at the instant between
//!   the two passes. Without epochs, a value could have moved from the channel that was checked
//!   last to the channel that was checked first. The reader would then miss it, although a value
//!   was always available.
//!
//! A change is stored *before* its epoch is raised. So if a reader sees a change but not the raised
//! epoch, no later change of that channel had happened yet. A change that makes an operation
//! *im*possible raises no epoch.
//!
//! Rejected: taking all locks to answer "no". That takes half of the time of a `select!` that
//! chooses its `default`. Rejected: checking twice without epochs, which misses a value that moves
//! in a circle. (Go reads two words of one channel without such a check. If a close wakes the
//! waiting receivers between the two reads, a channel that was never full looks full.)
//!
//! A check without the lock may also err on the other side. A queue may hold only nodes whose
//! operations were completed through other queues, and `len` does not count reserved slots. So a
//! caller that finds an operation possible takes the lock. If the operation then turns out to be
//! impossible, the caller has learned nothing about its other channels.
//!
//! # Reserved slots
//! A select's send is chosen first and evaluates its message afterwards. In the meantime a slot of
//! the buffer is reserved for the send, and all other operations count this slot as taken. So a
//! chosen send never blocks. Once the value exists, it enters the buffer behind the values that
//! were sent in the meantime.
//!
//! # Invariants
//! * I1: `reserved` and the queues are touched only under the lock, that is, through a
//!   [`LockedHead`]. `state`, `len` and `epoch` are written only under it.
//! * I2: while a receiver waits, the buffer is empty and no sender waits. While a sender waits, the
//!   buffer and the reserved slots leave no room. Operations that were completed through another
//!   queue do not count. As an exception, two cases of the same operation may wait on opposite
//!   sides.
//! * I3: no node joins a queue of a closed channel. The closing thread is waking the owners of the
//!   nodes that are still linked.
//! * I4: the caller of a method holds a handle, so the channel outlives the call, including an
//!   unlock that lets a waiter return. A waiter's commit step does not touch the channel after its
//!   unlock.
//!
//! # Orderings
//! * P1: the release store of `len` or `occupied` under the lock -> its acquire load in
//!   `looks_ready`: a thread that sees *full* or *empty* also sees every epoch that was raised
//!   before, including one raised by a close.
//! * P2: the release store of `epoch`, after the change -> its acquire load in `epoch`: an epoch
//!   that is read before a check of the channel covers every change that the check did not see.
//! * The lock orders everything else (P1 of `lock`).

use crate::locked::Locked;
use crate::primitive::{AtomicU8, AtomicUsize, Ordering, RawLock, UnsafeCell, WakeBatch};
use crate::queue::Queue;
use crate::waiter::{ClaimedWaiter, Outcome, OwedWake, PinnedNode};

/// Not closed.
const OPEN: u8 = 0;
/// Closed because one side has no handle left.
const DISCONNECTED: u8 = 1;
/// Closed by `close`.
const CLOSED: u8 = 2;

/// The direction of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Recv,
}

/// A channel without its buffer.
///
/// It takes two cache lines, and an operation without a buffer touches nothing else. When a
/// thousand goroutines pass values on, most of the time is spent waiting for memory.
#[repr(C, align(64))]
pub(crate) struct Head {
    lock: RawLock,
    /// OPEN, DISCONNECTED or CLOSED. Changes at most twice, in this order and under `lock`.
    state: AtomicU8,
    /// `true` if the number of buffered values has a limit. Immutable. No value of `cap` can
    /// express this, because a channel of zero-sized values may have any capacity.
    bounded: bool,
    /// The number of buffered values. Written only under `lock`.
    len: AtomicUsize,
    /// The limit of `len`, or `usize::MAX` if there is no limit. Immutable.
    cap: usize,
    /// Raised under `lock` when an operation has become possible.
    epoch: AtomicUsize,
    /// The number of slots that are reserved for chosen sends. Accessed only under `lock`.
    reserved: UnsafeCell<usize>,
    senders: Queue,
    receivers: Queue,
}

/// The way in which a chosen send of a select will complete, as granted when it was chosen.
pub(crate) enum Grant {
    /// The send fails, because the channel is closed.
    Closed,
    /// The channel always has room.
    Unbounded,
    /// A slot of the buffer is reserved.
    Slot,
    /// This receiver waits for the value.
    Receiver(ClaimedWaiter),
}

/// A type that has a channel's lock: a [`Head`], or a type that contains a head.
///
/// # Safety
/// [`head`](Self::head) returns the same head every time, and the head's lock guards the cells of
/// the whole value.
pub(crate) unsafe trait HasHead {
    fn head(&self) -> &Head;
}

/// The lock of a channel, held by the owner of this value.
#[must_use = "the channel stays locked until `unlock`"]
pub(crate) struct Guard<'a, C: HasHead>(&'a C);

/// Proof that the lock of this head is held.
pub(crate) type LockedHead<'t> = Locked<'t, Head>;

impl<'a, C: HasHead> Guard<'a, C> {
    /// Takes the lock.
    #[inline]
    pub(crate) fn lock(of: &'a C) -> Self {
        of.head().lock.lock();
        Self(of)
    }

    /// Releases the lock.
    #[inline]
    pub(crate) fn unlock(self) {
        // SAFETY: a guard exists only while its owner holds the lock, and this call consumes it.
        unsafe { self.0.head().lock.unlock() };
    }

    /// Returns the proof that the lock is held.
    #[inline]
    pub(crate) fn locked(&mut self) -> Locked<'_, C> {
        // SAFETY: the lock is held as long as the guard exists, and `&mut self` makes this the only
        // token in use.
        unsafe { Locked::assume(self.0) }
    }

    /// Returns the guard of the head alone.
    #[inline]
    pub(crate) fn into_head(self) -> Guard<'a, Head> {
        Guard(self.0.head())
    }

    /// Returns the guarded value, for access that needs no lock.
    #[inline]
    pub(crate) fn get(&self) -> &'a C {
        self.0
    }

    /// Drops the guard, but keeps the lock until [`from_held`](Self::from_held) is called.
    #[inline]
    pub(crate) fn keep(self) {}

    /// Returns the guard of a lock that was kept.
    ///
    /// # Safety
    /// [`keep`](Self::keep) was called on a guard of `of`, this function has not been called since,
    /// and the caller holds no token for `of`.
    #[inline]
    pub(crate) unsafe fn from_held(of: &'a C) -> Self {
        Self(of)
    }
}

impl<C: HasHead> Locked<'_, C> {
    #[inline]
    pub(crate) fn head(&mut self) -> LockedHead<'_> {
        // SAFETY: the head's lock also guards `C`, and `&mut self` lends out this token's exclusive
        // right.
        unsafe { Locked::assume(self.get().head()) }
    }
}

// SAFETY: it is its own head.
unsafe impl HasHead for Head {
    #[inline]
    fn head(&self) -> &Head {
        self
    }
}

/// The methods that need no lock, or take it themselves.
impl Head {
    /// Creates the head of an open channel with room for `cap` values, or for any number of values
    /// if `cap` is `None`.
    pub(crate) fn new(cap: Option<usize>) -> Self {
        Self {
            lock: RawLock::new(),
            state: AtomicU8::new(OPEN),
            bounded: cap.is_some(),
            len: AtomicUsize::new(0),
            cap: cap.unwrap_or(usize::MAX),
            epoch: AtomicUsize::new(0),
            reserved: UnsafeCell::new(0),
            senders: Queue::new(),
            receivers: Queue::new(),
        }
    }

    /// Returns the number of buffered values.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Returns the capacity, or `None` if there is no limit.
    #[inline]
    pub(crate) fn capacity(&self) -> Option<usize> {
        self.bounded.then_some(self.cap)
    }

    /// Returns `true` if the channel is closed, by `close` or because one side has no handle left.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: acquire pairs with the release in `close_as`: a thread that sees the close sees
        // what the closing thread did before.
        self.state.load(Ordering::Acquire) != OPEN
    }

    /// Returns `true` if an operation would apparently not block.
    ///
    /// `false` is certain if the epoch is still the same as before this call.
    #[inline]
    pub(crate) fn looks_ready(&self, direction: Direction) -> bool {
        // ORDERING P1: acquire, here and in `is_occupied`, so that the second read of the epoch
        // comes afterwards.
        let len = self.len.load(Ordering::Acquire);
        let blocked = match direction {
            Direction::Send => len == self.cap && !self.receivers.is_occupied(),
            Direction::Recv => len == 0 && !self.senders.is_occupied(),
        };
        !blocked || self.is_closed()
    }

    /// Returns `true` if there was an instant at which an operation would have blocked.
    ///
    /// `false` is not certain.
    #[inline]
    pub(crate) fn would_block(&self, direction: Direction) -> bool {
        let epoch = self.epoch();
        !self.looks_ready(direction) && self.epoch() == epoch
    }

    /// Returns how many times an operation has become possible.
    #[inline]
    pub(crate) fn epoch(&self) -> usize {
        // ORDERING P2: acquire pairs with the release in `raise_epoch`.
        self.epoch.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, Head> {
        Guard::lock(self)
    }

    /// Notifies the next watcher if the event that woke the caller still applies.
    ///
    /// The caller holds no lock.
    pub(crate) fn notify_next_watcher(&self, direction: Direction) {
        let mut guard = self.lock();
        let mut head = guard.locked();
        let next = if head.is_ready(direction) { head.queue(direction).claim_watcher() } else { None };
        guard.unlock();
        wake(next.map(|watcher| watcher.complete(Outcome::Retry)));
    }

    /// Closes the channel.
    ///
    /// # Panics
    /// If `close` was called before.
    pub(crate) fn close(&self) {
        let guard = self.lock();
        // ORDERING: relaxed, under the lock.
        if self.state.load(Ordering::Relaxed) == CLOSED {
            guard.unlock();
            panic!("close of closed channel");
        }
        guard.close_as(CLOSED);
    }

    /// Returns the number of waiting senders and receivers.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let mut guard = self.lock();
        let mut head = guard.locked();
        let counts = (head.queue(Direction::Send).count(), head.queue(Direction::Recv).count());
        guard.unlock();
        counts
    }
}

impl LockedHead<'_> {
    /// Records that an operation has become possible. Called after the change that made it
    /// possible.
    #[inline]
    pub(crate) fn raise_epoch(&mut self) {
        let epoch = &self.get().epoch;
        // ORDERING P2: release pairs with the acquire in `epoch`. Only the holder of the lock
        // writes, so a separate load and store are enough.
        epoch.store(epoch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        // ORDERING: relaxed, under the lock.
        self.get().state.load(Ordering::Relaxed) == OPEN
    }

    /// Returns `true` if at least one value is buffered.
    #[inline]
    pub(crate) fn has_value(&self) -> bool {
        self.get().len() > 0
    }

    /// Returns the operations that wait in this direction.
    #[inline]
    pub(crate) fn queue(&mut self, direction: Direction) -> Locked<'_, Queue> {
        let head = self.get();
        let queue = match direction {
            Direction::Send => &head.senders,
            Direction::Recv => &head.receivers,
        };
        // SAFETY: I1: the head's lock guards its queues, and `&mut self` lends out this token's
        // exclusive right.
        unsafe { Locked::assume(queue) }
    }

    /// Returns `true` if the buffer has room that is not reserved.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        let head = self.get();
        // SAFETY: I1: the token proves that the lock is held.
        head.len() + head.reserved.with_mut(|reserved| unsafe { *reserved }) < head.cap
    }

    /// Reserves a slot of the buffer, which has room.
    #[inline]
    pub(crate) fn reserve_slot(&mut self) {
        // SAFETY: I1: the token proves that the lock is held.
        self.get().reserved.with_mut(|reserved| unsafe { *reserved += 1 });
    }

    /// Releases a reserved slot. Returns `true` if the channel had no other room.
    pub(crate) fn release_slot(&mut self) -> bool {
        let was_full = !self.has_room();
        // SAFETY: I1: the token proves that the lock is held.
        self.get().reserved.with_mut(|reserved| unsafe { *reserved -= 1 });
        was_full
    }

    /// Records that a value entered the buffer.
    #[inline]
    pub(crate) fn note_push(&mut self) -> Option<OwedWake> {
        let head = self.get();
        let before = head.len();
        // ORDERING P1: release pairs with the acquire in `looks_ready`.
        head.len.store(before + 1, Ordering::Release);
        if before == 0 { self.announce(Direction::Recv) } else { None }
    }

    /// Records that a value left the buffer.
    #[inline]
    pub(crate) fn note_pop(&mut self) -> Option<OwedWake> {
        let was_full = !self.has_room();
        let head = self.get();
        // ORDERING P1: release pairs with the acquire in `looks_ready`.
        head.len.store(head.len() - 1, Ordering::Release);
        if was_full { self.announce(Direction::Send) } else { None }
    }

    /// Records that a value left the buffer and that its slot is reserved for a send.
    pub(crate) fn note_pop_and_reserve(&mut self) {
        self.reserve_slot();
        let head = self.get();
        // ORDERING P1: release pairs with the acquire in `looks_ready`.
        head.len.store(head.len() - 1, Ordering::Release);
    }

    /// Records that the buffer was emptied because its last receiver is gone.
    pub(crate) fn note_drain(&mut self) {
        // ORDERING P1: this comes before the close, but no receiver is left that could mistake the
        // channel for *empty and open*.
        self.get().len.store(0, Ordering::Release);
    }

    /// Records that an operation in this direction has become possible, and notifies one watcher.
    #[inline]
    pub(crate) fn announce(&mut self, direction: Direction) -> Option<OwedWake> {
        self.raise_epoch();
        self.queue(direction).claim_watcher().map(|watcher| watcher.complete(Outcome::Retry))
    }

    /// Claims the longest-waiting sender.
    ///
    /// Returns `None` once the channel is closed, because the waiting senders then get their values
    /// back.
    #[inline]
    pub(crate) fn claim_sender(&mut self) -> Option<ClaimedWaiter> {
        if self.is_open() { self.queue(Direction::Send).claim_first() } else { None }
    }

    /// Returns `true` if an operation would not block.
    pub(crate) fn is_ready(&mut self, direction: Direction) -> bool {
        !self.is_open()
            || match direction {
                Direction::Send => self.has_room() || self.queue(Direction::Recv).has_claimable(),
                Direction::Recv => self.has_value() || self.queue(Direction::Send).has_claimable(),
            }
    }

    /// Appends an operation that has to wait to its queue.
    ///
    /// Returns a watcher of the other side if this is the event that the watcher waits for. The
    /// caller completes the watcher with `Retry` and wakes it after releasing the lock.
    #[inline]
    pub(crate) fn enqueue(&mut self, direction: Direction, node: PinnedNode) -> Option<ClaimedWaiter> {
        self.queue(direction).push(node);
        // If the buffer offers nothing to the other side, this waiter makes the other side's
        // operation possible.
        let (others, possible) = match direction {
            Direction::Send => (Direction::Recv, !self.has_value()),
            Direction::Recv => (Direction::Send, !self.has_room()),
        };
        if !possible {
            return None;
        }
        self.raise_epoch();
        self.queue(others).claim_watcher()
    }

    /// Chooses a select's send if it would not block.
    ///
    /// From then on the send cannot block. The caller uses the grant or returns it.
    pub(crate) fn grant_send(&mut self) -> Option<Grant> {
        if !self.is_open() {
            return Some(Grant::Closed);
        }
        if let Some(receiver) = self.queue(Direction::Recv).claim_first() {
            return Some(Grant::Receiver(receiver));
        }
        if !self.get().bounded {
            return Some(Grant::Unbounded);
        }
        self.has_room().then(|| {
            self.reserve_slot();
            Grant::Slot
        })
    }
}

impl Guard<'_, Head> {
    /// Closes the channel because one side has no handle left, and releases the lock.
    pub(crate) fn disconnect(self) {
        self.close_as(DISCONNECTED);
    }

    /// Closes the channel, releases the lock, and wakes all operations that wait.
    fn close_as(mut self, state: u8) {
        let head = self.0;
        // ORDERING: the load is relaxed, under the lock. The store is a release for `is_closed`,
        // and comes before the queues are emptied: a thread that sees them empty sees the close.
        if head.state.load(Ordering::Relaxed) < state {
            head.state.store(state, Ordering::Release);
        }
        self.locked().raise_epoch();
        // I3: no node joins the queues of a closed channel, so this ends.
        self.complete_all(|| Outcome::Closed);
    }

    /// Ends all waits with `outcome`, releases the lock, and wakes the waiters.
    ///
    /// Ends only if no further operations join the queues.
    pub(crate) fn complete_all(mut self, outcome: fn() -> Outcome) {
        let mut locked = self.locked();
        // Most channels are closed while no operation waits. An example is the channels of
        // contexts, because thousands of contexts may end at once.
        if locked.queue(Direction::Recv).is_empty() && locked.queue(Direction::Send).is_empty() {
            return self.unlock();
        }
        // In batches, so that each node is touched once. With a million waiters, all the time is
        // spent waiting for memory.
        let head = self.0;
        loop {
            let mut batch = WakeBatch::new();
            let mut locked = self.locked();
            let emptied = locked.queue(Direction::Recv).complete_batch(&mut batch, outcome)
                && locked.queue(Direction::Send).complete_batch(&mut batch, outcome);
            self.unlock();
            // SAFETY: the batch was filled with owed wakes (I3 of `waiter`), and the lock is
            // released.
            unsafe { batch.wake_all() };
            if emptied {
                return;
            }
            self = head.lock();
        }
    }
}

/// Wakes a waiter if a wake is owed. The lock must have been released.
#[inline]
pub(crate) fn wake(owed: Option<OwedWake>) {
    if let Some(owed) = owed {
        owed.wake();
    }
}
