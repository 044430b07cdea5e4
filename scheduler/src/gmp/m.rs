//! M: one OS thread that runs goroutines, or waits for some.
//!
//! # Invariants
//! * I1: Ms are never freed, because other threads keep plain pointers to them. An M whose thread
//!   has ended, or could not be started, is reused.
//! * I2: cells are touched only by the M's own thread, on the system stack or on the goroutine that
//!   it runs. Before there is such a thread, only the thread that starts it touches them.
//! * I3: `p` is written by the M inside a scheduler entry, by a thread that has taken the P by the
//!   lease, or by the thread that returns it by the lease.
//!
//! # Orderings
//! * P1: the release store in [`M::hand_p`] and [`M::set_pinned_g`] -> the acquire load in
//!   [`M::take_handed_p`] and [`M::pinned_g`]: everything written before the store is visible to
//!   the M.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::P;
use super::{G, GRef, Inbox};
use crate::gmp::reason::WaitReason;
use crate::machine::sys::parker::Parker;
use crate::machine::sys::poller;
use crate::machine::sys::thread::Observed;
use crate::machine::sys::tls;
use crate::protocol::lease::Lease;
use crate::protocol::poller::Doorbell;

/// The reason why a goroutine switches to its M's system stack.
#[derive(Clone, Copy)]
pub(crate) enum SwitchReason {
    /// It parks. The M runs the commit step, which lets wakers in, or returns `false` if the
    /// goroutine need not park after all.
    Park,
    /// It yields, to the end of the local queue.
    Yield,
    /// It yields, to the end of the global queue, or to the deferred goroutines if it has lost its
    /// P because it computes.
    YieldGlobally,
}

/// What a goroutine that switches away asks of its M.
///
/// Each field is a cell of one word, written and read with the same width. A structure that is
/// built, copied and read in different pieces would cost a stall of the store buffer at each
/// switch.
pub(crate) struct SwitchRequest {
    pub(crate) reason: Cell<SwitchReason>,
    pub(crate) wait_reason: Cell<WaitReason>,
    pub(crate) commit: Cell<unsafe fn(*mut ()) -> bool>,
    pub(crate) arg: Cell<*mut ()>,
}

/// A goroutine to run.
#[derive(Clone, Copy)]
pub(crate) struct Dispatch {
    pub(crate) g: GRef,
    /// Whether it continues the time slice of the goroutine before it.
    pub(crate) inherit: bool,
}

impl Dispatch {
    /// Runs `g` in a time slice of its own.
    #[inline(always)]
    pub(crate) fn new_slice(g: GRef) -> Self {
        Self { g, inherit: false }
    }

    /// Runs `g` in the time slice of the goroutine before it.
    #[inline(always)]
    pub(crate) fn same_slice(g: GRef) -> Self {
        Self { g, inherit: true }
    }
}

/// One M.
pub(crate) struct M {
    pub(crate) id: u32,
    pub(crate) lease: Lease,
    p: AtomicPtr<P>,
    current: AtomicPtr<G>,
    pub(crate) switch_request: SwitchRequest,
    /// The goroutine chosen to run next, before all queues.
    pub(crate) next_g: Cell<Option<Dispatch>>,
    /// The number of goroutines that have locked themselves to this thread.
    ///
    /// It exceeds one if another goroutine, which the migration guard has sent here, has locked
    /// itself as well.
    pub(crate) locked_gs: Cell<u32>,
    /// The pinned goroutine that owns the thread.
    pinned_g: AtomicPtr<G>,
    /// Whether a goroutine has ended while it was locked to this thread, which then stays locked.
    pub(crate) locked_g_ended: Cell<bool>,
    /// Goroutines that are bound to this M.
    pub(crate) inbox: Inbox,
    /// The P that another thread has left for this M, and whether the M is to search with it.
    handed: AtomicPtr<P>,
    handed_search: AtomicBool,
    pub(crate) parker: Parker,
    /// When the M's sleep in a list will end by itself; `u64::MAX` if it will not.
    ///
    /// Written under the lock of the lists.
    pub(crate) sleeps_until: AtomicU64,
    /// Armed while the M blocks in the poller instead of on its parker.
    pub(crate) bell: Doorbell,
    thread: Observed,
    /// The time since which the M's goroutine has not re-entered the scheduler, as observed by
    /// sysmon; 0 if that is not known to be long.
    busy_since: AtomicU64,
    /// When a goroutine that is tied to this thread was first seen, in ns; 0 for never
    /// ([`crate::sched::affinity::ties`]).
    tied_since: AtomicU64,
    /// Whether the M's P was taken because its goroutine computes, and the M has not acquired a P
    /// since.
    hogged: AtomicBool,
    /// The address range of the thread's thread-locals and control block: the first address, and
    /// the one after the last.
    memory: [AtomicUsize; 2],
}

