//! One arm of a select: its operation, and the result if it was chosen.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::Instant;

use crate::alarm::{Alarm, AlarmChan};
use crate::buffer::Spent;
use crate::chan::{Chan, Received};
use crate::head::{Direction, Grant, Guard, Head, LockedHead, wake};
use crate::locked::Locked;
use crate::primitive::{Case, Waker};
use crate::waiter::{ClaimedWaiter, Node, OwedWake, Waiter};

/// One operation of a select, on a channel of any type.
///
/// It lies in the caller's memory, which stays in place while a select runs.
///
/// # Invariants
/// * I1: `place` points to a `Chan<T>` or an `AlarmChan<T>`. Both types begin with their heads, and
///   the borrow `'a` keeps the channel alive. `receive` and `kind` match this type.
/// * I2: while a select performs operations, `slot` points to room for one value of type `T`. After
///   `Completion::Received(true)` it holds a value.
pub(crate) struct Arm<'a> {
    /// The channel; `None` for a nil channel, on which no operation ever becomes possible.
    place: Option<NonNull<Head>>,
    kind: Kind,
    receive: Receive,
    direction: Direction,
    /// The place for a received value.
    slot: Cell<*mut ()>,
    index: Cell<usize>,
    /// The epoch of the channel before the last check of the channel.
    pub(super) epoch: Cell<usize>,
    completion: Cell<Option<Completion>>,
    node: UnsafeCell<MaybeUninit<Node>>,
    _borrow: PhantomData<&'a ()>,
}

/// The type of the value that `place` points to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Chan,
    Alarm,
}

/// Receives from a locked place into a slot. The `LazyInstant` is the time at which the select
/// began.
type Receive = unsafe fn(NonNull<Head>, &LazyInstant, *mut ()) -> Received;

/// A time that is read from the clock when it is first needed, and kept from then on.
pub(super) struct LazyInstant(Cell<Option<Instant>>);

impl LazyInstant {
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

/// The result of a chosen arm.
pub(crate) enum Completion {
    /// The arm received a value (`true`), or found the channel closed and drained (`false`).
    Received(bool),
    /// The arm may send.
    Granted(Grant),
}

/// The result of an attempt under the lock, which is still held.
pub(super) enum Attempt {
    /// The operation is done. The caller delivers the owed wake and frees the block after releasing
    /// the lock.
    Done(Option<OwedWake>, Spent),
    /// This permit request was claimed: its value does not exist yet.
    Rendezvous(ClaimedWaiter),
    Blocked,
}

/// Receives from a `Chan<T>`.
///
/// # Safety
/// `chan` is a `Chan<T>` whose lock is held, and no token for it is in use. There is room for a `T`
/// at `to`.
unsafe fn receive_from_chan<T>(chan: NonNull<Head>, _: &LazyInstant, to: *mut ()) -> Received {
    // SAFETY: the type, the lock and the slot are as the contract says.
    unsafe { Locked::assume(chan.cast::<Chan<T>>().as_ref()).receive(&mut *to.cast()) }
}

/// Receives from an `AlarmChan<T>`.
///
/// # Safety
/// `chan` is an `AlarmChan<T>` whose lock is held, and no token for it is in use. There is room for
/// a `T` at `to`.
unsafe fn receive_from_alarm<T>(chan: NonNull<Head>, asked: &LazyInstant, to: *mut ()) -> Received {
    // SAFETY: the type is as the contract says.
    let chan = unsafe { chan.cast::<AlarmChan<T>>().as_ref() };
    // SAFETY: the lock is held, as the contract says.
    let Some(due) = unsafe { Locked::assume(&chan.alarm) }.take(asked.get()) else { return Received::Empty };
    // SAFETY: there is room for a `T`, as the contract says.
    unsafe { to.cast::<T>().write((chan.message)(due)) };
    Received::Value(None, Spent::default())
}

impl<'a> Arm<'a> {
    #[inline]
    fn new(direction: Direction, place: Option<NonNull<Head>>, kind: Kind, receive: Receive) -> Self {
        Self {
            place,
            kind,
            receive,
            direction,
            slot: Cell::new(ptr::null_mut()),
            index: Cell::new(0),
            epoch: Cell::new(0),
            completion: Cell::new(None),
            node: UnsafeCell::new(MaybeUninit::uninit()),
            _borrow: PhantomData,
        }
    }

    /// Creates an arm on a nil channel.
    pub(crate) fn nil<T>(direction: Direction) -> Self {
        Self::new(direction, None, Kind::Chan, receive_from_chan::<T>)
    }

    /// Creates an arm on a channel.
    #[inline]
    pub(crate) fn chan<T>(direction: Direction, chan: &'a Chan<T>) -> Self {
        // The pointer is made from the whole channel, so that it is valid for all of it.
        Self::new(direction, Some(NonNull::from(chan).cast()), Kind::Chan, receive_from_chan::<T>)
    }

