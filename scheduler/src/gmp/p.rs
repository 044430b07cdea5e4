//! P: the right to run goroutines, with its queues and caches.
//!
//! # Who may touch what
//! | field | written by | read by |
//! | --- | --- | --- |
//! | `owned` | the owner | the owner |
//! | `stealers` | thieves (they take) | any thread |
//! | `runnext`, `prefetched` | the owner fills them, any thread empties them | any thread |
//! | dispatch and slice counts, hints | the owner | sysmon, thieves |
//! | `flags` | the owner, sysmon | the owner |
//! | `lender` | the thread that takes the P, then the owner | the owner |
//! | `timers` | any thread, under its lock | any thread |
//!
//! The *owner* is the M that has the P and is inside a scheduler entry. That right can be taken
//! away between two entries ([`crate::protocol::lease`]). It is certain only inside an entry, and
//! no thread may touch the owner's fields outside of one. The token [`Inside`](super::Inside)
//! proves the right, and all operations reserved for the owner are methods of the token.
//!
//! # Three queues
//! The *local queue* is served in order. A goroutine that is spawned while that queue is long goes
//! to the *backlog* instead. The backlog is served when the local queue is empty, and occasionally
//! before that. So a goroutine that has already run and is woken, for example by a timer, has at
//! most [`LOCAL_QUEUE_CAP`](crate::sched::wake_policy::LOCAL_QUEUE_CAP) others before it, however
//! many were just spawned. (Go moves the surplus to the global queue.) A woken goroutine is never
//! deferred in this way: the local queue grows as long as necessary.
//!
//! A goroutine that has waited for something outside (I/O, a timer) goes to the *arrivals* if
//! others are in the local queue, since these may compute for milliseconds each. The arrivals are
//! served first. If they do not end, they and the P's own queues take turns
//! ([`crate::sched::turns`]).
//!
//! # Invariants
//! * I1: Ps are never freed, only retired: an M that was away for a long time may still read its
//!   old P.
//! * I2: `owned` is reached only through [`Inside`](super::Inside), by the owner.
//!
//! # Orderings
//! * P2: the release store in [`Inside::count_ended`](super::Inside::count_ended) -> the acquire
//!   load in [`P::ended`]; see `Sched::alive`.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crossbeam_deque::{Stealer, Worker};
use crossbeam_utils::CachePadded;

use super::inside::Owned;
use super::{GRef, M, OwnerFlags, Slot};
use crate::sched::wake_policy::ALWAYS_STEAL_LEN;
use crate::time::p_timers::PTimers;

/// One P.
pub(crate) struct P {
    pub(crate) id: u32,
    pub(super) owned: UnsafeCell<Owned>,
    /// The stealers of the arrivals, the local queue, and the backlog.
    pub(crate) stealers: [Stealer<GRef>; 3],
    pub(super) shared: CachePadded<Shared>,
    pub(crate) timers: PTimers,
}

/// The part of a P that other threads access.
pub(super) struct Shared {
    pub(super) runnext: Slot,
    pub(super) prefetched: Slot,
    m: AtomicPtr<M>,
    /// The number of time slices begun: dispatches that did not inherit the slice of the previous
    /// dispatch.
    pub(super) slices: AtomicU32,
    /// The number of all dispatches.
    ///
    /// It tells sysmon whether the M returns to the scheduler.
    pub(super) dispatches: AtomicU32,
    /// The numbers of goroutines spawned and ended here.
    ///
    /// The difference, summed over all Ps, is the number of live goroutines.
    pub(super) spawned: AtomicU64,
    pub(super) ended: AtomicU64,
    retired: AtomicBool,
    /// The value of `dispatches` when the P was last returned to the M from which it was taken.
    returned_at: AtomicU32,
    flags: AtomicU8,
    /// The M from which the P was taken, and to which it is to be returned.
    pub(super) lender: AtomicPtr<M>,
    /// Set when a thief has taken the runnext of a goroutine that kept computing.
    pub(super) runnext_stolen: AtomicBool,
    /// Set when the queued goroutines have their turn sooner than another M would arrive for them.
    pub(super) leave_to_owner: AtomicBool,
}

// SAFETY: I2 guards `owned`; everything else is atomic or locked.
unsafe impl Sync for P {}
// SAFETY: I2: only one M at a time uses a P.
unsafe impl Send for P {}

impl P {
    pub(crate) fn new(id: u32) -> Self {
        let queues = [(); 3].map(|()| Worker::new_fifo());
        Self {
            id,
            stealers: queues.each_ref().map(Worker::stealer),
            owned: UnsafeCell::new(Owned::new(id, queues)),
            shared: CachePadded::new(Shared {
                runnext: Slot::default(),
                prefetched: Slot::default(),
                m: AtomicPtr::new(ptr::null_mut()),
                slices: AtomicU32::new(0),
                dispatches: AtomicU32::new(0),
                spawned: AtomicU64::new(0),
                ended: AtomicU64::new(0),
                retired: AtomicBool::new(false),
                returned_at: AtomicU32::new(u32::MAX),
                flags: AtomicU8::new(0),
                lender: AtomicPtr::new(ptr::null_mut()),
                runnext_stolen: AtomicBool::new(false),
                leave_to_owner: AtomicBool::new(false),
            }),
            timers: PTimers::new(),
        }
    }

