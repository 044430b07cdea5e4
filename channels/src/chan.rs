//! The channel: a lock, a buffer, and two queues of waiters.
//!
//! # Protocol
//! One channel type serves every capacity, as in Go: capacity zero is a buffer that never has room. An operation takes
//! the lock and looks in this order.
//!
//! | send | receive |
//! | --- | --- |
//! | closed: the value goes back | a buffered value: take it; the longest waiting sender's value takes its place |
//! | a receiver waits: hand it the value | a sender waits: take its value |
//! | room in the buffer: put it there | closed: fail |
//! | wait, or fail | wait, or fail |
//!
//! *Hand-off*: whoever finds a peer waiting completes the peer's operation **for it**, under the same hold of the lock:
//! it moves the value out of or into the peer's frame, unlocks, and wakes the peer, which has nothing left to do but to
//! look how its wait has ended. So waiters are served first-in-first-out and nobody can barge in between the wake and the
//! moment the woken one runs. Rejected: waking a waiter to try again (crossbeam-channel). It lets others barge, so a waiter
//! can starve, and it wakes waiters that find nothing.
//!
//! *Waiting*: a waiter links a node in its own frame and blocks; the lock is released by the block's commit step. The
//! node points to the value beside it: a sender's, until a receiver takes it, or the place where a receiver wants one. It
//! also says how the wait ended (`waiter`). A node is one case of an operation (`protocol::claim`), and
//! a peer that finds the operation taken by another case goes on to the next node.
//!
//! *Close* makes the channel closed, then empties both queues and wakes all of them, in batches; a waiting sender is
//! passed over by receivers from the moment of the close on. Dropping the last
//! handle of one side does the same; the last receiver also takes the buffered values away, as nobody can want them.
//!
//! *The lock is a spin lock*: under it nothing allocates, frees, wakes, panics or runs code of the value's type. Blocks
//! of an unbounded buffer are allocated before and freed after; discarded values are dropped after.
//!
//! # Invariants
//! * I1: `buffer` is touched only under the lock of `head`, whose `len` is its length.
//! * I2: a value lies in the frame of its sender, in the buffer, or in the frame of its receiver, and is moved under the lock or
//!   by who has reserved the frame's operation. Frames hold it as `MaybeUninit`, and know by the outcome whether it is there.
//! * The invariants of `head` and `waiter`.
//!
//! # See also
//! Go's `runtime/chan.go`; the models in `scheduler/models/tests/channel/`; `head` for what is answered without the lock.

use std::mem::{self, MaybeUninit};
use std::time::Instant;

