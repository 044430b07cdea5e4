//! The sweep: gives pages that no goroutine needs any more back to the kernel.
//!
//! # Protocol
//! One thread calls [`sweep`] now and then. Rounds are [`INTERVAL`] apart; a round goes over all slots, in slices of
//! about [`SLICE`] nanoseconds. Nothing is trimmed on a goroutine's own path: the kernel interrupts the other CPUs for
//! each call (9.5 us), so pages go in batches of up to 64 slots (0.7 us each, and 0.4 us for each page beyond the
//! first).
//!
//! *Parked and free stacks alike.* Each slot has an age. Leaving a slot makes it `RAN`; a round makes `RAN` to `AGED`,
//! and the next round examines what is `AGED` and makes it `QUIET`: by then the stack was left alone for at least one
//! interval, two at most. Examined once, a slot costs nothing until somebody runs on it again. An examination that
//! finds pages below the live ones in use drops these; a free stack keeps its top page.
//!
//! *Free stacks that nobody needed* during an interval (see `pool`) lose the top page too.
//!
//! # Is there anything to drop?
//! Most goroutines never leave their top page, so "no" must be cheap. Measured on 10 240 slots of 256 KiB with one page
//! each (Linux 6.18, 2 CPUs, EPYC Zen 5, caches cold):
//!
//! | | ns for each slot | |
//! | --- | --- | --- |
//! | a canary in the lowest line of the top page | 35-50 | misses a frame that spans the line without writing to it |
//! | `PAGEMAP_SCAN`, 64 slots a call | 125-220 | exact |
//! | `PAGEMAP_SCAN`, a slot a call | 1000 | exact |
//! | `MADV_DONTNEED` at once, 64 slots a call, nothing there | 350-520 | |
//! | reading `/proc/self/pagemap`, 64 slots a call | 350-700 | exact |
//! | `mincore`, 64 slots a call | 640-1000 | exact |
//! | `MADV_DONTNEED`, 64 slots a call, 5 pages there | 2600-3500 | |
//!
//! So the canary is looked at first; where it is damaged, the pages are dropped without asking further. Where it is
//! intact, a sample of groups is scanned exactly: every group at first, and half as many after each scan that finds
//! nothing that the canary missed, down to one group in [`SPARSEST`]. One miss (think of a read buffer
//! that nothing was read into) brings back the scan of every group. Goroutines of one program are alike: if many go
//! deep in a way that the canary does not see, the sample finds out and nearly all are trimmed. **Missed** are a few
//! such goroutines among many that are shallow: they keep their pages until they run again and are sampled, or end.
//! Slots over 16 MiB are few, and are trimmed without being examined.
//!
//! Even a canary costs a miss of the TLB and two of the cache. So beyond the first [`ALL`] slots of a round only one in
//! [`ONE_IN`] is looked at, until one has pages to drop; then all are, in this round, and in the next one what this one
//! has passed over.
//!
//! In all, 10 000 shallow goroutines cost 0.35 ms once they have parked, and nothing until they run again. 100 000 that
//! used 6 pages cost 220 ms, in slices over 0.8 s; 10 000 free stacks that give up their last page 8 ms.
//!
//! Rejected:
//! * measuring at suspend how deep the goroutine has been: a cache miss on the hottest path;
//! * trimming what is given back at once: the next goroutine would fault the pages in again (1.3 us each, and the first
//!   touch of fresh memory up to ten times that);
//! * a deadline for each slot: a heap of a million entries, for pages that nobody waits for.
//!
//! # Idle processes
//! [`sweep`] says `None` when a round found nothing left to age, examine or give back, and need not be called again
//! until some goroutine has run. So a process that has fallen asleep is visited two or three times more, and then
//! never.
//!
//! # Ages and races
//! A slot's age is a hint that nothing unsafe follows from: `exclude` decides, and the saved stack pointer is read
//! under it. A suspend that comes between the sweeper's look and its compare-and-swap wins, since the age is then
//! `RAN`.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::Class;
use super::arena::Arena;
use super::look::EXCLUDES;
use super::pool::{POOL, Pool};
use super::slot::{AGED, QUIET, RAN, SlotMeta, UNSEEN};
use crate::machine::sys::memory::{Residency, Span, drop_pages, page_size};
use crate::machine::sys::prefetch::prefetch;
use crate::protocol::occupancy::{BATCH, exclude};

/// From one round to the next. A stack is trimmed one to two of these after it was left, and the time the round takes.
pub(super) const INTERVAL: u64 = 1_000_000_000;
/// About how long one call works, and how long after its start it wants to be called again if there is more to do.
const SLICE: u64 = 700_000;
const GAP: u64 = 2_000_000;

/// One group in this many is scanned exactly when nothing has been missed for a while.
const SPARSEST: u32 = 32;

/// Up to so many slots a round looks at all, and from there on at one in so many, until it finds pages to drop.
const ALL: u32 = 1024;
const ONE_IN: u32 = 8;

/// How many slots ahead of the one that is looked at the next ones are loaded.
const LOOK_AHEAD: usize = 8;

/// Slots larger than this are not examined.
const EXAMINED: usize = 16 << 20;

// What things cost, in nanoseconds, as measured above. Only the length of a slice depends on it.
const COST_LOOK: u64 = 64;
const COST_CANARY: u64 = 50;
const COST_SCAN: u64 = 10_000;
const COST_TRIM: u64 = 3_000;