    /// Creates an arm that receives from an alarm.
    pub(crate) fn alarm<T>(chan: &'a AlarmChan<T>) -> Self {
        Self::new(Direction::Recv, Some(NonNull::from(chan).cast()), Kind::Alarm, receive_from_alarm::<T>)
    }

    /// Creates the same arm for another select.
    pub(crate) fn fresh(&self) -> Self {
        Self::new(self.direction, self.place, self.kind, self.receive)
    }

    /// Sets the place for a received value.
    #[inline]
    pub(crate) fn set_slot(&mut self, slot: *mut ()) {
        self.slot.set(slot);
    }

    /// Returns the caller's number of the arm. A biased select prefers the smallest.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.index.get()
    }

    #[inline]
    pub(crate) fn set_index(&self, index: usize) {
        self.index.set(index);
    }

    /// Takes the result of the arm, if it was chosen.
    #[inline]
    pub(crate) fn take_completion(&self) -> Option<Completion> {
        self.completion.take()
    }

    pub(super) fn set_completion(&self, completion: Completion) {
        self.completion.set(Some(completion));
    }

    #[inline]
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    #[inline]
    pub(super) fn head(&self) -> Option<&'a Head> {
        // SAFETY: I1: `place` points to a head, which the borrow keeps alive.
        self.place.map(|head| unsafe { head.as_ref() })
    }

    /// Returns a number that is equal for all arms on the same channel, and that determines the
    /// order of the locks.
    #[inline]
    pub(super) fn address(&self) -> usize {
        self.place.map_or(0, |head| head.addr().get())
    }

    /// Returns the alarm, if the arm receives from one.
    #[inline]
    pub(super) fn as_alarm(&self) -> Option<&'a Alarm> {
        match (self.kind, self.place) {
            // SAFETY: I1: `place` points to an `AlarmChan`, which begins with its alarm.
            (Kind::Alarm, Some(place)) => Some(unsafe { place.cast().as_ref() }),
            _ => None,
        }
    }

    /// Returns `true` if the operation would probably not block. `false` was certainly true at some
    /// instant.
    #[inline]
    pub(super) fn looks_ready(&self, now: &LazyInstant) -> bool {
        match (self.as_alarm(), self.head()) {
            (Some(alarm), _) => alarm.is_due(now.get()),
            (None, Some(head)) => head.looks_ready(self.direction),
            (None, None) => false,
        }
    }

    /// Takes the lock of the channel. Returns `None` for a nil channel.
    #[inline]
    pub(super) fn lock(&self) -> Option<ArmGuard<'_, 'a>> {
        Some(ArmGuard { arm: self, guard: self.head()?.lock() })
    }

    /// Creates the node for a wait. The arm stays in place until the node is out of its queue.
    pub(super) fn init_node(&self, case: Case, waker: Waker) -> NonNull<Node> {
        // A select's send has no value yet, so its node is a permit request.
        let value = match self.direction {
            Direction::Send => ptr::null_mut(),
            Direction::Recv => self.slot.get(),
        };
        // SAFETY: no wait is in progress, so there is no other pointer to the node. The old node
        // needs no drop.
        unsafe { (*self.node.get()).write(Node::new(Waiter::new(case, waker, value))) };
        self.node()
    }

    /// Returns the node of the wait that is in progress.
    pub(super) fn node(&self) -> NonNull<Node> {
        // SAFETY: the address of a field is not null.
        unsafe { NonNull::new_unchecked(self.node.get()) }.cast()
    }
}

/// An arm, with the lock of its channel held.
#[must_use = "the channel stays locked until the guard is consumed"]
pub(super) struct ArmGuard<'s, 'a> {
    arm: &'s Arm<'a>,
    guard: Guard<'a, Head>,
}

/// Proof that the lock of the arm's channel is held, if it has one.
pub(super) struct LockedArm<'t, 'a>(&'t Arm<'a>);

/// The arms of a select, with the locks of all their channels held.
#[must_use = "the channels stay locked until this is consumed"]
pub(super) struct LockedArms<'s, 'a>(&'s [&'s Arm<'a>]);

impl<'a> ArmGuard<'_, 'a> {
    #[inline]
    pub(super) fn locked(&mut self) -> LockedArm<'_, 'a> {
        LockedArm(self.arm)
    }

    pub(super) fn unlock(self) {
        self.guard.unlock();
    }

    /// Completes an attempt of this arm and releases the lock.
    ///
    /// Returns `false` if the operation was not performed.
    #[inline]
    pub(super) fn complete(self, attempt: Attempt) -> bool {
        match attempt {
            Attempt::Done(owed, spent) => {
                self.guard.unlock();
                wake(owed);
                drop(spent);
                true
            }
            Attempt::Rendezvous(request) => {
                // SAFETY: an attempt claimed the request under this lock, and the slot is set for
                // attempts (I2).
                let received = unsafe { self.guard.rendezvous(request, self.arm.slot.get()) };
                if received {
                    self.arm.set_completion(Completion::Received(true));
                }
                received
            }
            Attempt::Blocked => {
                self.guard.unlock();
                false
            }
        }
    }
}

