//! Free stacks: one pool for the process, and a small cache for each P.
//!
//! Both are last-in, first-out: the most recently used stack still has its pages and page-table
//! entries, and its lines are in the CPU's cache. A goroutine that never parks leaves its hot stack
//! to the next goroutine. A [`StackCache`] belongs to one thread at a time and takes no lock. When
//! it is full or empty, it moves half of its capacity to or from the pool, so the pool's lock is
//! taken once per 32 stacks.
//!
//! # The cold end
//! A list that grew during a burst keeps its oldest stacks untouched at the bottom. `low_water` is
//! the shortest length of the list since the last sweep: that many stacks were not needed. `trim`
//! returns the pages of these stacks to the kernel completely, from the bottom, except for the
//! hottest few ([`KEEP`]). `cold` counts the stacks whose pages were returned. Between sweeps both
//! counts only fall, along with the length of the list, so keeping them requires no access to the
//! stacks themselves.
//!
//! # Spare stacks
//! When no more stacks can be created, the last few free ones go only to goroutines that timers
//! start. All others may be waiting for one of these: for the end of a context, for example.
//!
//! # Invariants
//! * I1: a slot in a list or cache was left ([`SlotMeta::give`]) or never entered; no [`Stack`]
//!   names it.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::arena::{Arena, arenas};
use super::guards::{Guarding, Guards};
use super::slot::SlotMeta;
use super::{Class, Stack, class_for, default_class};
use crate::machine::sys::mutex::{Mutex, MutexGuard};

/// The capacity of a cache, and the number of stacks that it moves at a time.
const CACHE: usize = 64;
const HALF: usize = CACHE / 2;

/// When no more stacks can be created, this many of a class are kept for urgent use, but at most
/// one in [`SPARE_ONE_IN`].
const SPARE: usize = 16;
const SPARE_ONE_IN: usize = 16;

/// The number of free stacks of a class that always keep their pages.
const KEEP: usize = 256;

/// The process's stacks.
pub(crate) static POOL: Pool = Pool::new();

/// The number of goroutines that wait for a stack.
static DEMAND: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of goroutines that wait for a stack.
///
/// While it is not zero, free stacks go to the pool instead of to caches, and who puts one there
/// serves the goroutines that wait (`sched::stack_queue`).
#[inline]
pub(crate) fn demand() -> usize {
    DEMAND.load(Ordering::Relaxed)
}

/// Changes the number of goroutines that wait for a stack.
pub(crate) fn add_demand(change: isize) {
    DEMAND.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
}

/// Free stacks of all classes, and the arenas to which they belong.
pub(crate) struct Pool {
    guarding: Guarding,
    classes: [Mutex<FreeList>; Class::COUNT],
    /// How often the pages of a slot were returned to the system.
    pub(super) trims: AtomicU64,
}

struct FreeList {
    free: Vec<&'static SlotMeta>,
    low_water: usize,
    cold: usize,
    /// The number of stacks of the class.
    carved: usize,
    /// Where new slots are carved.
    arena: Option<&'static Arena>,
}

/// The states of a pool's slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stats {
    /// All slots carved so far.
    pub(crate) reserved: usize,
    /// Slots that a [`Stack`] names.
    pub(crate) in_use: usize,
    /// Slots in the pool and in caches.
    pub(crate) free: usize,
    /// How often the dead pages of a slot were returned to the system.
    pub(crate) trims: u64,
}

impl Pool {
    pub(super) const fn new() -> Self {
        Self::guarded(Guarding::new())
    }

    pub(super) const fn guarded(guarding: Guarding) -> Self {
        Self { guarding, classes: [const { Mutex::new(FreeList::new()) }; Class::COUNT], trims: AtomicU64::new(0) }
    }

    /// Returns how guard areas are made; `Auto` before the first stack.
    pub(crate) fn guards(&self) -> Guards {
        self.guarding.chosen()
    }

    pub(super) fn limit_guard_mappings(&self, most: usize) {
        self.guarding.limit_mappings(most);
    }

    pub(super) fn choose_guards(&self, wanted: Guards) -> (Guards, Option<io::Error>) {
        self.guarding.choose(wanted)
    }

