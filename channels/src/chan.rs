//! The channel: a lock, a buffer, and two queues of waiters.
//!
//! # Protocol
//! One channel type serves every capacity, as in Go: with capacity zero, the buffer never has room.
//! An operation takes the lock and checks these cases in order.
//!
//! | send | receive |
//! | --- | --- |
//! | closed: return the value | a buffered value: take it, refill from the first sender |
//! | a receiver waits: hand it the value | a sender waits: take its value |
//! | room in the buffer: put it there | closed: fail |
//! | wait, or fail | wait, or fail |
//!
//! To refill is to move the value of the longest-waiting sender into the room that was just made.
//!
//! *Hand-off*: an operation that finds a peer waiting completes the peer's operation **for it**,
//! under the same hold of the lock. It moves the value out of or into the peer's frame, unlocks,
//! and wakes the peer, which only has to read the outcome of its wait. So waiters are served
//! first-in-first-out, and no operation can barge in between the wake and the moment at which the
//! woken waiter runs.
//!
//! Rejected: waking a waiter to try again (crossbeam-channel). Other operations can barge in, so a
//! waiter can starve, and some woken waiters find nothing.
//!
//! *Waiting*: a waiter blocks after it has linked a node that lies in its own frame. The commit
//! step of the wait releases the lock. The node points to a place next to it in the frame: the
//! value of a sender, until a receiver takes it, or the slot of a receiver. The node also holds the
//! outcome of the wait (`waiter`). A node is one case of an operation (`protocol::claim` in the
//! scheduler). A peer that finds the operation completed by another case continues with the next
//! node.
//!
//! *Close* marks the channel closed, then empties both queues and wakes all waiters in batches.
//! From the close on, receivers skip the waiting senders. Dropping the last handle of one side also
//! closes the channel. When the last receiver is dropped, it also removes the buffered values,
//! because no other receiver is left to take them.
//!
//! *The lock is a spin lock*: no code under it allocates, frees, wakes, panics or runs code of the
//! value's type. Blocks of an unbounded buffer are allocated before the lock is taken and freed
//! after its release. Discarded values are also dropped after the release.
//!
//! # Invariants
//! * I1: `buffer` is touched only under the lock of `head`, whose `len` is its length.
//! * I2: a value lies in the frame of its sender, in the buffer, or in the frame of its receiver.
//!   The value is moved under the lock or by the peer that has claimed the frame's operation.
//!   Frames hold the value as `MaybeUninit`, and the outcome says whether the value is present.
//! * I3: the waiters in the queues of a `Chan<T>` are senders and receivers of `T`, and permit
//!   requests.
//! * The invariants of `head` and `waiter`.
//!
//! # See also
//! Go's `runtime/chan.go`; the models in `scheduler/models/tests/channel/`; `head` for the answers
//! that need no lock.

use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::time::Instant;

