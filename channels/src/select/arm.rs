//! One arm of a select: what it would do, and what it has done.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::Instant;

use crate::alarm::{Alarm, Alarmed};
use crate::buffer::Spent;
use crate::chan::{Chan, Received};
use crate::head::{Chosen, Direction, Head, wake};
use crate::primitive::Waker;
use crate::waiter::{Node, Popped};

/// One operation of a select, on whichever type. In the caller's memory, which stays in place while a select runs.
///
/// # Invariants
/// * I1: `place` points to a `Chan<T>` or an `Alarmed<T>`, which begin with their heads, and which the borrow `'a` keeps
///   alive; `take` is for this type.
/// * I2: `slot` points to room for one value of that type while a select runs; after `Done::Received(true)` there is one.
pub(crate) struct Arm<'a> {
    /// None: a nil channel, on which nothing is ever possible.
    place: Option<NonNull<Head>>,
    take: Take,
    direction: Direction,
    /// Where a received value goes.
    slot: Cell<*mut ()>,
    index: Cell<usize>,
    /// The channel's epoch when it was looked at.
    pub(super) epoch: Cell<usize>,
    done: Cell<Option<Done>>,
    node: UnsafeCell<MaybeUninit<Node>>,
    _borrow: PhantomData<&'a ()>,
}

/// How a value is received from a place to a slot.
#[derive(Clone, Copy)]
enum Take {
    Chan(unsafe fn(NonNull<Head>, *mut ()) -> Received),
    Alarm(unsafe fn(NonNull<Head>, Instant, *mut ())),
}

/// The time at which something begins: read when it is first asked for, and then kept.
pub(super) struct Now(Cell<Option<Instant>>);

impl Now {
    #[inline]
    pub(super) fn new() -> Self {
        Self(Cell::new(None))
    }

    pub(super) fn get(&self) -> Instant {
        let now = self.0.get().unwrap_or_else(Instant::now);
        self.0.set(Some(now));
        now
    }
}

/// What a chosen arm has done.
pub(crate) enum Done {
    /// It has received: a value, or that the channel is closed.
    Received(bool),
    /// It may send.
    Send(Chosen),
}

/// What an attempt has found under the lock, which is still held.
pub(super) enum Attempt {
    /// It is done. The waker is owed a wake.
    Done(Option<Waker>, Spent),
    /// The value is still to come.
    Meet(Popped),
    Blocked,
}

/// # Safety
/// `chan` is a `Chan<T>`, whose lock is held; there is room for a `T` at `to`.
unsafe fn take_from_chan<T>(chan: NonNull<Head>, to: *mut ()) -> Received {
    // SAFETY: the caller's contract.
    unsafe { chan.cast::<Chan<T>>().as_ref().recv_locked(to.cast()) }
}

/// # Safety
/// `alarmed` is an `Alarmed<T>`; there is room for a `T` at `to`.
unsafe fn message_of<T>(alarmed: NonNull<Head>, due: Instant, to: *mut ()) {
    // SAFETY: the caller's contract.
    unsafe { to.cast::<T>().write((alarmed.cast::<Alarmed<T>>().as_ref().message)(due)) };
}

impl<'a> Arm<'a> {
    #[inline]
    fn new(direction: Direction, place: Option<NonNull<Head>>, take: Take) -> Self {
        Self {
            place,
            take,
            direction,
            slot: Cell::new(ptr::null_mut()),
            index: Cell::new(0),
            epoch: Cell::new(0),
            done: Cell::new(None),
            node: UnsafeCell::new(MaybeUninit::uninit()),
            _borrow: PhantomData,
        }
    }

    /// An arm on a nil channel.
    pub(crate) fn nil<T>(direction: Direction) -> Self {
        Self::new(direction, None, Take::Chan(take_from_chan::<T>))
    }

    /// An arm on a channel.
    #[inline]
    pub(crate) fn chan<T>(direction: Direction, chan: &'a Chan<T>) -> Self {
        // Made from the whole channel, so that the pointer is good for all of it.
        Self::new(direction, Some(NonNull::from(chan).cast()), Take::Chan(take_from_chan::<T>))
    }

    /// An arm that receives from an alarm.
    pub(crate) fn alarm<T>(alarmed: &'a Alarmed<T>) -> Self {
        Self::new(Direction::Recv, Some(NonNull::from(alarmed).cast()), Take::Alarm(message_of::<T>))
    }

    /// Tells where a received value is to go.
    #[inline]
    pub(crate) fn aim(&mut self, slot: *mut ()) {
        self.slot.set(slot);
    }

