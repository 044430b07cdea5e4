//! The token [`Inside`]: the proof that the calling M has its P and is inside a scheduler entry.
//!
//! Operations that only the owner of a P may perform are methods of the token. A function that
//! needs this right takes the token as an argument, and its callers need no `unsafe`.
//! [`crate::sched::entry`] hands tokens out. A token is one pointer, and creating or dropping it is
//! free. Functions on the path from one goroutine to the next take it by value
//! ([`Inside::reborrow`]), so that it stays in a register.
//!
//! # Invariants
//! * I1: while a token for a P is in use, the calling M is inside a scheduler entry and has the P,
//!   or the calling thread has taken the P and stands for such an M. So no other thread has a token
//!   for the P.
//! * I2: a token ends before the M leaves the entry or releases the P. Its lifetime keeps it inside
//!   the closure of [`with_p`](crate::sched::entry::with_p).
//! * I3: a reference into [`Owned`] is gone before another token for the same P is used. (A timer
//!   that fires readies its goroutine with a token of its own.)

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam_deque::Worker;

use super::{GRef, M, OwnerFlags, P};
use crate::gmp::block::BlockCache;
use crate::machine::stack::StackCache;
use crate::sched::random::Generator;
use crate::sched::turns::Turns;
use crate::sched::wake_policy::{ALWAYS_STEAL_LEN, DispatchPace, LOCAL_QUEUE_CAP};

/// If the local queue has at least this length, the goroutine after the next one is loaded into the
/// cache early.
///
/// It also keeps work visible: while one goroutine is on its way from the queue to its slot, other
/// threads still see the queue.
const PREFETCH_LEN: usize = 8;

/// The number of goroutine ids that a P takes at once, so that spawns do not contend for one
/// counter.
const ID_BATCH: u64 = 64;

/// The state of a P that only its owner touches.
pub(crate) struct Owned {
    arrivals: Worker<GRef>,
    queue: Worker<GRef>,
    backlog: Worker<GRef>,
    pub(crate) blocks: BlockCache,
    pub(crate) stacks: StackCache,
    pub(crate) pace: DispatchPace,
    pub(crate) turns: Turns,
    next_id: u64,
    last_id: u64,
    /// For the choice of a victim.
    pub(crate) random: Generator,
}

/// Proof that the calling M has a P and is inside a scheduler entry.
///
/// It dereferences to the P for the operations that any thread may perform.
pub(crate) struct Inside<'a> {
    p: &'static P,
    /// Bounds the token to the entry, and keeps it on its thread.
    entry: PhantomData<(&'a (), *mut ())>,
}

impl Deref for Inside<'_> {
    type Target = P;

    #[inline(always)]
    fn deref(&self) -> &P {
        self.p
    }
}

