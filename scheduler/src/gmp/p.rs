//! P: the right to run goroutines, and what comes with it.
//!
//! # Who may touch what
//! | field | written by | read by |
//! | --- | --- | --- |
//! | `queue`, `backlog`, `arrivals`, `own` | the M that has the P | the same |
//! | `stealers` | thieves (take) | anybody |
//! | `runnext`, `ahead` | the M that has the P fills them; anybody empties them | anybody |
//! | ticks, hints | the M that has the P | sysmon, thieves |
//! | `signs` | the M that has the P; the monitor | the same |
//! | `lender` | who takes the P, and who has it | whoever has it |
//! | `timers` | anybody, under its lock | anybody |
//!
//! # Three queues
//! The *local queue* is served in order. A goroutine that is spawned while it is long goes to the *backlog* instead, which is
//! served when the local queue is empty, and now and then before. So one that has run already and is woken, by a timer say, has
//! [`LONG`] others before it at most, however many were just spawned. (Go moves what is too much to the global queue.) What
//! is woken is never put off like this: the local queue is as long as it has to be.
//!
//! What has waited for something outside (I/O, a timer) goes to the *arrivals* if others are in the local queue, which
//! may compute for milliseconds each. The arrivals are served first, but for every second look around ([`crate::sched::turns`])
//! if they do not end.
//!
//! "Has the P" is a right that can be taken away between two scheduler entries ([`crate::protocol::lease`]): inside of
//! an entry it is certain, outside of one nobody may touch the owner's fields.
//!
//! # Invariants
//! * I1: Ps are never freed, only retired: an M that was away for long may still look at its old one.
//! * I2: `queue`, `backlog`, `arrivals` and `own` are reached only through [`P::own`] and the queue methods here, by the M that has
//!   the P and is inside.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crossbeam_deque::{Stealer, Worker};
use crossbeam_utils::CachePadded;

use super::M;
use super::{G, GRef};
use crate::gmp::block::BlockCache;
use crate::machine::stack::StackCache;
use crate::sched::turns::Turns;
use crate::sched::wake_policy::Pace;
use crate::time::timers::Timers;

/// How long the local queue must be for the goroutine after the next one to be worth loading early. It also keeps work
/// in sight: while one is on its way from the queue to its slot, a stranger still sees the queue.
const LOOK_AHEAD: usize = 8;

/// How long the local queue may get by goroutines that have never run (the length of Go's). Each of these may take a page fault.
const LONG: usize = 256;

/// How long a queue must be to be worth a thief, however quick it is.
pub(crate) const MANY: usize = 16;

/// Goroutine ids that a P takes at once, so that spawns do not meet at one counter.
const ID_BATCH: u64 = 64;

/// What only the M that has the P touches.
pub(crate) struct Own {
    pub(crate) blocks: BlockCache,
    pub(crate) stacks: StackCache,
    pub(crate) pace: Pace,
    pub(crate) turns: Turns,
    next_id: u64,
    last_id: u64,
    random: u64,
}

/// What the owner is to see to before it runs the next goroutine; several at once. None of them is most of the time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs(u8);

impl Signs {
    /// The chain through runnext has run for a whole time slice: the others get a turn.
    pub(crate) const DEMOTE: Self = Self(1);
    /// It is time to look around: for I/O, and into the global queue.
    pub(crate) const LOOK: Self = Self(2);
    /// There are arrivals, here or in the global queue.
    pub(crate) const ARRIVALS: Self = Self(4);
    /// The P is lent.
    pub(crate) const LENT: Self = Self(8);

    pub(crate) fn any(self) -> bool {
        self.0 != 0
    }

    pub(crate) fn has(self, sign: Self) -> bool {
        self.0 & sign.0 != 0
    }
}

/// One P.
pub(crate) struct P {
    pub(crate) id: u32,
    queue: UnsafeCell<Worker<GRef>>,
    backlog: UnsafeCell<Worker<GRef>>,
    arrivals: UnsafeCell<Worker<GRef>>,
    own: UnsafeCell<Own>,
    /// Of the arrivals, the local queue, and the backlog.
    pub(crate) stealers: [Stealer<GRef>; 3],
    shared: CachePadded<Shared>,
    pub(crate) timers: Timers,
}

/// A place for one goroutine, which its owner fills and anybody may empty.
#[derive(Default)]
pub(crate) struct Slot(AtomicPtr<G>);