use crate::buffer::{Block, Buffer, Spent};
use crate::error::{RecvError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use crate::head::{Direction, Grant, Guard, HasHead, Head, wake};
use crate::locked::Locked;
use crate::primitive::UnsafeCell;
use crate::single_wait::{WaitError, WaitSetup, retry_until_done};
use crate::waiter::{ClaimedWaiter, Outcome, OwedWake};

/// A channel of any capacity. `counter` counts its handles and frees it.
// The head comes first, so that a pointer to a channel is also a pointer to its head.
#[repr(C)]
pub(crate) struct Chan<T> {
    pub(crate) head: Head,
    /// Accessed only under the lock.
    buffer: UnsafeCell<Buffer<T>>,
}

// SAFETY: values of `T` move between threads, hence the bound. Everything else in a channel may be
// shared.
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: values of `T` move between threads, hence the bound. No thread ever sees a `&T`.
unsafe impl<T: Send> Sync for Chan<T> {}

// SAFETY: it always returns the same field, whose lock guards the buffer (I1).
unsafe impl<T> HasHead for Chan<T> {
    #[inline]
    fn head(&self) -> &Head {
        &self.head
    }
}

/// The result of offering a value under the lock.
enum Offered {
    /// The value was moved.
    Taken(Option<OwedWake>),
    /// The value was not moved, because the channel is closed.
    Closed,
    /// The value was not moved, because there is no room for it.
    NoRoom,
}

/// The result of a receive under the lock.
pub(crate) enum Received {
    /// The value was moved. The caller delivers the owed wake and frees the block after releasing
    /// the lock.
    Value(Option<OwedWake>, Spent),
    /// This permit request was claimed: its value does not exist yet.
    Rendezvous(ClaimedWaiter),
    /// The channel is open, and has nothing to receive.
    Empty,
    /// The channel is closed and drained.
    Closed,
}

/// The longest-waiting sender of a `Chan<T>`, claimed.
enum NextSender<T> {
    None,
    /// It has a value.
    Value(ClaimedSender<T>),
    /// It is a select's send, whose value does not exist yet.
    PermitRequest(ClaimedWaiter),
}

/// A claimed sender of `T` that has a value (I3).
struct ClaimedSender<T>(ClaimedWaiter, PhantomData<T>);

impl<T> ClaimedSender<T> {
    /// Completes the send by moving the value to `to`.
    #[inline]
    fn take(self, to: &mut MaybeUninit<T>) -> OwedWake {
        // SAFETY: I3: the sender waited in a queue of a `Chan<T>`, and it is not a permit request.
        unsafe { self.0.take(to) }
    }
}

/// The plain operations.
impl<T> Chan<T> {
    /// Creates a channel with room for `cap` values. Allocates the room.
    pub(crate) fn bounded(cap: usize) -> Self {
        Self { head: Head::new(Some(cap)), buffer: UnsafeCell::new(Buffer::bounded(cap)) }
    }

    /// Creates a channel that always has room.
    pub(crate) fn unbounded() -> Self {
        Self { head: Head::new(None), buffer: UnsafeCell::new(Buffer::unbounded()) }
    }

    #[inline]
    fn lock(&self) -> Guard<'_, Self> {
        Guard::lock(self)
    }

    /// Sends the value if that is possible at once.
    #[inline]
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.head.would_block(Direction::Send) {
            return Err(TrySendError::Full(value));
        }
        let value = MaybeUninit::new(value);
        let offer = || {
            let mut guard = self.lock();
            // SAFETY: I2: the value is present until it is taken.
            let offered = unsafe { guard.locked().offer(value.as_ptr()) };
            guard.unlock();
            offered
        };
        let mut offered = offer();
        while matches!(offered, Offered::NoRoom) && self.head.capacity().is_none() {
            self.grow();
            offered = offer();
        }
        match offered {
            Offered::Taken(peer) => {
                wake(peer);
                Ok(())
            }
            // SAFETY: I2: the value was not taken.
            Offered::Closed => Err(TrySendError::Disconnected(unsafe { value.assume_init() })),
            // SAFETY: I2: the value was not taken.
            Offered::NoRoom => Err(TrySendError::Full(unsafe { value.assume_init() })),
        }
    }

    /// Sends at once, and drops the oldest value in the buffer if there is no room otherwise.
    ///
    /// Returns the displaced value. All other operations see this as one step. Use it only on
    /// channels whose senders never wait, because it would overtake waiting senders.
    pub(crate) fn displace(&self, value: T) -> Result<Option<T>, TrySendError<T>> {
        let (value, mut spent) = (MaybeUninit::new(value), Spent::default());
        let mut guard = self.lock();
        let mut chan = guard.locked();
        // SAFETY: I2: the value is present.
        let offered = unsafe { chan.offer(value.as_ptr()) };
        let oldest = match offered {
            Offered::NoRoom => chan.buffer(|buffer| buffer.pop(&mut spent)),
            Offered::Taken(_) | Offered::Closed => None,
        };
        if oldest.is_some() {
            // One value has left, and one enters. SAFETY: I2: the value was not taken before.
            chan.buffer(|buffer| buffer.push(unsafe { value.assume_init_read() }));
        }
        guard.unlock();
        match offered {
            Offered::Taken(peer) => {
                wake(peer);
                Ok(None)
            }
            Offered::NoRoom if oldest.is_some() => Ok(oldest),
            // SAFETY: I2: the value was not taken.
            Offered::NoRoom => Err(TrySendError::Full(unsafe { value.assume_init() })),
            // SAFETY: I2: the value was not taken.
            Offered::Closed => Err(TrySendError::Disconnected(unsafe { value.assume_init() })),
        }
    }

    /// Sends a value. Blocks until there is room or a receiver, or the channel is closed.
    #[inline]
    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_until(value, None).map_err(|error| SendError(error.into_inner()))
    }

    /// Sends like [`send`](Self::send), but gives up at the deadline.
    #[inline]
    pub(crate) fn send_until(&self, value: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        let value = MaybeUninit::new(value);
        let mut guard = self.lock();
        // SAFETY: I2: the value is present.
        let sent = match unsafe { guard.locked().offer(value.as_ptr()) } {
            Offered::Taken(peer) => {
                guard.unlock();
                wake(peer);
                return Ok(());
            }
            Offered::NoRoom if deadline.is_none() && self.head.capacity().is_some() => {
                let place = value.as_ptr().cast_mut().cast();
                // SAFETY: I2: the value was not taken. It stays in this frame, and has the
                // channel's value type.
                match unsafe { guard.into_head().wait_forever(Direction::Send, place) } {
                    Ok(true) => return Ok(()),
                    // SAFETY: I2: the wait has ended without taking the value.
                    Ok(false) => unsafe { self.send_again(value.as_ptr(), None) },
                    Err(error) => Err(error),
                }
            }
            offered => {
                guard.unlock();
                match offered {
                    Offered::Closed => Err(WaitError::Closed),
                    // SAFETY: I2: the value was not taken.
                    _ => unsafe { self.send_again(value.as_ptr(), deadline) },
                }
            }
        };
        // SAFETY: I2: an error means that the value was not taken.
        sent.map_err(|error| unsafe {
            match error {
                WaitError::Closed => SendTimeoutError::Disconnected(value.assume_init()),
                WaitError::Deadline => SendTimeoutError::Timeout(value.assume_init()),
            }
        })
    }

    /// Receives a value if that is possible at once.
    #[inline]
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        if self.head.would_block(Direction::Recv) {
            return Err(TryRecvError::Empty);
        }
        let mut slot = MaybeUninit::uninit();
        loop {
            let mut guard = self.lock();
            match guard.locked().receive(&mut slot) {
                Received::Empty => {
                    guard.unlock();
                    return Err(TryRecvError::Empty);
                }
                received => match guard.complete(&mut slot, received) {
                    // SAFETY: I2: the receive reports that it has filled the slot.
                    Ok(true) => return Ok(unsafe { slot.assume_init() }),
                    Ok(false) => {}
                    Err(_) => return Err(TryRecvError::Disconnected),
                },
            }
        }
    }

    /// Receives a value. Blocks until there is a value or a sender, or the channel is closed and
    /// drained.
    #[inline]
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(None).map_err(|_| RecvError)
    }

    /// Receives like [`recv`](Self::recv), but gives up at the deadline.
    #[inline]
    pub(crate) fn recv_until(&self, deadline: Option<Instant>) -> Result<T, WaitError> {
        let mut slot = MaybeUninit::uninit();
        let mut guard = self.lock();
        match guard.locked().receive(&mut slot) {
            Received::Value(peer, spent) => {
                guard.unlock();
                wake(peer);
                drop(spent);
            }
            Received::Empty if deadline.is_none() => {
                let place = slot.as_mut_ptr().cast();
                // SAFETY: the slot stays in this frame, and has room for the channel's type.
                if !unsafe { guard.into_head().wait_forever(Direction::Recv, place) }? {
                    self.recv_again(&mut slot, None)?;
                }
            }
            received => guard.recv_slowly(&mut slot, received, deadline)?,
        }
        // SAFETY: I2: each of these calls reports that it has filled the slot.
        Ok(unsafe { slot.assume_init() })
    }

    /// Closes the channel because its last receiver is gone.
    ///
    /// Returns the buffered values. The caller drops them.
    #[must_use]
    pub(crate) fn disconnect_receivers(&self) -> Buffer<T> {
        let mut guard = self.lock();
        let mut chan = guard.locked();
        // A ring without slots takes no memory.
        let discarded = chan.buffer(|buffer| mem::replace(buffer, Buffer::bounded(0)));
        chan.head().note_drain();
        guard.into_head().disconnect();
        discarded
    }

    /// Closes the channel because its last sender is gone.
    pub(crate) fn disconnect_senders(&self) {
        self.head.lock().disconnect();
    }

    /// Makes room for at least one more value in an unbounded buffer. Allocates.
    #[cold]
    fn grow(&self) {
        let block = Block::new();
        let mut guard = self.lock();
        let unused = guard.locked().buffer(|buffer| buffer.supply(block));
        guard.unlock();
        drop(unused);
    }

    /// Offers the value at `value` until it is taken, the channel closes, or the deadline is
    /// reached.
    ///
    /// # Safety
    /// There is a value at `value`, and it stays in place. If this succeeds, the value was moved
    /// out (I2).
    #[cold]
    unsafe fn send_again(&self, value: *const T, deadline: Option<Instant>) -> Result<(), WaitError> {
        // SAFETY: I2: the value is present until an attempt succeeds, and no attempt follows that
        // one.
        retry_until_done(deadline, |setup| unsafe { self.send_attempt(value, setup) })
    }

    /// Makes one attempt of [`send_again`](Self::send_again). Returns `false` to be called again.
    ///
    /// # Safety
    /// There is a value at `value`, and it stays in place. If this returns `true`, the value was
    /// moved out (I2).
    unsafe fn send_attempt(&self, value: *const T, setup: WaitSetup<'_>) -> Result<bool, WaitError> {
        let mut guard = self.lock();
        // SAFETY: I2: the value is present, by the contract above.
        match unsafe { guard.locked().offer(value) } {
            Offered::NoRoom if self.head.capacity().is_some() => {
                // SAFETY: I2: the value was not taken, stays in place, and has the channel's value
                // type.
                unsafe { guard.into_head().wait(Direction::Send, value.cast_mut().cast(), setup) }
            }
            Offered::NoRoom => {
                guard.unlock();
                self.grow();
                Ok(false)
            }
            Offered::Taken(peer) => {
                guard.unlock();
                wake(peer);
                Ok(true)
            }
            Offered::Closed => {
                guard.unlock();
                Err(WaitError::Closed)
            }
        }
    }

    /// Receives into `to`, starting over as often as necessary.
    #[cold]
    fn recv_again(&self, to: &mut MaybeUninit<T>, deadline: Option<Instant>) -> Result<(), WaitError> {
        retry_until_done(deadline, |setup| self.recv_attempt(to, setup))
    }

    /// Makes one attempt of [`recv_again`](Self::recv_again). Returns `false` to be called again.
    fn recv_attempt(&self, to: &mut MaybeUninit<T>, setup: WaitSetup<'_>) -> Result<bool, WaitError> {
        let mut guard = self.lock();
        match guard.locked().receive(to) {
            Received::Empty => {
                let place = to.as_mut_ptr().cast();
                // SAFETY: the slot stays borrowed for the call, and has room for the channel's
                // type.
                unsafe { guard.into_head().wait(Direction::Recv, place, setup) }
            }
            received => guard.complete(to, received),
        }
    }
}