use crate::buffer::{Block, Buffer, Spent};
use crate::error::{RecvError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use crate::head::{Chosen, Direction, Head, wake};
use crate::primitive::{UnsafeCell, Waker};
use crate::wait::{Patience, Stop, persist};
use crate::waiter::{Outcome, Popped};

/// A channel of any capacity. Counted and freed by `counter`.
// The head comes first, so that a pointer to a channel is one to its head.
#[repr(C)]
pub(crate) struct Chan<T> {
    pub(crate) head: Head,
    /// Under the lock.
    buffer: UnsafeCell<Buffer<T>>,
}

// SAFETY: values of `T` go from thread to thread, hence the bound; everything else in a channel is made for sharing.
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: as above; nobody ever sees a `&T`.
unsafe impl<T: Send> Sync for Chan<T> {}

/// What became of a value that was offered under the lock.
enum Offered {
    /// It is gone. The waker is owed a wake.
    Taken(Option<Waker>),
    /// It is where it was: the channel is closed.
    Closed,
    /// It is where it was.
    NoRoom,
}

/// What a receive finds under the lock.
pub(crate) enum Received {
    /// The value was moved. The waker is owed a wake, the rest is to be dropped, both without the lock.
    Value(Option<Waker>, Spent),
    /// A send whose value is still to come.
    Promise(Popped),
    Empty,
    /// Closed and drained.
    Closed,
}

impl<T> Chan<T> {
    /// A channel with room for `cap` values. Allocates the room.
    pub(crate) fn bounded(cap: usize) -> Self {
        Self { head: Head::new(Some(cap)), buffer: UnsafeCell::new(Buffer::bounded(cap)) }
    }

    /// A channel that always has room.
    pub(crate) fn unbounded() -> Self {
        Self { head: Head::new(None), buffer: UnsafeCell::new(Buffer::unbounded()) }
    }

    /// Sends if that is possible at once.
    #[inline]
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.head.is_blocked(Direction::Send) {
            return Err(TrySendError::Full(value));
        }
        let value = MaybeUninit::new(value);
        self.head.lock();
        // SAFETY: locked above; the value is there, and comes back if it was not taken.
        unsafe {
            let mut offered = self.offer(value.as_ptr());
            self.head.unlock();
            while matches!(offered, Offered::NoRoom) && self.head.capacity().is_none() {
                self.grow();
                self.head.lock();
                offered = self.offer(value.as_ptr());
                self.head.unlock();
            }
            match offered {
                Offered::Taken(peer) => {
                    wake(peer);
                    Ok(())
                }
                Offered::Closed => Err(TrySendError::Disconnected(value.assume_init())),
                Offered::NoRoom => Err(TrySendError::Full(value.assume_init())),
            }
        }
    }

    /// Sends at once, if need be into the place of the oldest value in the buffer, which it returns: one step for all others. For
    /// channels whose senders never wait: they would be overtaken.
    pub(crate) fn displace(&self, value: T) -> Result<Option<T>, TrySendError<T>> {
        let (value, mut spent) = (MaybeUninit::new(value), Spent::default());
        self.head.lock();
        // SAFETY: locked above; the value is there, and comes back if it was not taken.
        unsafe {
            let offered = self.offer(value.as_ptr());
            let oldest = match offered {
                Offered::NoRoom => self.buffer.with_mut(|buffer| (*buffer).pop(&mut spent)),
                Offered::Taken(_) | Offered::Closed => None,
            };
            if oldest.is_some() {
                // One value went, and one came.
                self.buffer.with_mut(|buffer| (*buffer).push(value.assume_init_read()));
            }
            self.head.unlock();
            match offered {
                Offered::Taken(peer) => {
                    wake(peer);
                    Ok(None)
                }
                Offered::NoRoom if oldest.is_some() => Ok(oldest),
                Offered::NoRoom => Err(TrySendError::Full(value.assume_init())),
                Offered::Closed => Err(TrySendError::Disconnected(value.assume_init())),
            }
        }
    }

    /// Sends; blocks until there is room or a receiver, or the channel is closed.
    #[inline]
    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_until(value, None).map_err(|error| SendError(error.into_inner()))
    }

    /// As [`send`](Self::send), but gives up when the deadline has come.
    #[inline]
    pub(crate) fn send_until(&self, value: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        let value = MaybeUninit::new(value);
        self.head.lock();
        // SAFETY: locked above; the value is there, and comes back if it was not taken.
        unsafe {
            let sent = match self.offer(value.as_ptr()) {
                Offered::Taken(peer) => {
                    self.head.unlock();
                    wake(peer);
                    return Ok(());
                }
                Offered::NoRoom if deadline.is_none() && self.head.capacity().is_some() => {
                    match self.head.wait_for_ever(Direction::Send, value.as_ptr().cast_mut().cast()) {
                        Ok(true) => return Ok(()),
                        Ok(false) => self.send_again(value.as_ptr(), None),
                        Err(stop) => Err(stop),
                    }
                }
                offered => {
                    self.head.unlock();
                    match offered {
                        Offered::Closed => Err(Stop::Closed),
                        _ => self.send_again(value.as_ptr(), deadline),
                    }
                }
            };
            sent.map_err(|stop| match stop {
                Stop::Closed => SendTimeoutError::Disconnected(value.assume_init()),
                Stop::Deadline => SendTimeoutError::Timeout(value.assume_init()),
            })
        }
    }

    /// Receives if that is possible at once.
    #[inline]
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        if self.head.is_blocked(Direction::Recv) {
            return Err(TryRecvError::Empty);
        }
        let mut slot = MaybeUninit::uninit();
        loop {
            self.head.lock();
            // SAFETY: locked above; the slot is filled when `finish_recv` says so.
            unsafe {
                match self.recv_locked(slot.as_mut_ptr()) {
                    Received::Empty => {
                        self.head.unlock();
                        return Err(TryRecvError::Empty);
                    }
                    received => match self.finish_recv(slot.as_mut_ptr(), received) {
                        Ok(true) => return Ok(slot.assume_init()),
                        Ok(false) => {}
                        Err(_) => return Err(TryRecvError::Disconnected),
                    },
                }
            }
        }
    }

    /// Receives; blocks until there is a value or a sender, or the channel is closed and drained.
    #[inline]
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(None).map_err(|_| RecvError)
    }

    /// As [`recv`](Self::recv), but gives up when the deadline has come.
    #[inline]
    pub(crate) fn recv_until(&self, deadline: Option<Instant>) -> Result<T, Stop> {
        let mut slot = MaybeUninit::uninit();
        self.head.lock();
        // SAFETY: locked above; the slot is filled when one of these says so.
        unsafe {
            match self.recv_locked(slot.as_mut_ptr()) {
                Received::Value(peer, spent) => {
                    self.head.unlock();
                    wake(peer);
                    drop(spent);
                }
                Received::Empty if deadline.is_none() => {
                    if !self.head.wait_for_ever(Direction::Recv, slot.as_mut_ptr().cast())? {
                        self.recv_again(slot.as_mut_ptr(), None)?;
                    }
                }
                received => self.recv_slowly(slot.as_mut_ptr(), received, deadline)?,
            }
            Ok(slot.assume_init())
        }
    }

    /// The last receiver is gone. The caller drops what was buffered.
    #[must_use]
    pub(crate) fn disconnect_receivers(&self) -> Buffer<T> {
        self.head.lock();
        // SAFETY: I1, locked above. A ring without slots takes no memory.
        let discarded = self.buffer.with_mut(|buffer| mem::replace(unsafe { &mut *buffer }, Buffer::bounded(0)));
        // SAFETY: locked above.
        unsafe {
            self.head.values_went();
            self.head.disconnect_and_unlock();
        }
        discarded
    }

    /// The last sender is gone.
    pub(crate) fn disconnect_senders(&self) {
        self.head.lock();
        // SAFETY: locked above.
        unsafe { self.head.disconnect_and_unlock() };
    }

    /// The send column of the table.
    ///
    /// # Safety
    /// The caller holds the lock; there is a value at `value`, which is gone if it was taken.
    #[inline]
    unsafe fn offer(&self, value: *const T) -> Offered {
        // SAFETY: the caller's contract.
        unsafe {
            if !self.head.is_open() {
                return Offered::Closed;
            }
            if let Some(receiver) = self.head.receivers.pop() {
                return Offered::Taken(Some(receiver.give(value)));
            }
            if !self.head.has_room() {
                return Offered::NoRoom;
            }
            self.buffer.with_mut(|buffer| {
                // SAFETY: I1.
                let buffer = &mut *buffer;
                if !buffer.has_room() {
                    return Offered::NoRoom;
                }
                buffer.push(value.read());
                Offered::Taken(self.head.value_came())
            })
        }
    }

    /// The receive column of the table. A value goes to `to`.
    ///
    /// # Safety
    /// The caller holds the lock; `to` may be written.
    #[inline]
    pub(crate) unsafe fn recv_locked(&self, to: *mut T) -> Received {
        let mut spent = Spent::default();
        // SAFETY: the caller's contract, and I1.
        unsafe {
            if self.head.len() > 0
                && let Some(value) = self.buffer.with_mut(|buffer| (*buffer).pop(&mut spent))
            {
                to.write(value);
                return Received::Value(self.refill(), spent);
            }
            match self.head.next_sender() {
                Some(promise) if promise.is_promise() => Received::Promise(promise),
                Some(sender) => Received::Value(Some(sender.take(to)), spent),
                None if self.head.is_open() => Received::Empty,
                None => Received::Closed,
            }
        }
    }

    /// Gives the room that a value has left to the longest waiting sender. A returned waker is owed a wake.
    ///
    /// # Safety
    /// The caller holds the lock, and has just taken a value out of the buffer.
    #[inline]
    unsafe fn refill(&self) -> Option<Waker> {
        // SAFETY: the caller's contract.
        unsafe {
            match self.head.next_sender() {
                None => self.head.value_went(),
                Some(promise) if promise.is_promise() => {
                    self.head.value_became_promise();
                    Some(promise.end(Outcome::Room))
                }
                // One value went, and one came.
                Some(sender) => Some(self.push_of(sender)),
            }
        }
    }

    /// Moves a waiting sender's value into the buffer. The waker is owed a wake.
    ///
    /// # Safety
    /// The caller holds the lock; the sender is no promise; there is room.
    unsafe fn push_of(&self, sender: Popped) -> Waker {
        let mut value = MaybeUninit::uninit();
        // SAFETY: the caller's contract, and I1.
        unsafe {
            let waker = sender.take(value.as_mut_ptr());
            self.buffer.with_mut(|buffer| (*buffer).push(value.assume_init()));
            waker
        }
    }

    /// Gives an unbounded buffer room for one value or more. Allocates.
    #[cold]
    fn grow(&self) {
        let block = Block::new();
        self.head.lock();
        // SAFETY: I1, locked above.
        let unused = self.buffer.with_mut(|buffer| unsafe { (*buffer).supply(block) });
        // SAFETY: locked above.
        unsafe { self.head.unlock() };
        drop(unused);
    }

    /// Offers the value at `value` until it is taken, or something stops that.
    ///
    /// # Safety
    /// The caller holds no lock. The value stays there meanwhile; it is gone if this succeeds.
    #[cold]
    unsafe fn send_again(&self, value: *const T, deadline: Option<Instant>) -> Result<(), Stop> {
        // SAFETY: the caller's contract.
        persist(deadline, |patience| unsafe { self.send_round(value, patience) })
    }

    /// One round of [`send_again`](Self::send_again); false if there should be another one.
    ///
    /// # Safety
    /// As there.
    unsafe fn send_round(&self, value: *const T, patience: Patience<'_>) -> Result<bool, Stop> {
        self.head.lock();
        // SAFETY: locked above, and the caller's contract.
        unsafe {
            match self.offer(value) {
                Offered::NoRoom if self.head.capacity().is_some() => {
                    self.head.wait(Direction::Send, value.cast_mut().cast(), patience)
                }
                Offered::NoRoom => {
                    self.head.unlock();
                    self.grow();
                    Ok(false)
                }
                Offered::Taken(peer) => {
                    self.head.unlock();
                    wake(peer);
                    Ok(true)
                }
                Offered::Closed => {
                    self.head.unlock();
                    Err(Stop::Closed)
                }
            }
        }
    }

    /// Goes on with a receive for which there is no value, or that has a deadline. Releases the lock.
    ///
    /// # Safety
    /// The caller holds the lock, and has `received`. There is room at `to`, and a value afterwards if this succeeds.
    #[cold]
    unsafe fn recv_slowly(&self, to: *mut T, received: Received, deadline: Option<Instant>) -> Result<(), Stop> {
        // SAFETY: the caller's contract.
        unsafe {
            match received {
                Received::Empty => self.head.unlock(),
                received => {
                    if self.finish_recv(to, received)? {
                        return Ok(());
                    }
                }
            }
            self.recv_again(to, deadline)
        }
    }

    /// Looks for a value until there is one, or something stops that.
    ///
    /// # Safety
    /// The caller holds no lock. There is room at `to`, and a value afterwards if this succeeds.
    #[cold]
    unsafe fn recv_again(&self, to: *mut T, deadline: Option<Instant>) -> Result<(), Stop> {
        // SAFETY: the caller's contract.
        persist(deadline, |patience| unsafe { self.recv_round(to, patience) })
    }

    /// One round of [`recv_again`](Self::recv_again); false if there should be another one.
    ///
    /// # Safety
    /// As there.
    unsafe fn recv_round(&self, to: *mut T, patience: Patience<'_>) -> Result<bool, Stop> {
        self.head.lock();
        // SAFETY: locked above, and the caller's contract.
        unsafe {
            match self.recv_locked(to) {
                Received::Empty => self.head.wait(Direction::Recv, to.cast(), patience),
                received => self.finish_recv(to, received),
            }
        }
    }

    /// Ends a receive that has found something, and releases the lock; false if the something has gone.
    ///
    /// # Safety
    /// The caller holds the lock, and has `received`, which is not `Empty`. There is room at `to`.
    #[inline]
    unsafe fn finish_recv(&self, to: *mut T, received: Received) -> Result<bool, Stop> {
        // SAFETY: the caller's contract.
        unsafe {
            match received {
                Received::Promise(promise) => Ok(self.head.meet(promise, to.cast())),
                Received::Value(peer, spent) => {
                    self.head.unlock();
                    wake(peer);
                    drop(spent);
                    Ok(true)
                }
                Received::Closed | Received::Empty => {
                    self.head.unlock();
                    Err(Stop::Closed)
                }
            }
        }
    }
}