    /// Takes a stack that reserves `reservation` bytes, rounded up to the next class.
    pub(crate) fn take(&'static self, reservation: usize) -> io::Result<Stack> {
        let class = class_for(reservation)?;
        let mut list = self.list(class);
        self.fill(class, &mut list, 1)?;
        let meta = list.pop().ok_or(io::ErrorKind::OutOfMemory)?;
        drop(list);
        meta.take();
        Ok(Stack(meta))
    }

    /// Takes a stack of this class if one is free, and creates none.
    ///
    /// The last few are for `urgent` use.
    pub(crate) fn take_free(&'static self, class: Class, urgent: bool) -> Option<Stack> {
        let mut list = self.list(class);
        if !urgent && list.free.len() <= list.spare() {
            return None;
        }
        let meta = list.pop()?;
        drop(list);
        meta.take();
        Some(Stack(meta))
    }

    /// Takes back a stack on which nothing runs.
    pub(crate) fn give(&'static self, stack: Stack) {
        let meta = stack.0;
        meta.give();
        self.list(meta.class()).free.push(meta);
    }

    /// Moves between one and `count` free slots to the end of `into`, the hottest last.
    fn take_many(&'static self, class: Class, into: &mut Vec<&'static SlotMeta>, count: usize) -> io::Result<()> {
        let mut list = self.list(class);
        let available = self.fill(class, &mut list, count)?;
        list.split_off(count.min(available), into);
        Ok(())
    }

    fn give_many(&'static self, class: Class, slots: impl Iterator<Item = &'static SlotMeta>) {
        self.list(class).free.extend(slots);
    }

    /// Carves until the list has `count` slots beside the spare ones.
    ///
    /// Returns how many it has, and fails only if it has none.
    fn fill(&'static self, class: Class, list: &mut FreeList, count: usize) -> io::Result<usize> {
        loop {
            let available = list.free.len().saturating_sub(list.spare());
            if available >= count {
                return Ok(available);
            }
            if let Err(error) = self.carve(class, list) {
                return if available == 0 { Err(error) } else { Ok(available) };
            }
        }
    }

    fn carve(&'static self, class: Class, list: &mut FreeList) -> io::Result<()> {
        loop {
            let arena = match list.arena {
                Some(arena) => arena,
                None => *list.arena.insert(Arena::create(class, self.address(), &self.guarding)?),
            };
            let slots = match arena.carve(&self.guarding) {
                // The program has mapped something there.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => 0..0,
                slots => slots?,
            };
            if !slots.is_empty() {
                // The new slots go below the existing ones, since they have no pages at all. The
                // lowest address is taken first.
                list.cold += slots.len();
                list.carved += slots.len();
                list.free.splice(0..0, slots.rev().filter_map(|slot| arena.slot(slot)));
                return Ok(());
            }
            list.arena = None;
        }
    }