/// Gives back what is due at `now_ns` of the process's stacks, for a fraction of a millisecond; says when it wants to
/// be called again. `None`: nothing is pending, until some goroutine runs. For one monitor thread.
pub(crate) fn sweep(now_ns: u64) -> Option<u64> {
    static SWEEPER: Mutex<Sweeper> = Mutex::new(Sweeper::new(&POOL));
    SWEEPER.lock().unwrap_or_else(PoisonError::into_inner).sweep(now_ns)
}

/// Where a round stands.
#[derive(Clone, Copy)]
enum Place {
    /// Between rounds.
    Resting,
    /// At the free list of this class.
    Class(usize),
    /// Giving back the bottom of this class's free list, up to `end`.
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
    /// Whether the next round will have something to do.
    pending: bool,
    sample: Sample,
    round: Round,
    batch: Vec<&'static SlotMeta>,
}

/// How closely a round looks.
struct Round {
    looks: u32,
    /// A slot was passed over.
    skipped: bool,
    /// Every slot is looked at: some had pages to drop.
    thorough: bool,
}

impl Round {
    /// The round after this one. What was passed over is looked at after all if any slot had something to drop.
    fn next(&self) -> Self {
        Self { looks: 0, skipped: false, thorough: self.thorough && self.skipped }
    }

    /// Whether a slot is to be passed over.
    fn skips(&mut self) -> bool {
        self.looks += 1;
        let skips = !self.thorough && self.looks > ALL && !self.looks.is_multiple_of(ONE_IN);
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
            place: Place::Resting,
            due: 0,
            pending: false,
            sample: Sample { every: 1, skipped: 0 },
            round: Round { looks: 0, skipped: false, thorough: false },
            batch: Vec::new(),
        }
    }

    pub(super) fn sweep(&mut self, now_ns: u64) -> Option<u64> {
        if let Place::Resting = self.place {
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
                Place::Resting => break,
                Place::Class(class) => self.visit_class(class),
                Place::Cold { class, end } => self.visit_cold(class, end),
                Place::Slot { arena, index, slot } => self.visit_group(arena, index, slot, &mut residency),
            };
        }
        self.trim(false);
        match self.place {
            Place::Resting => (self.pending || self.round.next().thorough).then_some(self.due),
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
            None => Place::Resting,
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

    /// Ages the slots of a group, and puts those that went deep into the batch. Returns how many canaries it looked at,
    /// and a bit for each slot whose canary says that there is nothing to drop.
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
                // Left a moment ago: from the start.
                age.store(RAN, Ordering::Relaxed);
                self.pending = true;
            }
            let Some(meta) = arena.slot(group.start + i).filter(|meta| left && !meta.occupancy().is_entered()) else {
                // It runs, and will be `RAN` again when it is left.
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

    /// Begins to load what the look at a later slot will touch: nearly all of its cost is waiting for these two lines.
    fn look_ahead(&self, arena: &'static Arena, slot: usize, end: usize) {
        if slot < end
            && let Some(meta) = arena.slot(slot)
        {
            prefetch(ptr::from_ref(meta).addr());
            prefetch(arena.addresses(slot..slot + 1).end - page_size());
        }
    }

    /// Puts those of the `intact` slots of a group into the batch that have pages below the top page; says whether
    /// there were any.
    fn scan_group(&mut self, arena: &'static Arena, group: Range<usize>, intact: u64, residency: &Residency) -> bool {
        let (first, last) = (intact.trailing_zeros() as usize, 63 - intact.leading_zeros() as usize);
        let range = arena.addresses(group.start + first..group.start + last + 1);
        let mut deep = 0u64;
        residency.scan(range.clone(), &mut |run| {
            // A run may cover several slots where nothing better is known.
            let slots = (run.start - range.start) >> arena.class().shift()
                ..((run.end - range.start - 1) >> arena.class().shift()) + 1;
            for i in slots.map(|slot| first + slot).filter(|i| intact >> i & 1 == 1) {
                let below = |meta: &SlotMeta| run.start < meta.top_page() && run.end > meta.low();
                if arena.slot(group.start + i).is_some_and(below) {
                    deep |= 1 << i;
                }
            }
        });
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

    /// Drops the dead pages of the batch, and empties it. `whole`: of free slots all of them, and these need not be
    /// examined again. Returns how many slots were dropped from.
    pub(super) fn trim(&mut self, whole: bool) -> u64 {
        if self.batch.is_empty() {
            return 0;
        }
        let batch = &self.batch;
        let turn = EXCLUDES.lock().unwrap_or_else(PoisonError::into_inner);
        let trimmed = exclude(batch.iter().map(|meta| meta.occupancy()), |vacant| {
            let mut spans = [Span::EMPTY; BATCH];
            let mut count = 0;
            let vacant = || batch.iter().enumerate().filter(|(i, _)| vacant >> i & 1 == 1).map(|(_, meta)| *meta);
            for span in vacant().map(|meta| meta.dead_pages(whole)).filter(|span| !span.is_empty()) {
                spans[count] = span;
                count += 1;
            }
            // SAFETY: I3 of `stack`: the slots are vacant, kept so until this closure ends, and these pages dead.
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