/// What a chosen send does in the end.
impl<T> Chan<T> {
    /// Sends a value as was chosen. Never blocks.
    pub(crate) fn keep(&self, chosen: Chosen, value: T) -> Result<(), SendError<T>> {
        match chosen {
            Chosen::Closed => Err(SendError(value)),
            // Nobody can be in the way of it: there is always room.
            Chosen::Unbounded => self.send(value),
            Chosen::Peer(receiver) => {
                let value = MaybeUninit::new(value);
                // SAFETY: the receiver was reserved for this send, which owes it one wake.
                unsafe { receiver.give(value.as_ptr()).wake() };
                Ok(())
            }
            Chosen::Room => {
                let value = MaybeUninit::new(value);
                self.head.lock();
                // SAFETY: locked above, and the room was kept for this send. The value is there unless it was taken.
                unsafe {
                    let was_full = self.head.release_room();
                    let Offered::Taken(peer) = self.offer(value.as_ptr()) else {
                        self.head.unlock();
                        return Err(SendError(value.assume_init()));
                    };
                    // A receiver that was given the value itself has left the room to others.
                    let others = self.pass_room_on(was_full);
                    self.head.unlock();
                    wake(peer);
                    others.into_iter().for_each(|owed| wake(owed));
                    Ok(())
                }
            }
        }
    }