/// What others look at.
struct Shared {
    runnext: Slot,
    ahead: Slot,
    m: AtomicPtr<M>,
    /// Time slices begun: dispatches that did not inherit the slice of the one before.
    slices: AtomicU32,
    /// Dispatches in all: how sysmon sees whether the M comes back to the scheduler.
    dispatches: AtomicU32,
    /// Goroutines spawned and ended here, whose difference over all Ps is the number alive.
    spawned: AtomicU64,
    ended: AtomicU64,
    retired: AtomicBool,
    /// The dispatches when the P was last given back.
    returned: AtomicU32,
    signs: AtomicU8,
    /// The M that the P was taken from, to be given back to it.
    lender: AtomicPtr<M>,
    /// A thief has taken the runnext beside a goroutine that went on.
    robbed: AtomicBool,
    /// Those in the queue have their turn sooner than another M would come for them.
    swift: AtomicBool,
}

// SAFETY: I2 guards the cells; everything else is atomic or locked.
unsafe impl Sync for P {}
// SAFETY: a P is used by one M after the other.
unsafe impl Send for P {}

impl P {
    pub(crate) fn new(id: u32) -> Self {
        let [arrivals, queue, backlog] = [(); 3].map(|()| Worker::new_fifo());
        Self {
            id,
            stealers: [arrivals.stealer(), queue.stealer(), backlog.stealer()],
            queue: UnsafeCell::new(queue),
            backlog: UnsafeCell::new(backlog),
            arrivals: UnsafeCell::new(arrivals),
            own: UnsafeCell::new(Own {
                blocks: BlockCache::new(),
                stacks: StackCache::new(),
                pace: Pace::new(),
                turns: Turns::new(),
                next_id: 0,
                last_id: 0,
                random: 0x9e37_79b9_7f4a_7c15 ^ (u64::from(id) << 17 | 1),
            }),
            shared: CachePadded::new(Shared {
                runnext: Slot::default(),
                ahead: Slot::default(),
                m: AtomicPtr::new(ptr::null_mut()),
                slices: AtomicU32::new(0),
                dispatches: AtomicU32::new(0),
                spawned: AtomicU64::new(0),
                ended: AtomicU64::new(0),
                retired: AtomicBool::new(false),
                returned: AtomicU32::new(u32::MAX),
                signs: AtomicU8::new(0),
                lender: AtomicPtr::new(ptr::null_mut()),
                robbed: AtomicBool::new(false),
                swift: AtomicBool::new(false),
            }),
            timers: Timers::new(),
        }
    }

    /// The owner's part.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2), and holds no other reference from here.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "exclusive by I2, not by the borrow checker")]
    pub(crate) unsafe fn own(&self) -> &mut Own {
        // SAFETY: the caller's contract.
        unsafe { &mut *self.own.get() }
    }

    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    unsafe fn queue(&self) -> &Worker<GRef> {
        // SAFETY: the caller's contract; the worker is only ever reached by shared reference.
        unsafe { &*self.queue.get() }
    }

    /// Appends to the local queue.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2), and owns `g`.
    #[inline]
    pub(crate) unsafe fn push(&self, g: GRef) {
        // SAFETY: the caller's contract.
        unsafe { self.queue() }.push(g);
    }

    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    unsafe fn backlog(&self) -> &Worker<GRef> {
        // SAFETY: the caller's contract; the worker is only ever reached by shared reference.
        unsafe { &*self.backlog.get() }
    }

    /// Appends one that has never run to the local queue, or to the backlog.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    #[inline]
    pub(crate) unsafe fn push_fresh(&self, g: GRef) {
        // SAFETY: the caller's contract.
        let (queue, backlog) = unsafe { (self.queue(), self.backlog()) };
        if queue.len() < LONG { queue.push(g) } else { backlog.push(g) }
    }

