//! The sweep: returns pages that no goroutine needs anymore to the kernel.
//!
//! # Protocol
//! One thread calls [`sweep`] now and then. Rounds are [`INTERVAL`] apart. A round visits all
//! slots, in slices of about [`SLICE`] nanoseconds. Nothing is trimmed on a goroutine's own path,
//! because the kernel interrupts the other CPUs for each call (9.5 us). Instead, pages are dropped
//! in batches of up to 64 slots (0.7 us per slot, and 0.4 us for each page beyond the first).
//!
//! *Parked and free stacks alike.* Each slot has an age. Leaving a slot makes it `RAN`; a round
//! turns `RAN` into `AGED`, and the next round examines slots that are `AGED` and makes them
//! `QUIET`. At that point the stack has been left alone for at least one interval and at most two.
//! Once examined, a slot costs nothing until a goroutine runs on it again. An examination that
//! finds pages below the live ones drops them; a free stack keeps its top page.
//!
//! *Free stacks that were not needed* during an interval (see `pool`) also lose the top page.
//!
//! # Is there anything to drop?
//! Most goroutines never leave their top page, so "no" must be cheap. Measured on 10 240 slots of
//! 256 KiB with one page each (Linux 6.18, 2 CPUs, EPYC Zen 5, caches cold):
//!
//! | | ns for each slot | |
//! | --- | --- | --- |
//! | a canary in the lowest line of the top page | 35-50 | misses a frame that spans it unwritten |
//! | `PAGEMAP_SCAN`, 64 slots a call | 125-220 | exact |
//! | `PAGEMAP_SCAN`, a slot a call | 1000 | exact |
//! | `MADV_DONTNEED` at once, 64 slots a call, nothing there | 350-520 | |
//! | reading `/proc/self/pagemap`, 64 slots a call | 350-700 | exact |
//! | `mincore`, 64 slots a call | 640-1000 | exact |
//! | `MADV_DONTNEED`, 64 slots a call, 5 pages there | 2600-3500 | |
//!
//! So the canary is checked first. If it is damaged, the pages are dropped without a further check.
//! If it is intact, a sample of groups is scanned exactly: every group at first, and half as many
//! after each scan in which the canary turns out to have missed nothing, down to one group in
//! [`SPARSEST`]. After one miss (for example, a read buffer into which nothing was read), every
//! group is scanned again. Goroutines of one program are alike: if many go deep in a way that the
//! canary does not detect, the sample reveals it and nearly all are trimmed. A few such goroutines
//! among many shallow ones are **missed**: they keep their pages until they run again and are
//! sampled, or end. Slots over 16 MiB are few, and are trimmed without being examined.
//!
//! Even checking a canary costs one TLB miss and two cache misses. So beyond the first
//! [`ALWAYS_EXAMINED`] slots of a round, only one slot in [`SAMPLE_RATE`] is examined until one has
//! pages to drop. Then all further slots of this round are examined, and the slots that this round
//! has skipped are examined in the next round.
//!
//! In total, 10 000 shallow goroutines cost 0.35 ms once they have parked, and nothing until they
//! run again. 100 000 goroutines that used 6 pages cost 220 ms, in slices over 0.8 s. 10 000 free
//! stacks that lose their last page cost 8 ms.
//!
//! # Rejected
//! * Measuring at suspend how deep the goroutine has been: a cache miss on the hottest path.
//! * Trimming stacks immediately when they are given back: the next goroutine would fault the pages
//!   in again (1.3 us each, and up to ten times that for the first touch of fresh memory).
//! * A deadline for each slot: this would need a heap of a million entries, although nothing waits
//!   for the pages.
//!
//! # Idle processes
//! [`sweep`] returns `None` when a round found nothing left to age, examine, or drop, and need not
//! be called again until some goroutine has run. A process that has gone idle is swept two or three
//! more times, and then never again.
//!
//! # Ages and races
//! A slot's age is only a hint, and safety does not depend on it: `exclude` decides, and the saved
//! stack pointer is read while it runs. A suspend that happens between the sweeper's load and its
//! compare-and-swap wins, since the age is then `RAN`.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::Ordering;