    fn list(&self, class: Class) -> MutexGuard<'_, FreeList> {
        self.classes[class.index()].lock()
    }

    pub(super) fn arenas(&'static self) -> impl Iterator<Item = &'static Arena> {
        arenas().filter(move |arena| arena.pool() == self.address())
    }

    fn address(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Counts the slots, for tests and dumps.
    ///
    /// Exact only while no thread takes, gives, or switches.
    pub(crate) fn stats(&'static self) -> Stats {
        let mut stats = Stats { reserved: 0, in_use: 0, free: 0, trims: self.trims.load(Ordering::Relaxed) };
        for arena in self.arenas() {
            let carved = arena.carved();
            let free = (0..carved).filter_map(|slot| arena.slot(slot)).filter(|meta| meta.is_free()).count();
            stats.reserved += carved;
            stats.free += free;
            stats.in_use += carved - free;
        }
        stats
    }

    /// Returns the stacks that have an owner.
    ///
    /// Stacks may change hands at any time, so each owner may be out of date.
    pub(crate) fn owned(&'static self) -> impl Iterator<Item = (&'static SlotMeta, *mut ())> {
        let slots = self.arenas().flat_map(|arena| (0..arena.carved()).filter_map(|slot| arena.slot(slot)));
        slots.map(|slot| (slot, slot.owner())).filter(|(_, owner)| !owner.is_null())
    }

    /// Ends a sweep interval of one class.
    ///
    /// Returns how many stacks at the bottom of its list must lose all their pages.
    pub(super) fn close_interval(&self, class: Class) -> usize {
        let mut list = self.list(class);
        let unneeded = list.low_water.saturating_sub(KEEP);
        list.low_water = list.free.len();
        unneeded
    }

    /// Collects the next slots below `end` whose pages are to be dropped completely; these slots
    /// count as cold from now on.
    pub(super) fn next_cold(&self, class: Class, end: usize, batch: &mut Vec<&'static SlotMeta>, most: usize) {
        let mut list = self.list(class);
        let end = end.min(list.free.len()).min(list.cold + most);
        if list.cold < end {
            batch.extend(&list.free[list.cold..end]);
            list.cold = end;
        }
    }

    /// Returns `true` if the pages of more slots of a class will have to be dropped unless the
    /// slots are taken.
    pub(super) fn has_surplus(&self, class: Class) -> bool {
        let list = self.list(class);
        list.free.len().saturating_sub(KEEP) > list.cold
    }
}

impl FreeList {
    const fn new() -> Self {
        Self { free: Vec::new(), low_water: 0, cold: 0, carved: 0, arena: None }
    }

    /// Returns how many of the free stacks are for urgent use.
    fn spare(&self) -> usize {
        SPARE.min(self.carved / SPARE_ONE_IN)
    }

    fn pop(&mut self) -> Option<&'static SlotMeta> {
        let meta = self.free.pop();
        self.note_length();
        meta
    }

    fn split_off(&mut self, count: usize, into: &mut Vec<&'static SlotMeta>) {
        let keep = self.free.len().saturating_sub(count);
        into.extend(self.free.drain(keep..));
        self.note_length();
    }

    fn note_length(&mut self) {
        self.low_water = self.low_water.min(self.free.len());
        self.cold = self.cold.min(self.free.len());
    }
}

/// A P's own free stacks, of the default class.
///
/// Used only by the thread that has the P.
pub(crate) struct StackCache {
    pool: &'static Pool,
    class: Class,
    free: Vec<&'static SlotMeta>,
}

impl StackCache {
    /// Creates an empty cache for the process's pool.
    pub(crate) fn new() -> Self {
        Self::of(&POOL, default_class())
    }

    pub(super) fn of(pool: &'static Pool, class: Class) -> Self {
        Self { pool, class, free: Vec::with_capacity(CACHE) }
    }

    /// Takes a stack of the default class.
    ///
    /// Takes the pool's lock, and may map memory, when the cache is empty.
    #[inline]
    pub(crate) fn take(&mut self) -> io::Result<Stack> {
        let meta = match self.free.pop() {
            Some(meta) => meta,
            None => self.refill()?,
        };
        meta.take();
        Ok(Stack(meta))
    }

    /// Takes back a stack on which nothing runs, of any class.
    ///
    /// Takes the pool's lock when the cache is full, or when goroutines wait for stacks.
    #[inline]
    pub(crate) fn give(&mut self, stack: Stack) {
        if stack.0.class() != self.class || demand() > 0 {
            return self.pool.give(stack);
        }
        stack.0.give();
        if self.free.len() == CACHE {
            self.spill(HALF);
        }
        self.free.push(stack.0);
    }

    /// Returns everything to the pool, for a P that is no longer needed.
    pub(crate) fn flush(&mut self) {
        self.spill(self.free.len());
    }

    #[cold]
    fn refill(&mut self) -> io::Result<&'static SlotMeta> {
        self.pool.take_many(self.class, &mut self.free, HALF)?;
        self.free.pop().ok_or(io::ErrorKind::OutOfMemory.into())
    }

    /// Moves the coldest stacks to the pool.
    #[cold]
    fn spill(&mut self, count: usize) {
        self.pool.give_many(self.class, self.free.drain(..count));
    }
}

impl Drop for StackCache {
    fn drop(&mut self) {
        self.flush();
    }
}
