//! The channel: a lock, a buffer, and two queues of waiters.
//!
//! # Protocol
//! One channel type serves every capacity, as in Go: capacity zero is a buffer that never has room. An operation takes
//! the lock and looks in this order.
//!
//! | send | receive |
//! | --- | --- |
//! | closed: the value goes back | a buffered value: take it; the longest waiting sender's value takes its place |
//! | a receiver waits: hand it the value | a sender waits (capacity zero): take its value |
//! | room in the buffer: put it there | closed: fail |
//! | wait, or fail | wait, or fail |
//!
//! *Hand-off*: whoever finds a peer waiting completes the peer's operation **for it**, under the same hold of the lock:
//! it moves the value out of or into the peer's frame, unlocks, and wakes the peer, which has nothing left to do but to
//! look at its slot. So waiters are served first-in-first-out and nobody can barge in between the wake and the moment
//! the woken one runs. Rejected: waking a waiter to try again (crossbeam-channel). It lets others barge, so a waiter
//! can starve, and it wakes waiters that find nothing.
//!
//! *Waiting*: a waiter links a node in its own frame and blocks; the lock is released by the block's commit step. The
//! node points to a slot beside it: a sender's holds the value until a receiver takes it, a receiver's is empty until a
//! sender fills it. The slot also says how it ended. A sender that wakes with its value still there, and a
//! receiver that wakes with an empty slot, met a close. A node is one case of an operation (`protocol::claim`), and
//! a peer that finds the operation taken by another case goes on to the next node.
//!
//! *Close* makes the channel closed, then empties both queues and wakes all of them, in batches; a waiting sender is
//! passed over by receivers from the moment of the close on. Dropping the last
//! handle of one side does the same; the last receiver also takes the buffered values away, as nobody can want them.
//!
//! *Failing without the lock.* `try_send` on a full and `try_recv` on an empty channel fail after two loads, so polling
//! does not disturb those who work. The answer "nothing to receive, not closed" must hold at one instant. `try_recv`
//! reads *empty* and **then** *not closed*: a closed channel never opens again, so it was not closed either when it
//! was empty. In the other order a value and a close could slip in between the two, and it would report an instant that
//! never was. `try_send` likewise: *full*, then *not closed*. (Go reads those two the other way round; there a close
//! between them that sends the waiting receivers away makes a channel look full that never was.) If the channel is closed
//! both take the lock, and the table decides.
//!
//! *The lock is a spin lock*: under it nothing allocates, frees, wakes, panics or runs code of the value's type. Blocks
//! of an unbounded buffer are allocated before and freed after; discarded values are dropped after.
//!
//! # Invariants
//! * I1: `buffer` and the queues are touched only under `lock`; `state`, `len` and a queue's `occupied` are written only
//!   under it, and may be read without.
//! * I2: a value is buffered only while no receiver waits; a sender waits only while there is no room. (A waiter whose
//!   operation was taken by another case does not count.)
//! * I3: no node joins a queue of a closed channel, and those that are there are being woken by whoever closed it.
//! * I4: a node in a queue, its slot and its waker live in a frame that is left only after the wake, which comes after
//!   the node was unlinked.
//! * I5: whoever calls a method holds a handle, so a channel outlives its own calls, also the unlock that lets a waiter
//!   go. A waiter's commit step touches nothing after its unlock.
//!
//! # Orderings
//! * P1: the release store of `len` or `occupied` under the lock -> its acquire load in `looks_full`, `looks_empty`: who
//!   sees *full* or *empty* also sees every close that came before.
//! * P2: the wake -> the return from `block`: the waiter sees what was done to its slot.
//! * All else is ordered by the lock (P1 of `lock`).
//!
//! # See also
//! Go's `runtime/chan.go`; the models in `scheduler/models/tests/channel.rs`; `tests/try_ops.rs` for the lock-free answers.

use std::cell;
use std::mem;
use std::ptr::NonNull;

use crate::buffer::{Block, Buffer};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::primitive::{
    AtomicU8, AtomicUsize, Blocker, Case, Ordering, RawLock, UnsafeCell, WaitNode, WaitReason, WakeBatch, Waker,
};
use crate::waiter::{Popped, Queue, Waiter};

/// Not closed.
const OPEN: u8 = 0;
/// Closed because one side has no handle left.
const DISCONNECTED: u8 = 1;
/// Closed by `close`.
const CLOSED: u8 = 2;

