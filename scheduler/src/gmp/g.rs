//! G: one goroutine.
//!
//! # Layout
//! One small block ([`crate::gmp::block`]) holds the header [`G`] and, right behind it, the closure
//! and later its result. If these are large, the block holds a box with them instead (`Task` in
//! `task::body`). A goroutine that has never run owns nothing else: it gets its stack when it first
//! runs, and the stack goes to the next goroutine when it ends.
//!
//! # States
//! ```text
//!            spawn            run                 finish
//!   (block) ------> Runnable <----> Running ---------------> Dead
//!                      ^   yield      | park
//!                      +--- ready --- Waiting
//! ```
//! [`G::transition`] is the only place where the state changes. Dumps, traces and counters read
//! what it writes.
//!
//! # Who may touch what
//! | field | written by | when |
//! | --- | --- | --- |
//! | `state`, `reason`, `parked_at` | the owner: its M, a queue's taker, a waker | a transition |
//! | `wakes`, `woke_at` | the M that runs it | when it wakes another, when it suspends |
//! | `stack`, `sp` | the M that runs it | at first run; when it suspends |
//! | `m` | the M that runs it | at each resume |
//! | `bound_to` | the G itself, on its M | while it is bound to that M |
//! | `join` | any thread | by its own protocol, [`crate::protocol::join`] |
//! | `record` | the owner; sysmon | when it suspends; while it keeps its thread; a hint |
//! | `keeps_busy` | a thief, or the M that runs it | a hint |
//! | the rest | the spawner | before the G is in any queue |
//!
//! Any value of a hint is acceptable.
//!
//! # Invariants
//! * I1: a G is owned by exactly one of: a run queue, the M that runs it, the wait node (or timer)
//!   from which its one waker will take it. Whatever moves a G hands on its ownership too, so no
//!   field other than `join` needs a read-modify-write.
//! * I2: blocks are never returned to the operating system, so a dump that reads a stale `GRef`
//!   reads a G, although perhaps a different one.

use std::cell::Cell;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use super::M;
use crate::gmp::reason::WaitReason;
use crate::machine::stack::Stack;
use crate::machine::sys::prefetch::{LINE, prefetch};
use crate::protocol::join::JoinWord;
use crate::sched::wake_policy;
use crate::task::coroutine::StackHead;
use crate::time::clock;

/// The state of a goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// On a run queue, or on its way to one.
    Runnable,
    /// An M executes it.
    Running,
    /// Parked. A waker will ready it.
    Waiting,
    /// Ended.
    Dead,
}

impl State {
    fn from_u8(n: u8) -> Self {
        match n {
            0 => Self::Runnable,
            1 => Self::Running,
            2 => Self::Waiting,
            _ => Self::Dead,
        }
    }
}

/// Attributes that few goroutines have, kept out of the header.
pub(crate) struct Attributes {
    pub(crate) name: Option<Arc<str>>,
    /// The stack reservation that was asked for; `None` is the default.
    pub(crate) stack_size: Option<usize>,
    pub(crate) pinned: bool,
    pub(crate) reserve_stack: bool,
    /// The stack that the spawn has taken, until the goroutine begins (I1).
    pub(crate) reserved: Cell<Option<Stack>>,
}

/// The functions that depend on the type of the closure behind a header.
pub(crate) struct Vtable {
    /// Whether a timer starts the goroutine, which then may take one of the last stacks.
    pub(crate) is_urgent: bool,
    /// Runs the closure to its end and stores the result.
    ///
    /// Called once, on the goroutine's stack.
    pub(crate) run: unsafe fn(GRef),
    /// Drops the closure of a goroutine that will never run, and stores a panic as its result.
    pub(crate) drop_closure: unsafe fn(GRef),
    /// Moves the result to the given address.
    ///
    /// Called once.
    pub(crate) take_result: unsafe fn(GRef, *mut ()),
    /// Drops a result that was not taken.
    pub(crate) drop_result: unsafe fn(GRef),
    /// The size of the block in bytes.
    pub(crate) size: usize,
    pub(crate) align: usize,
}