    /// Gives up a send that was chosen.
    pub(crate) fn give_up(&self, chosen: Chosen) {
        match chosen {
            Chosen::Closed | Chosen::Unbounded => {}
            // SAFETY: the receiver was reserved for this send, which owes it one wake.
            Chosen::Peer(receiver) => unsafe { receiver.end(Outcome::Retry).wake() },
            Chosen::Room => {
                self.head.lock();
                // SAFETY: locked above, and the room was kept for this send.
                unsafe {
                    let was_full = self.head.release_room();
                    let owed = self.pass_room_on(was_full);
                    self.head.unlock();
                    owed.into_iter().for_each(|owed| wake(owed));
                }
            }
        }
    }

    /// Passes room that was promised on to the longest waiting sender, if there was no other. Those returned are owed a wake.
    ///
    /// # Safety
    /// The caller holds the lock, and has released the promise.
    unsafe fn pass_room_on(&self, was_full: bool) -> [Option<Waker>; 2] {
        // SAFETY: the caller's contract.
        unsafe {
            // Not if the value has taken it.
            if !was_full || !self.head.has_room() {
                return [None, None];
            }
            match self.head.next_sender() {
                None => [self.head.became_possible(Direction::Send), None],
                Some(promise) if promise.is_promise() => {
                    self.head.promise_room();
                    [Some(promise.end(Outcome::Room)), None]
                }
                Some(sender) => [Some(self.push_of(sender)), self.head.value_came()],
            }
        }
    }
}