use super::Class;
use super::arena::Arena;
use super::look::EXCLUDES;
use super::pool::{POOL, Pool};
use super::slot::{AGED, QUIET, RAN, SlotMeta, UNSEEN};
use crate::machine::sys::memory::{Residency, Span, drop_pages, page_size};
use crate::machine::sys::mutex::Mutex;
use crate::machine::sys::prefetch::prefetch;
use crate::protocol::occupancy::{BATCH, exclude};

/// The time from one round to the next, in nanoseconds.
///
/// A stack is trimmed one to two intervals after it was left, plus the time that the round takes.
pub(super) const INTERVAL: u64 = 1_000_000_000;
/// About how long one call to `sweep` works, and how long after its start it wants to be called
/// again if there is more to do, in nanoseconds.
const SLICE: u64 = 700_000;
const GAP: u64 = 2_000_000;

/// One group in this many is scanned exactly when nothing has been missed for a while.
const SPARSEST: u32 = 32;

/// A round always examines this many slots.
const ALWAYS_EXAMINED: u32 = 1024;
/// Beyond those slots it examines one in this many, until it finds pages to drop.
const SAMPLE_RATE: u32 = 8;

/// How many slots ahead of the slot being examined the sweep prefetches.
const LOOK_AHEAD: usize = 8;

/// Slots larger than this are not examined.
const EXAMINED: usize = 16 << 20;

// Costs in nanoseconds, as measured above. Only the length of a slice depends on them.
const COST_LOOK: u64 = 64;
const COST_CANARY: u64 = 50;
const COST_SCAN: u64 = 10_000;
const COST_TRIM: u64 = 3_000;

/// Drops the pages of the process's stacks that are due at `now_ns`, working for a fraction of a
/// millisecond.
///
/// Returns when it wants to be called again, or `None` if nothing is pending until some goroutine
/// runs. Only one thread may call it (sysmon).
pub(crate) fn sweep(now_ns: u64) -> Option<u64> {
    static SWEEPER: Mutex<Sweeper> = Mutex::new(Sweeper::new(&POOL));
    SWEEPER.lock().sweep(now_ns)
}

/// The current position in a round.
#[derive(Clone, Copy)]
enum Place {
    /// Between rounds.
    Idle,
    /// At the free list of this class.
    Class(usize),
    /// Dropping the bottom of this class's free list, up to `end`.
    Cold { class: Class, end: usize },
    /// At this slot of this arena, the pool's `index`th.
    Slot { arena: &'static Arena, index: usize, slot: usize },
}

/// The state of the sweep over one pool.
pub(super) struct Sweeper {
    pool: &'static Pool,
    place: Place,
    /// When the next round begins.
    due: u64,
    /// `true` if the next round will have something to do.
    pending: bool,
    sample: Sample,
    round: Round,
    batch: Vec<&'static SlotMeta>,
}

/// How thoroughly a round examines slots.
struct Round {
    looks: u32,
    /// `true` if a slot was skipped.
    skipped: bool,
    /// Every slot is examined, because some slots had pages to drop.
    thorough: bool,
}

impl Round {
    /// Returns the round after this one.
    ///
    /// Slots that were skipped are examined after all if any slot had something to drop.
    fn next(&self) -> Self {
        Self { looks: 0, skipped: false, thorough: self.thorough && self.skipped }
    }

    /// Returns `true` if a slot must be skipped.
    fn skips(&mut self) -> bool {
        self.looks += 1;
        let skips = !self.thorough && self.looks > ALWAYS_EXAMINED && !self.looks.is_multiple_of(SAMPLE_RATE);
        self.skipped |= skips;
        skips
    }
}

/// Which groups are scanned exactly.
struct Sample {
    every: u32,
    skipped: u32,
}

impl Sweeper {
    pub(super) const fn new(pool: &'static Pool) -> Self {
        Self {
            pool,
            place: Place::Idle,
            due: 0,
            pending: false,
            sample: Sample { every: 1, skipped: 0 },
            round: Round { looks: 0, skipped: false, thorough: false },
            batch: Vec::new(),
        }
    }