/// The header of a goroutine.
///
/// The module's documentation says who may touch which field.
///
/// The fields that a wake-up and a switch touch are first, in one cache line: among a thousand
/// goroutines, the CPU waits for each line that it must load from memory.
#[repr(C)]
pub(crate) struct G {
    pub(crate) stack: Cell<*mut StackHead>,
    /// Its approximate stack pointer when it last suspended.
    pub(crate) sp: Cell<usize>,
    /// The M that runs it, or ran it last.
    m: AtomicPtr<M>,
    /// The M that the goroutine is bound to, which is the one that ran it last.
    pub(crate) bound_to: AtomicPtr<M>,
    /// When the goroutine last woke another into runnext, if that wake-up is timed.
    woke_at: Cell<u64>,
    /// The number of its wake-ups into runnext.
    wakes: Cell<u32>,
    /// The value of the coarse clock when the goroutine began to wait.
    parked_at: AtomicU32,
    state: AtomicU8,
    reason: AtomicU8,
    /// Whether the goroutine tends to keep computing after it has woken another (R2b of
    /// [`crate::sched::wake_policy`]).
    keeps_busy: AtomicBool,
    /// What is known about the goroutine's behavior ([`crate::sched::affinity::ties`]):
    /// [`G::SEEN`], [`G::ON_PROBATION`], and the distrust.
    record: AtomicU8,
    /// The number of locks that the goroutine holds on its OS thread (`lock_os_thread` nests).
    pub(crate) os_locks: Cell<u32>,
    pub(crate) vtable: &'static Vtable,
    pub(crate) id: u64,
    pub(crate) join: JoinWord,
    pub(crate) attributes: Option<Box<Attributes>>,
    pub(crate) site: &'static Location<'static>,
}

const _: () = assert!(std::mem::offset_of!(G, vtable) < LINE, "g: a switch touches one line");

// SAFETY: I1 says who touches the cells: one owner at a time. Queues and locks hand the ownership
// on and order the accesses.
unsafe impl Sync for G {}

/// A goroutine, by address.
///
/// It is not reference-counted: I1 of the module says who owns the G.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GRef(NonNull<G>);

// SAFETY: a G is designed to be handed between threads; its closure was `Send` when it was spawned.
unsafe impl Send for GRef {}
// SAFETY: a shared GRef gives access only to `G`'s own interface, which is `Sync`.
unsafe impl Sync for GRef {}

impl std::ops::Deref for GRef {
    type Target = G;

    #[inline]
    fn deref(&self) -> &G {
        // SAFETY: a GRef is made from a live block, and I2 keeps it readable.
        unsafe { self.0.as_ref() }
    }
}

impl GRef {
    #[inline]
    pub(crate) fn as_ptr(self) -> *mut G {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn as_non_null(self) -> NonNull<G> {
        self.0
    }

    #[inline]
    pub(crate) fn new(ptr: NonNull<G>) -> Self {
        Self(ptr)
    }

    /// Returns the id and the spawn site of a goroutine that may end during the call.
    ///
    /// If it ends, they may be those of the next goroutine in its place.
    pub(crate) fn id_and_site(self) -> (u64, &'static Location<'static>) {
        let g = self.0.as_ptr();
        // SAFETY: I2: some G is there, and these words are written when a G is created. The reads
        // are volatile, since that may happen at the same time.
        unsafe { ((&raw const (*g).id).read_volatile(), (&raw const (*g).site).read_volatile()) }
    }

    /// Returns the goroutine at `ptr`, or `None` for null.
    ///
    /// # Safety
    /// `ptr` is null or came from [`GRef::as_ptr`] of a goroutine that has not been freed.
    #[inline]
    pub(crate) unsafe fn from_ptr(ptr: *mut G) -> Option<Self> {
        NonNull::new(ptr).map(Self)
    }
}

impl G {
    pub(crate) fn new(
        vtable: &'static Vtable,
        id: u64,
        attributes: Option<Box<Attributes>>,
        join: JoinWord,
        site: &'static Location<'static>,
    ) -> Self {
        Self {
            stack: Cell::new(ptr::null_mut()),
            sp: Cell::new(0),
            m: AtomicPtr::new(ptr::null_mut()),
            bound_to: AtomicPtr::new(ptr::null_mut()),
            woke_at: Cell::new(0),
            wakes: Cell::new(0),
            parked_at: AtomicU32::new(0),
            state: AtomicU8::new(State::Runnable as u8),
            reason: AtomicU8::new(WaitReason::None as u8),
            keeps_busy: AtomicBool::new(false),
            record: AtomicU8::new(0),
            os_locks: Cell::new(0),
            vtable,
            id,
            join,
            attributes,
            site,
        }
    }

    /// Changes the state of the goroutine, which the caller owns (I1).
    ///
    /// No other function does so.
    #[inline]
    pub(crate) fn transition(&self, from: State, to: State) {
        debug_assert_eq!(self.state(), from, "g: bad transition to {to:?}; id = {}", self.id);
        self.state.store(to as u8, Ordering::Relaxed);
    }

    /// Changes the state from running to waiting, with the reason.
    ///
    /// The caller owns the goroutine (I1).
    #[inline]
    pub(crate) fn wait_for(&self, reason: WaitReason) {
        self.reason.store(reason as u8, Ordering::Relaxed);
        self.parked_at.store(clock::coarse(), Ordering::Relaxed);
        self.transition(State::Running, State::Waiting);
    }