    /// Takes the oldest of the backlog.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    pub(crate) unsafe fn pop_backlog(&self) -> Option<GRef> {
        // SAFETY: the caller's contract.
        unsafe { self.backlog() }.pop()
    }

    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    unsafe fn arrivals(&self) -> &Worker<GRef> {
        // SAFETY: the caller's contract; the worker is only ever reached by shared reference.
        unsafe { &*self.arrivals.get() }
    }

    /// Appends one that has waited for something outside to the arrivals.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn push_arrival(&self, g: GRef) {
        // SAFETY: the caller's contract.
        unsafe { self.arrivals() }.push(g);
        if !self.signs().has(Signs::ARRIVALS) {
            self.raise(Signs::ARRIVALS);
        }
    }

    /// Takes the oldest of the arrivals.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    pub(crate) unsafe fn pop_arrival(&self) -> Option<GRef> {
        // SAFETY: the caller's contract.
        unsafe { self.arrivals() }.pop()
    }

    /// Whether there are arrivals.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    pub(crate) unsafe fn has_arrivals(&self) -> bool {
        // SAFETY: the caller's contract.
        !unsafe { self.arrivals() }.is_empty()
    }

    /// Takes the oldest of the local queue, else of the backlog, else of the arrivals. Begins to load the one after it if there are many:
    /// with a hundred thousand goroutines, waiting for memory is most of what a dispatch costs.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    pub(crate) unsafe fn pop(&self) -> Option<GRef> {
        // SAFETY: the caller's contract.
        let queue = unsafe { self.queue() };
        let Some(g) = self.shared.ahead.take().or_else(|| queue.pop()) else {
            // SAFETY: the caller's contract.
            return unsafe { self.pop_rest() };
        };
        // One that has never run touches nothing but its header, which was written not long ago.
        if !g.stack.get().is_null()
            && queue.len() >= LOOK_AHEAD
            && let Some(next) = queue.pop()
        {
            next.prefetch();
            // SAFETY: the caller's contract.
            let filled = unsafe { self.shared.ahead.fill(next) };
            debug_assert!(filled, "p: only the owner fills the slot, and it was empty");
        }
        Some(g)
    }

    /// As [`pop`](Self::pop), without the local queue. By itself, so that the way with it stays short.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline(never)]
    unsafe fn pop_rest(&self) -> Option<GRef> {
        // SAFETY: the caller's contract.
        unsafe { self.pop_backlog().or_else(|| self.pop_arrival()) }
    }

    /// The local queue as the place that a batch of stolen goroutines goes to.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    pub(crate) unsafe fn queue_for_steal(&self) -> &Worker<GRef> {
        // SAFETY: the caller's contract.
        unsafe { self.queue() }
    }

    /// The goroutine that is to run next, in the time slice of the one that runs (Go's runnext).
    #[inline]
    pub(crate) fn runnext(&self) -> &Slot {
        &self.shared.runnext
    }

    /// The oldest of the local queue, taken out of it to be loaded into the cache.
    #[inline]
    pub(crate) fn ahead(&self) -> &Slot {
        &self.shared.ahead
    }

    /// Whether the queues have anything that another M should come for. runnext does not count: see [`crate::wait::ready`].
    pub(crate) fn wants_thief(&self) -> bool {
        self.has_queued() && !self.is_swift()
    }

    /// Whether the queues have anything, for those who do not own them. runnext does not count.
    pub(crate) fn has_queued(&self) -> bool {
        !self.shared.ahead.peek().is_null() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }

    /// How many goroutines are in the queues.
    pub(crate) fn queued(&self) -> usize {
        self.stealers.iter().map(Stealer::len).sum()
    }

    /// Whether the P has runnable goroutines, runnext included.
    pub(crate) fn has_work(&self) -> bool {
        !self.shared.runnext.peek().is_null() || self.has_queued()
    }

    /// Whether anybody waits in the queues but for the arrivals, or in runnext.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    pub(crate) unsafe fn has_others(&self) -> bool {
        // SAFETY: the caller's contract.
        let empty = unsafe { self.queue().is_empty() && self.backlog().is_empty() };
        !empty || !self.shared.runnext.peek().is_null() || !self.shared.ahead.peek().is_null()
    }

    /// As [`has_work`](Self::has_work), for the owner: without the fence that a stranger needs.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    pub(crate) unsafe fn has_own_work(&self) -> bool {
        // SAFETY: the caller's contract.
        unsafe { self.has_others() || self.has_arrivals() }
    }

    pub(crate) fn m(&self) -> *mut M {
        self.shared.m.load(Ordering::Acquire)
    }

    pub(crate) fn set_m(&self, m: *mut M) {
        self.shared.m.store(m, Ordering::Release);
    }

    /// Counts a dispatch; `inherit` says that it goes on in the time slice of the one before.
    #[inline]
    pub(crate) fn tick(&self, inherit: bool) {
        let bump =
            |counter: &AtomicU32| counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        bump(&self.shared.dispatches);
        if !inherit {
            bump(&self.shared.slices);
        }
    }

    #[inline]
    pub(crate) fn slices(&self) -> u32 {
        self.shared.slices.load(Ordering::Relaxed)
    }

    pub(crate) fn dispatches(&self) -> u32 {
        self.shared.dispatches.load(Ordering::Relaxed)
    }

    /// Counts a spawn. Only the owner does, so no read-modify-write.
    #[inline]
    pub(crate) fn count_spawned(&self) {
        self.shared.spawned.store(self.shared.spawned.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts an end, as [`count_spawned`](Self::count_spawned).
    #[inline]
    pub(crate) fn count_ended(&self) {
        // ORDERING P2: release pairs with the acquire in `Sched::alive`.
        self.shared.ended.store(self.shared.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// How many goroutines have ended on this P.
    pub(crate) fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// How many goroutines were spawned on this P.
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

    /// What the owner is to see to.
    #[inline]
    pub(crate) fn signs(&self) -> Signs {
        Signs(self.shared.signs.load(Ordering::Relaxed))
    }

    /// Has the owner see to `sign` before it runs the next goroutine.
    pub(crate) fn raise(&self, sign: Signs) {
        self.shared.signs.fetch_or(sign.0, Ordering::Relaxed);
    }

    /// Owner: `sign` was seen to.
    pub(crate) fn lower(&self, sign: Signs) {
        self.shared.signs.fetch_and(!sign.0, Ordering::Relaxed);
    }

    /// The P was taken from `m`, to be given back to it.
    ///
    /// # Safety
    /// Nobody has this P but the caller, who stands for an M that has it and is inside (I2).
    pub(crate) unsafe fn set_lender(&self, m: &'static M) {
        self.shared.lender.store(ptr::from_ref(m).cast_mut(), Ordering::Relaxed);
        self.raise(Signs::LENT);
        // SAFETY: the caller's contract.
        unsafe { self.own() }.turns.restart_late();
    }

    /// Owner: the loan ends. The M that it was taken from, if it was lent.
    pub(crate) fn take_lender(&self) -> Option<&'static M> {
        self.lower(Signs::LENT);
        // SAFETY: Ms are never freed.
        unsafe { self.shared.lender.swap(ptr::null_mut(), Ordering::Relaxed).as_ref() }
    }

    /// The P is given back to the M that runs the same goroutine as before the loan.
    pub(crate) fn note_returned(&self) {
        self.shared.returned.store(self.dispatches(), Ordering::Relaxed);
    }

    /// Whether nothing has run since it was given back.
    pub(crate) fn is_returned(&self) -> bool {
        self.shared.returned.load(Ordering::Relaxed) == self.dispatches()
    }

    /// Thief: the goroutine that runs here keeps busy after it has woken another.
    pub(crate) fn note_robbed(&self) {
        self.shared.robbed.store(true, Ordering::Relaxed);
    }

    /// Whether a thief has said so since the last call.
    #[inline]
    pub(crate) fn was_robbed(&self) -> bool {
        self.shared.robbed.load(Ordering::Relaxed) && self.shared.robbed.swap(false, Ordering::Relaxed)
    }

    /// A searcher has seen that who waits in the queue has its turn soon; or the monitor, that this is no longer certain.
    pub(crate) fn set_swift(&self, swift: bool) {
        if self.shared.swift.load(Ordering::Relaxed) != swift {
            self.shared.swift.store(swift, Ordering::Relaxed);
        }
    }

    /// Whether the queues are short and quick enough to be left to the M that has the P.
    fn is_swift(&self) -> bool {
        self.shared.swift.load(Ordering::Relaxed) && self.queued() < MANY
    }

    /// As above of the local queue, for the owner: without the fence that a stranger needs.
    ///
    /// # Safety
    /// The caller's M has this P and is inside (I2).
    #[inline]
    pub(crate) unsafe fn is_own_queue_swift(&self) -> bool {
        // SAFETY: the caller's contract.
        self.shared.swift.load(Ordering::Relaxed) && unsafe { self.queue() }.len() < MANY
    }
}

impl Slot {
    /// What is there now, left there. It may be anybody's by the time the caller looks at it.
    #[inline]
    pub(crate) fn peek(&self) -> *mut G {
        self.0.load(Ordering::Relaxed)
    }

    /// Puts `g` into the slot; false if it is taken.
    ///
    /// # Safety
    /// The caller's M has the P that the slot belongs to and is inside (I2), and owns `g`.
    #[inline]
    pub(crate) unsafe fn fill(&self, g: GRef) -> bool {
        // Only the owner fills the slot, so null stays null until it does: a plain store is enough.
        let empty = self.peek().is_null();
        if empty {
            // ORDERING P1: release publishes the goroutine; pairs with `take` and `steal`.
            self.0.store(g.as_ptr(), Ordering::Release);
        }
        empty
    }

    /// Empties the slot.
    #[inline]
    pub(crate) fn take(&self) -> Option<GRef> {
        if self.peek().is_null() {
            return None;
        }
        // ORDERING P1: acquire pairs with `fill`.
        let g = self.0.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: what `fill` left there, taken by this swap alone.
        unsafe { GRef::from_ptr(g) }
    }

    /// Empties the slot if `expected` is still there.
    pub(crate) fn steal(&self, expected: *mut G) -> Option<GRef> {
        // ORDERING P1: acquire pairs with `fill`.
        let taken = self.0.compare_exchange(expected, ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed).is_ok();
        // SAFETY: what `fill` left there, taken by this exchange alone.
        if taken { unsafe { GRef::from_ptr(expected) } } else { None }
    }
}

impl Own {
    /// A fresh goroutine id.
    #[inline]
    pub(crate) fn next_id(&mut self, source: &AtomicU64) -> u64 {
        if self.next_id == self.last_id {
            self.next_id = source.fetch_add(ID_BATCH, Ordering::Relaxed);
            self.last_id = self.next_id + ID_BATCH;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// A pseudo-random number (xorshift), for the choice of a victim.
    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