    pub(super) fn sweep(&mut self, now_ns: u64) -> Option<u64> {
        if let Place::Idle = self.place {
            if now_ns < self.due {
                return Some(self.due);
            }
            self.due = now_ns + INTERVAL;
            self.pending = false;
            self.round = self.round.next();
            self.place = Place::Class(0);
        }
        let mut residency = None;
        let mut spent = 0;
        while spent < SLICE {
            spent += match self.place {
                Place::Idle => break,
                Place::Class(class) => self.visit_class(class),
                Place::Cold { class, end } => self.visit_cold(class, end),
                Place::Slot { arena, index, slot } => self.visit_group(arena, index, slot, &mut residency),
            };
        }
        self.trim(false);
        match self.place {
            Place::Idle => (self.pending || self.round.next().thorough).then_some(self.due),
            _ => Some(now_ns + GAP),
        }
    }

    fn visit_class(&mut self, index: usize) -> u64 {
        self.place = match Class::nth(index) {
            Some(class) => Place::Cold { class, end: self.pool.close_interval(class) },
            None => self.at_arena(0),
        };
        0
    }

    fn visit_cold(&mut self, class: Class, end: usize) -> u64 {
        self.pool.next_cold(class, end, &mut self.batch, BATCH);
        if self.batch.is_empty() {
            self.pending |= self.pool.has_surplus(class);
            self.place = Place::Class(class.index() + 1);
            return COST_LOOK;
        }
        self.trim(true) * COST_TRIM
    }

    fn at_arena(&self, index: usize) -> Place {
        match self.pool.arenas().nth(index) {
            Some(arena) => Place::Slot { arena, index, slot: 0 },
            None => Place::Idle,
        }
    }

    fn visit_group(
        &mut self,
        arena: &'static Arena,
        index: usize,
        slot: usize,
        residency: &mut Option<Residency>,
    ) -> u64 {
        let group = slot..arena.carved().min(slot + arena.class().group());
        if group.is_empty() {
            self.place = self.at_arena(index + 1);
            return COST_LOOK;
        }
        self.place = Place::Slot { arena, index, slot: group.end };
        let (canaries, intact) = self.age_group(arena, group.clone());
        let mut cost = COST_LOOK + u64::from(canaries) * COST_CANARY;
        if intact != 0 && self.sample.is_due() {
            let residency = residency.get_or_insert_with(Residency::open);
            let missed = self.scan_group(arena, group, intact, residency);
            self.sample.note(missed);
            self.round.thorough |= missed;
            cost += COST_SCAN;
        }
        if self.batch.len() == BATCH {
            cost += self.trim(false) * COST_TRIM;
        }
        cost
    }

    /// Ages the slots of a group, and puts those that went deep into the batch.
    ///
    /// Returns how many canaries it checked, and a bit for each slot whose canary says that there
    /// is nothing to drop.
    fn age_group(&mut self, arena: &'static Arena, group: Range<usize>) -> (u32, u64) {
        let (mut canaries, mut intact) = (0, 0);
        for (i, age) in arena.ages(group.clone()).iter().enumerate() {
            match age.load(Ordering::Relaxed) {
                QUIET => continue,
                RAN => {
                    let _ = age.compare_exchange(RAN, AGED, Ordering::Relaxed, Ordering::Relaxed);
                    self.pending = true;
                    continue;
                }
                UNSEEN if !self.round.thorough => continue,
                AGED if self.round.skips() => {
                    let _ = age.compare_exchange(AGED, UNSEEN, Ordering::Relaxed, Ordering::Relaxed);
                    continue;
                }
                _ => {}
            }
            let left = age.swap(QUIET, Ordering::Relaxed) != RAN;
            if !left {
                // The stack was left a moment ago: start over.
                age.store(RAN, Ordering::Relaxed);
                self.pending = true;
            }
            let Some(meta) = arena.slot(group.start + i).filter(|meta| left && !meta.occupancy().is_entered()) else {
                // A thread runs on the slot, which will be `RAN` again when it is left.
                continue;
            };
            canaries += 1;
            self.look_ahead(arena, group.start + i + LOOK_AHEAD, group.end);
            if arena.class().reservation() <= EXAMINED && meta.canary_intact() {
                intact |= 1 << i;
            } else {
                self.round.thorough = true;
                self.add(meta);
            }
        }
        (canaries, intact)
    }