impl<T> Guard<'_, Chan<T>> {
    /// Continues a receive that has found no value, or that has a deadline. Releases the lock.
    #[cold]
    fn recv_slowly(
        self,
        to: &mut MaybeUninit<T>,
        received: Received,
        deadline: Option<Instant>,
    ) -> Result<(), WaitError> {
        let chan = self.get();
        match received {
            Received::Empty => self.unlock(),
            received => {
                if self.complete(to, received)? {
                    return Ok(());
                }
            }
        }
        chan.recv_again(to, deadline)
    }

    /// Completes a receive that has found something, and releases the lock.
    ///
    /// Returns `false` if the select that was to send gave up.
    #[inline]
    fn complete(self, to: &mut MaybeUninit<T>, received: Received) -> Result<bool, WaitError> {
        match received {
            Received::Rendezvous(request) => {
                let place = to.as_mut_ptr().cast();
                // SAFETY: the slot stays borrowed for the call, and has room for the channel's
                // type.
                Ok(unsafe { self.into_head().rendezvous(request, place) })
            }
            Received::Value(peer, spent) => {
                self.unlock();
                wake(peer);
                drop(spent);
                Ok(true)
            }
            Received::Closed | Received::Empty => {
                self.unlock();
                Err(WaitError::Closed)
            }
        }
    }
}