    pub(crate) fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Relaxed))
    }

    /// Returns the reason of the current wait, or of the last one.
    pub(crate) fn reason(&self) -> WaitReason {
        WaitReason::from_u8(self.reason.load(Ordering::Relaxed))
    }

    /// Returns how long ago the current wait, or the last one, began, less some tens of
    /// milliseconds.
    pub(crate) fn parked_for(&self) -> Duration {
        clock::since_coarse(self.parked_at.load(Ordering::Relaxed))
    }

    /// Begins to load into the cache what the goroutine will touch first when it runs.
    ///
    /// The caller owns the goroutine (I1).
    #[inline]
    pub(crate) fn prefetch(&self) {
        let (head, frames) = (self.stack.get().addr(), self.sp.get());
        // A goroutine that blocks in place while it unwinds has a stack, but may never have left
        // it.
        if head != 0 && frames != 0 {
            for address in
                [head, head + LINE, frames, frames + LINE, frames + 2 * LINE, frames + 3 * LINE, frames + 4 * LINE]
            {
                prefetch(address);
            }
        }
    }

    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.attributes.as_ref()?.name.as_ref()
    }

    /// Returns the stack reservation that was requested; `None` is the default.
    #[inline]
    pub(crate) fn stack_size(&self) -> Option<usize> {
        self.attributes.as_ref()?.stack_size
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.attributes.as_ref().is_some_and(|attributes| attributes.pinned)
    }

    /// Returns `true` if the goroutine can begin on any default stack, on any M.
    #[inline]
    pub(crate) fn starts_anywhere(&self) -> bool {
        let ordinary = |e: &Attributes| e.stack_size.is_none() && !e.pinned && !e.reserve_stack;
        self.stack.get().is_null() && self.attributes.as_deref().is_none_or(ordinary)
    }

    /// Set in [`record`](Self::record) once the goroutine has suspended.
    pub(crate) const SEEN: u8 = 0x80;
    /// Set while the goroutine's first run reveals something about its spawn site.
    pub(crate) const ON_PROBATION: u8 = 0x40;
    /// The bits that count the runs for which the goroutine is still expected to keep its thread.
    pub(crate) const DISTRUST: u8 = 0x3f;

    /// Returns what is known about the goroutine's behavior.
    #[inline]
    pub(crate) fn record(&self) -> u8 {
        self.record.load(Ordering::Relaxed)
    }

    /// Writes the record; any value is acceptable.
    ///
    /// Its owner and sysmon call this.
    pub(crate) fn set_record(&self, record: u8) {
        self.record.store(record, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn keeps_busy(&self) -> bool {
        self.keeps_busy.load(Ordering::Relaxed)
    }

    /// Notes whether the goroutine keeps busy.
    ///
    /// A thief calls this, and so does the worker when the goroutine suspends.
    pub(crate) fn set_keeps_busy(&self, busy: bool) {
        self.keeps_busy.store(busy, Ordering::Relaxed);
    }

    /// Counts a wake-up into runnext.
    ///
    /// Returns `true` if that wake-up is to be timed.
    #[inline]
    pub(crate) fn count_wake(&self) -> bool {
        let wakes = self.wakes.get().wrapping_add(1);
        self.wakes.set(wakes);
        wake_policy::is_wake_sampled(wakes)
    }

    /// Returns the time of the wake-up that is being timed; 0 if none is.
    #[inline]
    pub(crate) fn woke_at(&self) -> u64 {
        self.woke_at.get()
    }

    pub(crate) fn set_woke_at(&self, now: u64) {
        self.woke_at.set(now);
    }

    /// Returns the M that runs the goroutine, or ran it last.
    ///
    /// The answer is certain only for its owner (I1).
    #[inline]
    pub(crate) fn m(&self) -> Option<&'static M> {
        // SAFETY: Ms are never freed.
        unsafe { self.m.load(Ordering::Relaxed).as_ref() }
    }

    #[inline]
    pub(crate) fn set_m(&self, m: &'static M) {
        self.m.store(ptr::from_ref(m).cast_mut(), Ordering::Relaxed);
    }

    /// Returns the M that the goroutine is bound to, if it is locked or blocks its M in place.
    #[inline]
    pub(crate) fn bound_m(&self) -> Option<&'static M> {
        // ORDERING: relaxed; the M wrote it before the G was queued, and queues publish.
        // SAFETY: Ms are never freed.
        unsafe { self.bound_to.load(Ordering::Relaxed).as_ref() }
    }
}