    /// The caller's name for it, of which a biased select prefers the smallest.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.index.get()
    }

    #[inline]
    pub(crate) fn set_index(&self, index: usize) {
        self.index.set(index);
    }

    /// The same arm, in no use.
    pub(crate) fn renewed(&self) -> Self {
        Self::new(self.direction, self.place, self.take)
    }

    /// What the arm has done, once.
    #[inline]
    pub(crate) fn done(&self) -> Option<Done> {
        self.done.take()
    }

    pub(super) fn set_done(&self, done: Done) {
        self.done.set(Some(done));
    }

    #[inline]
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    #[inline]
    pub(super) fn head(&self) -> Option<&'a Head> {
        // SAFETY: I1.
        self.place.map(|head| unsafe { head.as_ref() })
    }

    /// A number that is the same for arms on the same channel, and by which locks are taken in order.
    #[inline]
    pub(super) fn address(&self) -> usize {
        self.place.map_or(0, |head| head.addr().get())
    }

    #[inline]
    pub(super) fn watched_alarm(&self) -> Option<&'a Alarm> {
        match (self.take, self.place) {
            // SAFETY: I1, and an `Alarmed` begins with its alarm.
            (Take::Alarm(_), Some(place)) => Some(unsafe { place.cast().as_ref() }),
            _ => None,
        }
    }

    /// Whether the operation would not block, it seems. "No" is certain.
    #[inline]
    pub(super) fn looks_ready(&self, now: &Now) -> bool {
        match (self.watched_alarm(), self.head()) {
            (Some(alarm), _) => alarm.is_due(now.get()),
            (None, Some(head)) => head.looks_ready(self.direction),
            (None, None) => false,
        }
    }

    /// Whether the operation would not block.
    ///
    /// # Safety
    /// The caller holds the lock of the channel, if there is one.
    pub(super) unsafe fn is_ready(&self, now: &Now) -> bool {
        // SAFETY: the caller's contract.
        unsafe {
            match (self.watched_alarm(), self.head()) {
                (Some(alarm), _) => alarm.next_locked().is_some_and(|next| next <= now.get()),
                (None, Some(head)) => head.is_ready(self.direction),
                (None, None) => false,
            }
        }
    }

    /// Does the operation if it does not block. A message of an alarm was asked for at `asked`.
    ///
    /// # Safety
    /// The caller holds the lock of the channel, if there is one, and I2 holds.
    #[inline]
    pub(super) unsafe fn attempt(&self, asked: &Now) -> Attempt {
        let Some(place) = self.place else { return Attempt::Blocked };
        // SAFETY: the caller's contract, and I1.
        let (done, owed, spent) = unsafe {
            match (self.direction, self.take) {
                (Direction::Send, _) => match place.as_ref().choose_send() {
                    Some(chosen) => (Done::Send(chosen), None, Spent::default()),
                    None => return Attempt::Blocked,
                },
                (Direction::Recv, Take::Chan(receive)) => match receive(place, self.slot.get()) {
                    Received::Value(owed, spent) => (Done::Received(true), owed, spent),
                    Received::Closed => (Done::Received(false), None, Spent::default()),
                    Received::Promise(promise) => return Attempt::Meet(promise),
                    Received::Empty => return Attempt::Blocked,
                },
                (Direction::Recv, Take::Alarm(message)) => {
                    let alarm = place.cast::<Alarm>().as_ref();
                    let Some(due) = alarm.take(asked.get()) else { return Attempt::Blocked };
                    message(place, due, self.slot.get());
                    (Done::Received(true), None, Spent::default())
                }
            }
        };
        self.set_done(done);
        Attempt::Done(owed, spent)
    }

    /// Ends an attempt, and releases the lock of the channel; false if nothing came of it.
    ///
    /// # Safety
    /// The caller holds that lock and no other, and has `attempt` from under it.
    #[inline]
    pub(super) unsafe fn settle(&self, attempt: Attempt) -> bool {
        let Some(head) = self.head() else { return false };
        // SAFETY: the caller's contract, and I2.
        unsafe {
            match attempt {
                Attempt::Done(owed, spent) => {
                    head.unlock();
                    wake(owed);
                    drop(spent);
                    true
                }
                Attempt::Meet(promise) => {
                    let met = head.meet(promise, self.slot.get());
                    if met {
                        self.set_done(Done::Received(true));
                    }
                    met
                }
                Attempt::Blocked => {
                    head.unlock();
                    false
                }
            }
        }
    }

    /// Makes the node for a wait.
    pub(super) fn link(&self, waiter: crate::waiter::Waiter) -> NonNull<Node> {
        // SAFETY: no wait is going on, so nobody has a pointer to the node; what was there needs no drop.
        unsafe { (*self.node.get()).write(Node::new(waiter)) };
        self.node()
    }

    /// The node of the wait that is going on.
    pub(super) fn node(&self) -> NonNull<Node> {
        // SAFETY: the address of a field.
        unsafe { NonNull::new_unchecked(self.node.get()) }.cast()
    }

    /// What the waiter in the node is to know of values: where a received one goes. A select's send is a promise.
    pub(super) fn value(&self) -> *mut () {
        match self.direction {
            Direction::Send => ptr::null_mut(),
            Direction::Recv => self.slot.get(),
        }
    }
}