/// The steps under the lock.
impl<T> Locked<'_, Chan<T>> {
    #[inline]
    fn buffer<R>(&mut self, f: impl FnOnce(&mut Buffer<T>) -> R) -> R {
        // SAFETY: I1: the token proves that the lock is held, and `&mut self` makes the access
        // exclusive.
        self.get().buffer.with_mut(|buffer| f(unsafe { &mut *buffer }))
    }

    /// Performs the send column of the table.
    ///
    /// # Safety
    /// There is a value at `value`. If it is taken, it was moved out (I2).
    #[inline]
    unsafe fn offer(&mut self, value: *const T) -> Offered {
        if !self.head().is_open() {
            return Offered::Closed;
        }
        if let Some(receiver) = self.head().queue(Direction::Recv).claim_first() {
            // SAFETY: I3: the waiter is a receiver of `T`. The value is present, by the contract
            // above.
            return Offered::Taken(Some(unsafe { receiver.give(value) }));
        }
        if !self.head().has_room() {
            return Offered::NoRoom;
        }
        let pushed = self.buffer(|buffer| {
            let has_room = buffer.has_room();
            if has_room {
                // SAFETY: the value is present, by the contract above.
                buffer.push(unsafe { value.read() });
            }
            has_room
        });
        if pushed { Offered::Taken(self.head().note_push()) } else { Offered::NoRoom }
    }

    /// Performs the receive column of the table. A value goes to `to`.
    #[inline]
    pub(crate) fn receive(&mut self, to: &mut MaybeUninit<T>) -> Received {
        let mut spent = Spent::default();
        if self.head().has_value()
            && let Some(value) = self.buffer(|buffer| buffer.pop(&mut spent))
        {
            to.write(value);
            return Received::Value(self.refill(), spent);
        }
        match self.next_sender() {
            NextSender::PermitRequest(request) => Received::Rendezvous(request),
            NextSender::Value(sender) => Received::Value(Some(sender.take(to)), spent),
            NextSender::None if self.head().is_open() => Received::Empty,
            NextSender::None => Received::Closed,
        }
    }

    #[inline]
    fn next_sender(&mut self) -> NextSender<T> {
        match self.head().claim_sender() {
            None => NextSender::None,
            Some(sender) if sender.wants_permit() => NextSender::PermitRequest(sender),
            Some(sender) => NextSender::Value(ClaimedSender(sender, PhantomData)),
        }
    }

    /// Gives the room that a value has just left to the longest-waiting sender.
    #[inline]
    fn refill(&mut self) -> Option<OwedWake> {
        match self.next_sender() {
            NextSender::None => self.head().note_pop(),
            NextSender::PermitRequest(request) => {
                self.head().note_pop_and_reserve();
                Some(request.complete(Outcome::Slot))
            }
            // One value has left, and one enters.
            NextSender::Value(sender) => Some(self.push_value_of(sender)),
        }
    }

    /// Moves a waiting sender's value into the buffer, which has room.
    fn push_value_of(&mut self, sender: ClaimedSender<T>) -> OwedWake {
        let mut value = MaybeUninit::uninit();
        let owed = sender.take(&mut value);
        // SAFETY: `take` has filled it.
        self.buffer(|buffer| buffer.push(unsafe { value.assume_init() }));
        owed
    }

    /// Passes a released slot on to the longest-waiting sender, if the channel was full until the
    /// release.
    fn pass_slot_on(&mut self, was_full: bool) -> [Option<OwedWake>; 2] {
        // The value for the released slot may have taken the room.
        if !was_full || !self.head().has_room() {
            return [None, None];
        }
        match self.next_sender() {
            NextSender::None => [self.head().announce(Direction::Send), None],
            NextSender::PermitRequest(request) => {
                self.head().reserve_slot();
                [Some(request.complete(Outcome::Slot)), None]
            }
            NextSender::Value(sender) => {
                let owed = self.push_value_of(sender);
                [Some(owed), self.head().note_push()]
            }
        }
    }
}