/// A channel of any capacity. Counted and freed by `counter`.
pub(crate) struct Chan<T> {
    lock: RawLock,
    /// OPEN, DISCONNECTED or CLOSED; changes at most twice, in this order, under `lock`.
    state: AtomicU8,
    /// The number of buffered values. Written only under `lock`.
    len: AtomicUsize,
    /// Immutable; none for an unbounded channel.
    cap: Option<usize>,
    /// Under `lock`.
    buffer: UnsafeCell<Buffer<T>>,
    senders: Queue<T>,
    receivers: Queue<T>,
}

// SAFETY: values of `T` go from thread to thread, hence the bound; everything else in a channel is made for sharing.
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: as above; nobody ever sees a `&T`.
unsafe impl<T: Send> Sync for Chan<T> {}

/// What stopped a locked attempt to send.
enum Refusal<T> {
    Closed(T),
    NoRoom(T),
}

impl<T> Chan<T> {
    /// A channel with room for `cap` values. Allocates the room.
    pub(crate) fn bounded(cap: usize) -> Self {
        Self::with_buffer(Some(cap), Buffer::bounded(cap))
    }

    /// A channel that always has room.
    pub(crate) fn unbounded() -> Self {
        Self::with_buffer(None, Buffer::unbounded())
    }

    fn with_buffer(cap: Option<usize>, buffer: Buffer<T>) -> Self {
        Self {
            lock: RawLock::new(),
            state: AtomicU8::new(OPEN),
            len: AtomicUsize::new(0),
            cap,
            buffer: UnsafeCell::new(buffer),
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
        self.cap
    }

    /// Whether the channel is closed, by whichever means.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: acquire pairs with the release in `shut`: who sees the close sees what its closer did before it.
        self.state.load(Ordering::Acquire) != OPEN
    }

    /// Whether a send finds neither room nor a receiver.
    #[inline]
    fn looks_full(&self) -> bool {
        // ORDERING P1: acquire, here and in `is_occupied`, so that the caller's load of `state` comes after.
        match self.cap {
            Some(0) => !self.receivers.is_occupied(),
            Some(cap) => self.len.load(Ordering::Acquire) == cap,
            None => false,
        }
    }

    /// Whether a receive finds neither a value nor a sender.
    #[inline]
    fn looks_empty(&self) -> bool {
        // ORDERING P1: acquire, here and in `is_occupied`, so that the caller's load of `state` comes after.
        match self.cap {
            Some(0) => !self.senders.is_occupied(),
            _ => self.len.load(Ordering::Acquire) == 0,
        }
    }

    /// Sends if that is possible at once.
    #[inline]
    pub(crate) fn try_send(&self, mut value: T) -> Result<(), TrySendError<T>> {
        if self.looks_full() && !self.is_closed() {
            return Err(TrySendError::Full(value));
        }
        loop {
            self.lock.lock();
            // SAFETY: locked above.
            let sent = unsafe { self.send_locked(value) };
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
            match sent {
                Ok(peer) => {
                    // SAFETY: the waker comes from `send_locked`, and the lock is released.
                    unsafe { wake(peer) };
                    return Ok(());
                }
                Err(Refusal::Closed(value)) => return Err(TrySendError::Disconnected(value)),
                Err(Refusal::NoRoom(value)) if self.cap.is_some() => return Err(TrySendError::Full(value)),
                Err(Refusal::NoRoom(back)) => value = back,
            }
            self.grow();
        }
    }