// SAFETY: I2 guards the cells; everything else is atomic.
unsafe impl Sync for M {}
// SAFETY: I2: the thread that makes an M hands it to the M's own thread, which it starts.
unsafe impl Send for M {}

impl M {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            lease: Lease::new(),
            p: AtomicPtr::new(ptr::null_mut()),
            current: AtomicPtr::new(ptr::null_mut()),
            switch_request: SwitchRequest {
                reason: Cell::new(SwitchReason::Yield),
                wait_reason: Cell::new(WaitReason::None),
                commit: Cell::new(|_| true),
                arg: Cell::new(ptr::null_mut()),
            },
            next_g: Cell::new(None),
            locked_gs: Cell::new(0),
            pinned_g: AtomicPtr::new(ptr::null_mut()),
            locked_g_ended: Cell::new(false),
            inbox: Inbox::new(),
            handed: AtomicPtr::new(ptr::null_mut()),
            handed_search: AtomicBool::new(false),
            parker: Parker::new(),
            sleeps_until: AtomicU64::new(u64::MAX),
            bell: Doorbell::new(),
            thread: Observed::new(),
            busy_since: AtomicU64::new(0),
            tied_since: AtomicU64::new(0),
            hogged: AtomicBool::new(false),
            memory: [AtomicUsize::new(0), AtomicUsize::new(0)],
        }
    }

    /// Returns the P that this M has.
    ///
    /// The answer is certain only inside a scheduler entry.
    #[inline]
    pub(crate) fn p(&self) -> Option<&'static P> {
        // SAFETY: Ps are never freed.
        unsafe { self.p.load(Ordering::Relaxed).as_ref() }
    }

    /// Records which P this M has, on both sides (I3).
    pub(crate) fn set_p(&'static self, p: Option<&'static P>) {
        if let Some(old) = self.p() {
            old.set_m(ptr::null_mut());
        }
        if let Some(new) = p {
            new.set_m(ptr::from_ref(self).cast_mut());
            self.note_busy_since(0);
            self.set_hogged(false);
        }
        self.p.store(p.map_or(ptr::null_mut(), |p| ptr::from_ref(p).cast_mut()), Ordering::Relaxed);
    }

    /// Returns the goroutine that this M runs, or `None` while the M is in the scheduler.
    #[inline]
    pub(crate) fn current(&self) -> Option<GRef> {
        // SAFETY: set by `set_current` from a live goroutine, and cleared before that goroutine is
        // handed on.
        unsafe { GRef::from_ptr(self.current.load(Ordering::Relaxed)) }
    }

    #[inline]
    pub(crate) fn set_current(&self, g: Option<GRef>) {
        self.current.store(g.map_or(ptr::null_mut(), GRef::as_ptr), Ordering::Relaxed);
    }

    /// Records what other threads need to know about the calling thread, which is the M's.
    pub(crate) fn observe_thread(&self) {
        self.thread.set_current_thread();
        let memory = tls::own_block();
        self.memory[0].store(memory.start, Ordering::Relaxed);
        self.memory[1].store(memory.end, Ordering::Relaxed);
    }

    /// Returns where the thread-locals of the M's thread are.
    ///
    /// The caller must own a goroutine that ran there, because the hand-over of the goroutine
    /// publishes the addresses.
    pub(crate) fn thread_memory(&self) -> Range<usize> {
        self.memory[0].load(Ordering::Relaxed)..self.memory[1].load(Ordering::Relaxed)
    }

    /// Returns `true` if a goroutine that is tied to this thread was ever seen.
    #[inline]
    pub(crate) fn is_tied(&self) -> bool {
        self.tied_since() != 0
    }

    /// Returns when the first goroutine that is tied to this thread was seen, in ns; 0 for never.
    pub(crate) fn tied_since(&self) -> u64 {
        self.tied_since.load(Ordering::Relaxed)
    }

    /// Notes that a goroutine was found tied to this thread.
    ///
    /// Returns `true` if it is the first.
    pub(crate) fn note_tied(&self, now: u64) -> bool {
        self.tied_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Returns the CPU time that the M's thread has used, in ns; 0 if that is unknown.
    pub(crate) fn cpu_time(&self) -> u64 {
        self.thread.cpu_time()
    }

    /// Returns `true` if the M's thread runs on a CPU, or only waits for one.
    pub(crate) fn is_runnable(&self) -> bool {
        self.thread.is_runnable()
    }

    /// Returns the id of the M's thread, or of its last thread if it has none.
    pub(crate) fn thread(&self) -> i32 {
        self.thread.id()
    }

    /// Returns the time since which the M's goroutine has not re-entered the scheduler, if that is
    /// a long time ago.
    ///
    /// The answer may be slightly out of date.
    pub(crate) fn busy_since(&self) -> Option<u64> {
        Some(self.busy_since.load(Ordering::Relaxed)).filter(|since| *since != 0)
    }

    /// Records, for sysmon, the time since which the M's goroutine has not re-entered the
    /// scheduler; 0 clears the record.
    pub(crate) fn note_busy_since(&self, since: u64) {
        self.busy_since.store(since, Ordering::Relaxed);
    }

    /// Returns `true` if the M's P was taken because its goroutine computes.
    pub(crate) fn is_hogged(&self) -> bool {
        self.hogged.load(Ordering::Relaxed)
    }

    /// Notes whether the M's goroutine computes.
    ///
    /// The thread that takes the P calls this.
    pub(crate) fn set_hogged(&self, hogged: bool) {
        self.hogged.store(hogged, Ordering::Relaxed);
    }

    /// Returns the pinned goroutine that owns the M's thread.
    ///
    /// The caller may access the goroutine while it lives.
    pub(crate) fn pinned_g(&self) -> Option<GRef> {
        // ORDERING P1: acquire pairs with `set_pinned_g`.
        // SAFETY: set from a goroutine, whose memory is never unmapped.
        unsafe { GRef::from_ptr(self.pinned_g.load(Ordering::Acquire)) }
    }

    /// Gives the M, which has run no goroutine, to a pinned goroutine, or takes it back.
    pub(crate) fn set_pinned_g(&self, g: Option<GRef>) {
        // ORDERING P1: release publishes what the finder of the goroutine has written.
        self.pinned_g.store(g.map_or(ptr::null_mut(), GRef::as_ptr), Ordering::Release);
    }

    /// Leaves a P for this M, which sleeps or is about to sleep, and wakes it.
    ///
    /// `search` says whether the M is to search with the P.
    pub(crate) fn hand_p(&self, p: &'static P, search: bool) {
        self.handed_search.store(search, Ordering::Relaxed);
        // ORDERING P1: release publishes the P's state and `handed_search` to `take_handed_p`.
        let before = self.handed.swap(ptr::from_ref(p).cast_mut(), Ordering::AcqRel);
        debug_assert!(before.is_null(), "m: handed two Ps; id = {}", self.id);
        self.wake();
    }

    /// Wakes this M, wherever it sleeps.
    ///
    /// If it does not sleep, its next sleep ends at once.
    pub(crate) fn wake(&self) {
        self.parker.unpark();
        if self.bell.ring()
            && let Some(poller) = poller::get()
        {
            poller.wake();
        }
    }

    /// Takes the P that was left for this M, if any, and returns it together with whether to search
    /// with it.
    pub(crate) fn take_handed_p(&self) -> Option<(&'static P, bool)> {
        // ORDERING P1: acquire pairs with `hand_p`.
        let p = self.handed.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: Ps are never freed.
        unsafe { p.as_ref() }.map(|p| (p, self.handed_search.load(Ordering::Relaxed)))
    }
}