/// The completion of a select's send, which was granted when it was chosen.
impl<T> Chan<T> {
    /// Sends a value as granted. Never blocks.
    pub(crate) fn send_granted(&self, grant: Grant, value: T) -> Result<(), SendError<T>> {
        match grant {
            Grant::Closed => Err(SendError(value)),
            // There is always room, so this does not wait.
            Grant::Unbounded => self.send(value),
            Grant::Receiver(receiver) => {
                let value = MaybeUninit::new(value);
                // SAFETY: I3: the receiver was claimed for this send to a channel of `T`.
                unsafe { receiver.give(value.as_ptr()) }.wake();
                Ok(())
            }
            Grant::Slot => {
                let value = MaybeUninit::new(value);
                let mut guard = self.lock();
                let mut chan = guard.locked();
                let was_full = chan.head().release_slot();
                // SAFETY: I2: the value is present.
                let Offered::Taken(peer) = (unsafe { chan.offer(value.as_ptr()) }) else {
                    guard.unlock();
                    // SAFETY: I2: the value was not taken.
                    return Err(SendError(unsafe { value.assume_init() }));
                };
                // A receiver that was given the value itself leaves the slot to others.
                let others = chan.pass_slot_on(was_full);
                guard.unlock();
                wake(peer);
                others.into_iter().for_each(wake);
                Ok(())
            }
        }
    }

    /// Gives up a send that was granted.
    pub(crate) fn return_grant(&self, grant: Grant) {
        match grant {
            Grant::Closed | Grant::Unbounded => {}
            Grant::Receiver(receiver) => receiver.complete(Outcome::Retry).wake(),
            Grant::Slot => {
                let mut guard = self.lock();
                let mut chan = guard.locked();
                let was_full = chan.head().release_slot();
                let owed = chan.pass_slot_on(was_full);
                guard.unlock();
                owed.into_iter().for_each(wake);
            }
        }
    }
}