impl Inside<'_> {
    /// Asserts that the caller has `p`.
    ///
    /// # Safety
    /// I1, I2 and I3 hold for the new token.
    #[inline(always)]
    pub(crate) unsafe fn new(p: &'static P) -> Self {
        Self { p, entry: PhantomData }
    }

    /// Returns a token for a call.
    ///
    /// The original token cannot be used until that call ends.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> Inside<'_> {
        Inside { p: self.p, entry: PhantomData }
    }

    /// Ends the token, and returns its P, which the caller releases next.
    #[inline(always)]
    pub(crate) fn into_p(self) -> &'static P {
        self.p
    }

    /// Returns the owner's part of the P.
    #[inline(always)]
    fn owned(&self) -> &Owned {
        // SAFETY: I1: no other thread reaches it; I3: no mutable reference is in use.
        unsafe { &*self.p.owned.get() }
    }

    /// Returns the owner's part of the P, for modification.
    #[inline(always)]
    pub(crate) fn owned_mut(&mut self) -> &mut Owned {
        // SAFETY: I1: no other thread reaches it; I3: no other reference is in use.
        unsafe { &mut *self.p.owned.get() }
    }

    /// Appends a goroutine that the caller owns to the local queue.
    #[inline]
    pub(crate) fn push(&self, g: GRef) {
        self.owned().queue.push(g);
    }

    /// Appends a goroutine that has never run to the local queue, or to the backlog if that queue
    /// is long.
    #[inline]
    pub(crate) fn push_fresh(&self, g: GRef) {
        let Owned { queue, backlog, .. } = self.owned();
        if queue.len() < LOCAL_QUEUE_CAP { queue.push(g) } else { backlog.push(g) }
    }

    /// Appends a goroutine that has waited for something outside to the arrivals.
    pub(crate) fn push_arrival(&self, g: GRef) {
        self.owned().arrivals.push(g);
        if !self.flags().has(OwnerFlags::ARRIVALS) {
            self.raise(OwnerFlags::ARRIVALS);
        }
    }

    /// Puts a goroutine that the caller owns into the runnext slot.
    ///
    /// Returns `false` if the slot is occupied.
    #[inline]
    pub(crate) fn fill_runnext(&self, g: GRef) -> bool {
        self.shared.runnext.fill(g)
    }

    /// Takes the first goroutine of the local queue, or else of the backlog, or else of the
    /// arrivals.
    ///
    /// If there are many goroutines, begins to load the one after it. With a hundred thousand
    /// goroutines, waiting for memory is most of what a dispatch costs.
    #[inline]
    pub(crate) fn pop(&self) -> Option<GRef> {
        let queue = &self.owned().queue;
        let Some(g) = self.prefetched().take().or_else(|| queue.pop()) else {
            return Inside { p: self.p, entry: PhantomData }.pop_rest();
        };
        // A goroutine that has never run touches only its header, which was written recently.
        if !g.stack.get().is_null()
            && queue.len() >= PREFETCH_LEN
            && let Some(next) = queue.pop()
        {
            next.prefetch();
            let filled = self.prefetched().fill(next);
            debug_assert!(filled, "p: only the owner fills the slot, and it was empty");
        }
        Some(g)
    }

    /// Takes from the queues behind the local queue.
    ///
    /// This is a separate function so that [`pop`](Self::pop) stays short.
    #[inline(never)]
    fn pop_rest(self) -> Option<GRef> {
        self.pop_backlog().or_else(|| self.pop_arrival())
    }

    /// Takes the first goroutine of the backlog.
    #[inline]
    pub(crate) fn pop_backlog(&self) -> Option<GRef> {
        self.owned().backlog.pop()
    }

    /// Takes the first goroutine of the arrivals.
    pub(crate) fn pop_arrival(&self) -> Option<GRef> {
        self.owned().arrivals.pop()
    }

    pub(crate) fn has_arrivals(&self) -> bool {
        !self.owned().arrivals.is_empty()
    }

    /// Returns the local queue, for a batch of stolen goroutines.
    pub(crate) fn queue_for_steal(&self) -> &Worker<GRef> {
        &self.owned().queue
    }

    /// Returns `true` if goroutines other than arrivals wait, in the queues or in the runnext slot.
    #[inline]
    pub(crate) fn has_others(&self) -> bool {
        let Owned { queue, backlog, .. } = self.owned();
        let empty = queue.is_empty() && backlog.is_empty() && self.runnext().is_empty() && self.prefetched().is_empty();
        !empty
    }

    /// Returns `true` if the P has runnable goroutines.
    ///
    /// This is [`has_work`](P::has_work) without the fence that other threads need.
    #[inline]
    pub(crate) fn has_own_work(&self) -> bool {
        self.has_others() || self.has_arrivals()
    }

    /// Counts a dispatch.
    ///
    /// `inherit` says that it continues the time slice of the previous dispatch.
    #[inline]
    pub(crate) fn count_dispatch(&self, inherit: bool) {
        // Only the owner writes these, so no read-modify-write is needed.
        let bump =
            |counter: &AtomicU32| counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        bump(&self.shared.dispatches);
        if !inherit {
            bump(&self.shared.slices);
        }
    }

    /// Counts a spawn.
    #[inline]
    pub(crate) fn count_spawned(&self) {
        self.shared.spawned.store(self.shared.spawned.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts the end of a goroutine.
    #[inline]
    pub(crate) fn count_ended(&self) {
        // ORDERING P2 of `p`: release pairs with the acquire in `P::ended`.
        self.shared.ended.store(self.shared.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Notes that the owner has attended to `flag`.
    pub(crate) fn lower(&self, flag: OwnerFlags) {
        self.p.lower(flag);
    }

    /// Notes that the P was taken from `m`, and is to be returned to it.
    pub(crate) fn set_lender(&mut self, m: &'static M) {
        self.shared.lender.store(ptr::from_ref(m).cast_mut(), Ordering::Relaxed);
        self.raise(OwnerFlags::LENT);
        self.owned_mut().turns.restart_deferred();
    }

    /// Ends the loan of the P. Returns the M that it was taken from, if it was lent.
    pub(crate) fn take_lender(&self) -> Option<&'static M> {
        self.lower(OwnerFlags::LENT);
        // SAFETY: Ms are never freed.
        unsafe { self.shared.lender.swap(ptr::null_mut(), Ordering::Relaxed).as_ref() }
    }

    /// Returns `true` if a thief has taken the runnext of a busy goroutine since the last call.
    #[inline]
    pub(crate) fn was_runnext_stolen(&self) -> bool {
        self.shared.runnext_stolen.load(Ordering::Relaxed) && self.shared.runnext_stolen.swap(false, Ordering::Relaxed)
    }

    /// Returns `true` if the local queue is left to the owner because it is so short and quick.
    #[inline]
    pub(crate) fn is_queue_left_to_owner(&self) -> bool {
        self.shared.leave_to_owner.load(Ordering::Relaxed) && self.owned().queue.len() < ALWAYS_STEAL_LEN
    }

    /// Fires the timers of `of` that are due at `now`: their goroutines become runnable on the
    /// token's P. Returns `true` if any was due.
    #[inline]
    pub(crate) fn fire_timers_of(&mut self, of: &P, now: u64) -> bool {
        // SAFETY: the functions of timers expect what `from_context` takes.
        unsafe { of.timers.run_due(now, ptr::from_mut(self).cast()) }
    }

    /// Fires the P's own timers that are due at `now`.
    #[inline(never)]
    pub(crate) fn fire_own_timers(mut self, now: u64) {
        let p = self.p;
        self.fire_timers_of(p, now);
    }

    /// Returns the token that a timer's function was called with.
    ///
    /// # Safety
    /// `context` is the second argument of a [`Fire`](crate::time::p_timers::Fire) that is being
    /// called, and the result is dropped before that call returns.
    #[inline]
    pub(crate) unsafe fn from_context<'b>(context: *mut ()) -> &'b mut Self {
        // SAFETY: `fire_timers_of`, the only caller, passes its token, and does not use it until
        // `fire` has returned.
        unsafe { &mut *context.cast::<Self>() }
    }
}

impl Owned {
    pub(super) fn new(id: u32, [arrivals, queue, backlog]: [Worker<GRef>; 3]) -> Self {
        Self {
            arrivals,
            queue,
            backlog,
            blocks: BlockCache::new(),
            stacks: StackCache::new(),
            pace: DispatchPace::new(),
            turns: Turns::new(),
            next_id: 0,
            last_id: 0,
            random: Generator::for_p(id),
        }
    }

    /// Returns a fresh goroutine id.
    #[inline]
    pub(crate) fn next_id(&mut self, source: &AtomicU64) -> u64 {
        if self.next_id == self.last_id {
            self.next_id = source.fetch_add(ID_BATCH, Ordering::Relaxed);
            self.last_id = self.next_id + ID_BATCH;
        }
        self.next_id += 1;
        self.next_id - 1
    }
}