    /// Sends; blocks until there is room or a receiver, or the channel is closed.
    #[inline]
    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(value)) => self.send_blocking(value),
            Err(TrySendError::Disconnected(value)) => Err(SendError(value)),
        }
    }

    /// Receives if that is possible at once.
    #[inline]
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        if self.looks_empty() && !self.is_closed() {
            return Err(TryRecvError::Empty);
        }
        let (mut spent, mut peer) = (None, None);
        self.lock.lock();
        // SAFETY: locked above.
        let received = unsafe { self.recv_locked(&mut spent, &mut peer) };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        // SAFETY: the waker comes from `recv_locked`, and the lock is released.
        unsafe { wake(peer) };
        received
    }

    /// Receives; blocks until there is a value or a sender, or the channel is closed and drained.
    #[inline]
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        match self.try_recv() {
            Ok(value) => Ok(value),
            Err(TryRecvError::Empty) => self.recv_blocking(),
            Err(TryRecvError::Disconnected) => Err(RecvError),
        }
    }

    /// Closes the channel. Panics if that was done before.
    pub(crate) fn close(&self) {
        self.lock.lock();
        // ORDERING: relaxed, under the lock.
        let again = self.state.load(Ordering::Relaxed) == CLOSED;
        if again {
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
            panic!("close of closed channel");
        }
        // SAFETY: locked above.
        unsafe { self.shut_and_unlock(CLOSED) };
    }

    /// The last sender is gone.
    pub(crate) fn disconnect_senders(&self) {
        self.lock.lock();
        // SAFETY: locked above.
        unsafe { self.shut_and_unlock(DISCONNECTED) };
    }

    /// The last receiver is gone. The caller drops what was buffered.
    #[must_use]
    pub(crate) fn disconnect_receivers(&self) -> Buffer<T> {
        self.lock.lock();
        // SAFETY: I1, locked above. A ring without slots takes no memory.
        let discarded = self.buffer.with_mut(|buffer| mem::replace(unsafe { &mut *buffer }, Buffer::bounded(0)));
        // ORDERING P1: before the close, but no receiver is left to take it for *empty and open*.
        self.len.store(0, Ordering::Release);
        // SAFETY: locked above.
        unsafe { self.shut_and_unlock(DISCONNECTED) };
        discarded
    }

    /// The send column of the table: the value is sent, or comes back. A returned waker is owed a wake.
    ///
    /// # Safety
    /// The caller holds the lock, and releases it before it wakes.
    #[inline]
    unsafe fn send_locked(&self, value: T) -> Result<Option<Waker>, Refusal<T>> {
        // ORDERING: relaxed, under the lock.
        if self.state.load(Ordering::Relaxed) != OPEN {
            return Err(Refusal::Closed(value));
        }
        // SAFETY: the caller holds the lock.
        if let Some(receiver) = unsafe { self.receivers.pop() } {
            // SAFETY: a receiver.
            return Ok(Some(unsafe { receiver.give(value) }));
        }
        self.buffer.with_mut(|buffer| {
            // SAFETY: I1.
            let buffer = unsafe { &mut *buffer };
            if !buffer.has_room() {
                return Err(Refusal::NoRoom(value));
            }
            buffer.push(value);
            // ORDERING P1: release pairs with `looks_full` and `looks_empty`.
            self.len.store(buffer.len(), Ordering::Release);
            Ok(None)
        })
    }

    /// The receive column of the table. Who is left in `peer` is owed a wake, what is left in `spent` is to be dropped,
    /// both without the lock.
    ///
    /// # Safety
    /// The caller holds the lock, and releases it before it wakes.
    #[inline]
    unsafe fn recv_locked(
        &self,
        spent: &mut Option<Box<Block<T>>>,
        peer: &mut Option<Waker>,
    ) -> Result<T, TryRecvError> {
        let buffered = self.buffer.with_mut(|buffer| {
            // SAFETY: I1.
            let buffer = unsafe { &mut *buffer };
            let value = buffer.pop(spent)?;
            // SAFETY: the caller holds the lock.
            if let Some(sender) = unsafe { self.next_sender() } {
                // SAFETY: a sender.
                let (value, waker) = unsafe { sender.take() };
                buffer.push(value);
                *peer = Some(waker);
            }
            // ORDERING P1: release pairs with `looks_full` and `looks_empty`.
            self.len.store(buffer.len(), Ordering::Release);
            Some(value)
        });
        if let Some(value) = buffered {
            return Ok(value);
        }
        // SAFETY: the caller holds the lock.
        if let Some(sender) = unsafe { self.next_sender() } {
            // SAFETY: a sender.
            let (value, waker) = unsafe { sender.take() };
            *peer = Some(waker);
            return Ok(value);
        }
        // ORDERING: relaxed, under the lock.
        match self.state.load(Ordering::Relaxed) {
            OPEN => Err(TryRecvError::Empty),
            _ => Err(TryRecvError::Disconnected),
        }
    }

    /// The longest waiting sender. None from the close on: those who wait then get their values back.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    unsafe fn next_sender(&self) -> Option<Popped<T>> {
        // ORDERING: relaxed, under the lock.
        let open = self.state.load(Ordering::Relaxed) == OPEN;
        // SAFETY: the caller holds the lock.
        if open { unsafe { self.senders.pop() } } else { None }
    }

    /// Gives an unbounded buffer room for one value or more. Allocates.
    #[cold]
    fn grow(&self) {
        let block = Block::new();
        self.lock.lock();
        // SAFETY: I1, locked above.
        let unused = self.buffer.with_mut(|buffer| unsafe { (*buffer).supply(block) });
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        drop(unused);
    }

    /// `send` when an attempt has found the channel full. Blocks.
    #[inline(never)]
    fn send_blocking(&self, value: T) -> Result<(), SendError<T>> {
        let blocker = Blocker::new();
        self.lock.lock();
        // SAFETY: locked above.
        let refusal = match unsafe { self.send_locked(value) } {
            Err(Refusal::NoRoom(value)) => {
                // SAFETY: locked above; an unbounded channel is never full, so it was no missing block.
                let back = unsafe { self.wait(&blocker, &self.senders, WaitReason::ChanSend, Some(value)) };
                return back.map_or(Ok(()), |value| Err(SendError(value)));
            }
            Err(Refusal::Closed(value)) => Err(SendError(value)),
            Ok(peer) => Ok(peer),
        };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        // SAFETY: the waker comes from `send_locked`, and the lock is released.
        refusal.map(|peer| unsafe { wake(peer) })
    }

    /// `recv` when an attempt has found the channel empty. Blocks.
    #[inline(never)]
    fn recv_blocking(&self) -> Result<T, RecvError> {
        let blocker = Blocker::new();
        let (mut spent, mut peer) = (None, None);
        self.lock.lock();
        // SAFETY: locked above.
        let received = unsafe { self.recv_locked(&mut spent, &mut peer) };
        if let Err(TryRecvError::Empty) = received {
            // SAFETY: locked above.
            return unsafe { self.wait(&blocker, &self.receivers, WaitReason::ChanReceive, None) }.ok_or(RecvError);
        }
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        // SAFETY: the waker comes from `recv_locked`, and the lock is released.
        unsafe { wake(peer) };
        received.map_err(|_| RecvError)
    }

    /// Queues up with `value` in the slot, releases the lock, and blocks until a peer or a close has come; returns what
    /// is in the slot then.
    ///
    /// # Safety
    /// The caller holds the lock, and has found under it that it must wait.
    #[inline(always)]
    unsafe fn wait(&self, blocker: &Blocker, queue: &Queue<T>, reason: WaitReason, value: Option<T>) -> Option<T> {
        let slot = cell::UnsafeCell::new(value);
        let waiter = Waiter { case: Case::only(), slot: NonNull::from(&slot).cast(), waker: blocker.waker() };
        let node = WaitNode::new(waiter);
        // SAFETY: the caller holds the lock. The node is new, and stays here until the wake (I4).
        unsafe { queue.push(NonNull::from(&node)) };
        // SAFETY: the caller holds the lock; the unlock is the last access (I5).
        blocker.block(reason, || unsafe { self.lock.unlock() });
        // ORDERING P2: the peer is done with the slot.
        slot.into_inner()
    }

    /// The number of waiting senders and receivers.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.lock.lock();
        // SAFETY: I1, locked above.
        let counts = unsafe { (self.senders.count(), self.receivers.count()) };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        counts
    }

    /// Closes the channel, releases the lock, and wakes all who wait.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn shut_and_unlock(&self, state: u8) {
        // ORDERING: the load is relaxed, under the lock. The store is a release for `is_closed`, and comes before the
        // queues are emptied: who sees them empty sees the close (P1).
        if self.state.load(Ordering::Relaxed) < state {
            self.state.store(state, Ordering::Release);
        }
        // In batches, so that each node is touched once: with a million waiters, waiting for memory is all there is to it.
        // Nobody joins the queues of a closed channel, so this comes to an end.
        loop {
            let mut batch = WakeBatch::new();
            // SAFETY: the caller, or this loop, holds the lock.
            let emptied = unsafe { self.receivers.take_batch(&mut batch) && self.senders.take_batch(&mut batch) };
            // SAFETY: as above.
            unsafe { self.lock.unlock() };
            // SAFETY: the operations were reserved, so this is their one wake; the lock is released.
            unsafe { batch.wake_all() };
            if emptied {
                return;
            }
            self.lock.lock();
        }
    }
}

/// Wakes the peer whose operation was completed, if there is one.
///
/// # Safety
/// The waker was returned by `send_locked` or `recv_locked`, and the lock has been released since.
#[inline]
unsafe fn wake(peer: Option<Waker>) {
    if let Some(peer) = peer {
        // SAFETY: the operation was reserved, so this is its one wake; the lock it was found under is released.
        unsafe { peer.wake() };
    }
}