    /// Prefetches what the examination of a later slot will touch: nearly all of its cost is
    /// waiting for these two lines.
    fn look_ahead(&self, arena: &'static Arena, slot: usize, end: usize) {
        if slot < end
            && let Some(meta) = arena.slot(slot)
        {
            prefetch(ptr::from_ref(meta).addr());
            prefetch(arena.addresses(slot..slot + 1).end - page_size());
        }
    }

    /// Adds to the batch those `intact` slots of a group that have pages below the top page.
    ///
    /// Returns `true` if there were any.
    fn scan_group(&mut self, arena: &'static Arena, group: Range<usize>, intact: u64, residency: &Residency) -> bool {
        let scan = if arena.has_holes() { scan_one_by_one } else { scan_at_once };
        let deep = scan(arena, &group, intact, residency);
        for i in (0..64).filter(|i| deep >> i & 1 == 1) {
            if let Some(meta) = arena.slot(group.start + i) {
                self.add(meta);
            }
        }
        deep != 0
    }

    pub(super) fn add(&mut self, meta: &'static SlotMeta) {
        if self.batch.len() == BATCH {
            self.trim(false);
        }
        self.batch.push(meta);
    }

    /// Drops the dead pages of the batch, and empties it.
    ///
    /// With `whole`, free slots lose all their pages, and need not be examined again. Returns the
    /// number of slots from which pages were dropped.
    pub(super) fn trim(&mut self, whole: bool) -> u64 {
        if self.batch.is_empty() {
            return 0;
        }
        let batch = &self.batch;
        let turn = EXCLUDES.lock();
        let trimmed = exclude(batch.iter().map(|meta| meta.occupancy()), |vacant| {
            let mut spans = [Span::EMPTY; BATCH];
            let mut count = 0;
            let vacant = || batch.iter().enumerate().filter(|(i, _)| vacant >> i & 1 == 1).map(|(_, meta)| *meta);
            for span in vacant().map(|meta| meta.dead_pages(whole)).filter(|span| !span.is_empty()) {
                spans[count] = span;
                count += 1;
            }
            // SAFETY: I3 of `stack`: the slots are vacant and stay so until this closure ends, and
            // these pages are dead.
            unsafe { drop_pages(&spans[..count]) };
            vacant().for_each(|meta| meta.note_trim(whole));
            count as u64
        });
        drop(turn);
        self.pool.trims.fetch_add(trimmed, Ordering::Relaxed);
        self.batch.clear();
        trimmed
    }
}

/// Returns a bit for each of the `intact` slots of a group that has pages below the top page.
fn scan_at_once(arena: &'static Arena, group: &Range<usize>, intact: u64, residency: &Residency) -> u64 {
    let (first, last) = (intact.trailing_zeros() as usize, 63 - intact.leading_zeros() as usize);
    let range = arena.addresses(group.start + first..group.start + last + 1);
    let mut deep = 0u64;
    residency.scan(range.clone(), &mut |run| {
        // A run may cover several slots if nothing more precise is known.
        let slots = (run.start - range.start) / arena.class().reservation()
            ..(run.end - range.start - 1) / arena.class().reservation() + 1;
        for i in slots.map(|slot| first + slot).filter(|i| intact >> i & 1 == 1) {
            let below = |meta: &SlotMeta| run.start < meta.top_page() && run.end > meta.low();
            if arena.slot(group.start + i).is_some_and(below) {
                deep |= 1 << i;
            }
        }
    });
    deep
}

/// Does the same slot by slot: `mincore` answers only for ranges without unmapped pages.
fn scan_one_by_one(arena: &'static Arena, group: &Range<usize>, intact: u64, residency: &Residency) -> u64 {
    let mut deep = 0u64;
    for i in (0..64).filter(|i| intact >> i & 1 == 1) {
        if let Some(meta) = arena.slot(group.start + i) {
            residency.scan(meta.low()..meta.top_page(), &mut |_| deep |= 1 << i);
        }
    }
    deep
}

impl Sample {
    fn is_due(&mut self) -> bool {
        self.skipped += 1;
        let due = self.skipped >= self.every;
        if due {
            self.skipped = 0;
        }
        due
    }

    fn note(&mut self, missed: bool) {
        self.every = if missed { 1 } else { (self.every * 2).min(SPARSEST) };
    }
}