    /// Returns the slot of the goroutine that runs next, in the time slice of the current one.
    #[inline]
    pub(crate) fn runnext(&self) -> &Slot {
        &self.shared.runnext
    }

    /// Returns the slot of the first goroutine of the local queue, which was removed from the queue
    /// early to be loaded into the cache.
    #[inline]
    pub(crate) fn prefetched(&self) -> &Slot {
        &self.shared.prefetched
    }

    /// Returns `true` if the queues contain anything that is worth the arrival of another M.
    ///
    /// The runnext slot does not count: see [`crate::sched::wake_policy`].
    pub(crate) fn wants_thief(&self) -> bool {
        self.has_queued() && !self.is_left_to_owner()
    }

    /// Returns `true` if the queues contain anything.
    ///
    /// The runnext slot does not count. Threads other than the owner call this.
    pub(crate) fn has_queued(&self) -> bool {
        !self.prefetched().is_empty() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }

    /// Returns the number of goroutines in the queues.
    pub(crate) fn queued(&self) -> usize {
        self.stealers.iter().map(Stealer::len).sum()
    }

    /// Returns `true` if the P has runnable goroutines, in the queues or in the runnext slot.
    pub(crate) fn has_work(&self) -> bool {
        !self.runnext().is_empty() || self.has_queued()
    }

    pub(crate) fn m(&self) -> *mut M {
        self.shared.m.load(Ordering::Acquire)
    }

    pub(crate) fn set_m(&self, m: *mut M) {
        self.shared.m.store(m, Ordering::Release);
    }

    #[inline]
    pub(crate) fn slices(&self) -> u32 {
        self.shared.slices.load(Ordering::Relaxed)
    }

    pub(crate) fn dispatches(&self) -> u32 {
        self.shared.dispatches.load(Ordering::Relaxed)
    }

    /// Returns the number of goroutines that have ended on this P.
    pub(crate) fn ended(&self) -> u64 {
        // ORDERING P2: acquire pairs with `Inside::count_ended`.
        self.shared.ended.load(Ordering::Acquire)
    }

    /// Returns the number of goroutines that were spawned on this P.
    pub(crate) fn spawned(&self) -> u64 {
        self.shared.spawned.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.shared.retired.load(Ordering::Acquire)
    }

    pub(crate) fn set_retired(&self, retired: bool) {
        self.shared.retired.store(retired, Ordering::Release);
    }

    /// Returns what the owner has to attend to.
    #[inline]
    pub(crate) fn flags(&self) -> OwnerFlags {
        OwnerFlags(self.shared.flags.load(Ordering::Relaxed))
    }

    /// Tells the owner to attend to `flag` before it runs the next goroutine.
    pub(crate) fn raise(&self, flag: OwnerFlags) {
        self.shared.flags.fetch_or(flag.0, Ordering::Relaxed);
    }

    pub(super) fn lower(&self, flag: OwnerFlags) {
        self.shared.flags.fetch_and(!flag.0, Ordering::Relaxed);
    }

    /// Notes that the P was returned to the M that still runs the goroutine from before the loan.
    pub(crate) fn note_returned(&self) {
        self.shared.returned_at.store(self.dispatches(), Ordering::Relaxed);
    }

    /// Returns `true` if nothing has run since the P was returned.
    pub(crate) fn is_returned(&self) -> bool {
        self.shared.returned_at.load(Ordering::Relaxed) == self.dispatches()
    }

    /// Notes that the goroutine that runs here keeps busy after it has woken another.
    ///
    /// A thief calls this.
    pub(crate) fn note_runnext_stolen(&self) {
        self.shared.runnext_stolen.store(true, Ordering::Relaxed);
    }

    /// Sets whether the queued goroutines are left to the owner.
    ///
    /// A searcher sets this when they have their turn soon, and sysmon clears it, since that may
    /// change.
    pub(crate) fn set_leave_to_owner(&self, leave: bool) {
        if self.shared.leave_to_owner.load(Ordering::Relaxed) != leave {
            self.shared.leave_to_owner.store(leave, Ordering::Relaxed);
        }
    }

    /// Returns `true` if the queues are left to the owner because they are so short and quick.
    fn is_left_to_owner(&self) -> bool {
        self.shared.leave_to_owner.load(Ordering::Relaxed) && self.queued() < ALWAYS_STEAL_LEN
    }
}