impl LockedArm<'_, '_> {
    #[inline]
    pub(super) fn head(&mut self) -> Option<LockedHead<'_>> {
        // SAFETY: this token proves that the lock is held, and `&mut self` lends out its exclusive
        // right.
        self.0.head().map(|head| unsafe { Locked::assume(head) })
    }

    /// Returns when the next message is due, if the arm receives from an alarm that has a next
    /// message.
    pub(super) fn next_due(&mut self) -> Option<Instant> {
        let alarm = self.0.as_alarm()?;
        // SAFETY: this token proves that the lock is held, and `&mut self` lends out its exclusive
        // right.
        unsafe { Locked::assume(alarm) }.next()
    }

    /// Returns `true` if the operation would not block.
    pub(super) fn is_ready(&mut self, now: &LazyInstant) -> bool {
        if self.0.as_alarm().is_some() {
            return self.next_due().is_some_and(|next| next <= now.get());
        }
        let direction = self.0.direction;
        self.head().is_some_and(|mut head| head.is_ready(direction))
    }

    /// Performs the operation unless it would block. The select began at `asked`.
    ///
    /// # Safety
    /// The slot of the arm is set (I2).
    #[inline]
    pub(super) unsafe fn attempt(&mut self, asked: &LazyInstant) -> Attempt {
        let arm = self.0;
        let Some(place) = arm.place else { return Attempt::Blocked };
        let (completion, owed, spent) = match arm.direction {
            Direction::Send => match self.head().and_then(|mut head| head.grant_send()) {
                Some(grant) => (Completion::Granted(grant), None, Spent::default()),
                None => return Attempt::Blocked,
            },
            // SAFETY: I1 and I2; this token proves that the lock is held, and no other token is in
            // use.
            Direction::Recv => match unsafe { (arm.receive)(place, asked, arm.slot.get()) } {
                Received::Value(owed, spent) => (Completion::Received(true), owed, spent),
                Received::Closed => (Completion::Received(false), None, Spent::default()),
                Received::Rendezvous(request) => return Attempt::Rendezvous(request),
                Received::Empty => return Attempt::Blocked,
            },
        };
        arm.set_completion(completion);
        Attempt::Done(owed, spent)
    }
}

impl<'s, 'a> LockedArms<'s, 'a> {
    /// Takes the locks of all channels. The arms are sorted by address.
    ///
    /// All selects take their locks in this order, so they cannot deadlock.
    pub(super) fn lock(arms: &'s [&'s Arm<'a>]) -> Self {
        each_channel(arms, |head| head.lock().keep());
        Self(arms)
    }

    #[inline]
    pub(super) fn arm(&mut self, position: usize) -> LockedArm<'_, 'a> {
        LockedArm(self.0[position])
    }

    /// Releases all locks. The arms may be gone once the last lock is released.
    pub(super) fn unlock(self) {
        // SAFETY: `lock` has kept these locks, and this call consumes `self`.
        each_channel(self.0, |head| unsafe { Guard::from_held(head) }.unlock());
    }

    /// Releases all locks but the one of the arm at `position`. Returns `None` for a nil channel.
    pub(super) fn unlock_all_but(self, position: usize) -> Option<ArmGuard<'s, 'a>> {
        let arm = self.0[position];
        let kept = arm.head()?;
        each_channel(self.0, |head| {
            if !ptr::eq(head, kept) {
                // SAFETY: `lock` has kept these locks, and this call consumes `self`.
                unsafe { Guard::from_held(head) }.unlock();
            }
        });
        // SAFETY: `lock` has kept this lock, and this call consumes `self`.
        Some(ArmGuard { arm, guard: unsafe { Guard::from_held(kept) } })
    }
}

/// Calls `f` once for every channel of the arms, which are sorted by address.
///
/// At the last call, the arms are no longer needed.
#[inline]
fn each_channel<'a>(arms: &[&Arm<'a>], mut f: impl FnMut(&'a Head)) {
    let mut last: Option<&Head> = None;
    for arm in arms {
        let Some(head) = arm.head() else { continue };
        if last.is_none_or(|last| !ptr::eq(last, head))
            && let Some(head) = last.replace(head)
        {
            f(head);
        }
    }
    if let Some(head) = last {
        f(head);
    }
}
