//! Arenas: large reservations of address space, cut into slots with guards.
//!
//! An arena has slots of one class. A slot costs no memory until it is *carved*: a group of up to
//! 64 slots gets its guards ([`super::guards`]) and its entries in the side table, and is then
//! known for good. Arenas are never unmapped, so an address can be looked up in a signal handler,
//! and an entry in the table outlives every reader.
//!
//! If the address space of the process is limited (`ulimit -v`), arenas take at most half of it.
//! Otherwise nothing would be left for threads and the allocator.
//!
//! # Placement
//! The guard of one slot is next to the top page of the slot below. For slots of 2 MiB and more,
//! the edges lie halfway between two multiples of 2 MiB. The guard and the top page are then in one
//! page-table page, and a slot costs 4 KiB of page tables instead of 8.
//!
//! # Invariants
//! * I1: entry `i` of the table is written before `carved` exceeds `i`, and is shared from then on.
//! * I2: a slot below `carved` has its guard.
//!
//! # Orderings
//! * P1: `carved`, released in `carve` -> the acquire load in `slot`: the entry is written.
//! * P2: the pointer in `ARENAS`, released in `register` -> the acquire load in `arenas`: the arena
//!   is written.

use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use super::guards::{BATCH, Guarding, NewSlots};
use super::slot::SlotMeta;
use super::{Class, human};
use crate::machine::sys::memory::{self, page_size};

/// The maximum number of arenas of a process: 11 million stacks of the default size.
const MOST: usize = 4096;
/// The arena size that is tried first, unless one slot is larger.
const LEAST_BYTES: usize = 1 << 30;
const MOST_BYTES: usize = 1 << 40;
const LEAST_SLOTS: usize = 4096;

const HUGE: usize = 2 << 20;

/// All arenas of the process, filled from the front.
static ARENAS: [AtomicPtr<Arena>; MOST] = [const { AtomicPtr::new(ptr::null_mut()) }; MOST];

/// The address space of all arenas, in bytes.
static RESERVED: AtomicUsize = AtomicUsize::new(0);

/// One reservation and its side table.
pub(super) struct Arena {
    start: usize,
    class: Class,
    slots: usize,
    table: NonNull<SlotMeta>,
    ages: NonNull<AtomicU8>,
    /// Address of the pool that the slots belong to.
    pool: usize,
    /// Whether there are unmapped pages between the slots.
    has_holes: bool,
    /// The number of known slots.
    ///
    /// Written under the pool's lock of this class.
    carved: AtomicUsize,
}

// SAFETY: the pointers point into the table, which lives forever and is shared as I1 says.
unsafe impl Send for Arena {}
// SAFETY: the pointers point into the table, which lives forever and is shared as I1 says.
unsafe impl Sync for Arena {}

/// Returns all arenas created so far.
///
/// Async-signal-safe.
pub(super) fn arenas() -> impl Iterator<Item = &'static Arena> {
    ARENAS.iter().map_while(|arena| {
        // ORDERING P2: acquire pairs with the exchange in `register`.
        let arena = arena.load(Ordering::Acquire);
        // SAFETY: an arena that was registered is never freed.
        unsafe { arena.as_ref() }
    })
}

/// Returns the carved slot that contains `address`, if any.
///
/// Async-signal-safe.
pub(super) fn find(address: usize) -> Option<&'static SlotMeta> {
    let arena = arenas().find(|arena| arena.range().contains(&address))?;
    arena.slot((address - arena.start) / arena.class.reservation())
}

impl Arena {
    /// Reserves and registers an arena, which is smaller than usual if address space is short.
    pub(super) fn create(class: Class, pool: usize, guarding: &Guarding) -> io::Result<&'static Self> {
        let usual = (class.reservation() * LEAST_SLOTS).clamp(LEAST_BYTES, MOST_BYTES) / class.reservation();
        let mut slots = usual.max(1);
        let mut arena = loop {
            match Self::reserve(class, slots, pool, guarding) {
                Ok(arena) => break arena,
                Err(_) if slots > 1 => slots /= 2,
                Err(error) => return Err(exhausted(class, &error)),
            }
        };
        for place in &ARENAS {
            match register(place, arena) {
                Ok(arena) => {
                    RESERVED.fetch_add(arena.range().len(), Ordering::Relaxed);
                    return Ok(arena);
                }
                Err(back) => arena = back,
            }
        }
        // SAFETY: no other thread has seen this arena.
        unsafe { guarding.release(arena.range()) };
        Err(exhausted(class, &io::Error::other(format!("all {MOST} arenas are in use"))))
    }

    fn reserve(class: Class, slots: usize, pool: usize, guarding: &Guarding) -> io::Result<Box<Self>> {
        let len = slots * class.reservation();
        check_address_limit(len)?;
        let margin = if class.reservation() >= HUGE { 2 * HUGE } else { 0 };
        let reserved = guarding.reserve(len + margin)?;
        let start = if margin == 0 { reserved } else { reserved.next_multiple_of(HUGE) + HUGE / 2 };
        let table_len = (slots * size_of::<SlotMeta>()).next_multiple_of(page_size());
        let table = guarding
            .prepare(&(start..start + len))
            .and_then(|()| memory::map(table_len + slots.next_multiple_of(page_size())))
            .inspect_err(|_| {
                // SAFETY: no other thread has seen the range.
                unsafe { guarding.release(reserved..reserved + len + margin) }
            })?;
        let at = |address| NonNull::new(ptr::with_exposed_provenance_mut::<u8>(address));
        let table_and_ages = at(table).zip(at(table + table_len));
        let (table, ages) = table_and_ages.expect("stack: a mapping is not at address zero");
        Ok(Box::new(Self {
            start,
            class,
            slots,
            table: table.cast(),
            ages: ages.cast(),
            pool,
            has_holes: guarding.leaves_holes(),
            carved: AtomicUsize::new(0),
        }))
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + self.slots * self.class.reservation()
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    pub(super) fn pool(&self) -> usize {
        self.pool
    }

    /// Returns `true` if a range of addresses in several slots may contain unmapped pages.
    pub(super) fn has_holes(&self) -> bool {
        self.has_holes
    }

    pub(super) fn carved(&self) -> usize {
        // ORDERING P1: acquire pairs with the store in `carve`.
        self.carved.load(Ordering::Acquire)
    }

    /// Returns the entry of a slot if the slot was carved.
    pub(super) fn slot(&self, index: usize) -> Option<&'static SlotMeta> {
        // SAFETY: I1: the entry was written.
        (index < self.carved()).then(|| unsafe { self.table.add(index).as_ref() })
    }

    /// Returns the ages of some slots.
    pub(super) fn ages(&self, slots: Range<usize>) -> &'static [AtomicU8] {
        assert!(slots.end <= self.slots, "stack: no such slot; end = {}", slots.end);
        // SAFETY: the ages are zeroed memory that lives forever, one byte for each slot.
        unsafe { NonNull::slice_from_raw_parts(self.ages.add(slots.start), slots.len()).as_ref() }
    }

    /// Returns the addresses of some slots.
    pub(super) fn addresses(&self, slots: Range<usize>) -> Range<usize> {
        self.start + slots.start * self.class.reservation()..self.start + slots.end * self.class.reservation()
    }

    /// Carves the next group of slots.
    ///
    /// Returns an empty range if there are no more. Called under the pool's lock of this class.
    pub(super) fn carve(&self, guarding: &Guarding) -> io::Result<Range<usize>> {
        let first = self.carved.load(Ordering::Relaxed);
        let count = self.class.group().min(self.slots - first);
        if count == 0 {
            return Ok(first..first);
        }
        const { assert!(Class::MOST_PER_GROUP <= BATCH) };
        let range = self.addresses(first..first + count);
        let slots = NewSlots { range, size: self.class.reservation(), guard: self.class.guard() };
        // SAFETY: slots that were not carved are not in use.
        let laid = unsafe { guarding.lay(&slots) }?;
        for (i, age) in self.ages(first..first + laid).iter().enumerate() {
            let index = first + i;
            let top = self.addresses(index..index + 1).end;
            // SAFETY: I1: this entry is not shared yet.
            unsafe { self.table.add(index).write(SlotMeta::new(top, index, self.class, age)) };
        }
        // ORDERING P1: release publishes the entries.
        self.carved.store(first + laid, Ordering::Release);
        Ok(first..first + laid)
    }
}

/// Puts the arena at `place` for good, or returns the arena if the place is taken.
fn register(place: &AtomicPtr<Arena>, arena: Box<Arena>) -> Result<&'static Arena, Box<Arena>> {
    let arena = Box::into_raw(arena);
    // ORDERING P2: release publishes the arena.
    match place.compare_exchange(ptr::null_mut(), arena, Ordering::Release, Ordering::Relaxed) {
        // SAFETY: the arena is shared from here on, and never freed.
        Ok(_) => Ok(unsafe { &*arena }),
        // SAFETY: the pointer was just made from a box, and no other thread has seen it.
        Err(_) => Err(unsafe { Box::from_raw(arena) }),
    }
}

/// Fails if another `len` bytes would take more than half of a limited address space, or if they
/// would leave less than a quarter of it to the rest of the process.
///
/// An eighth is for stacks in any case.
fn check_address_limit(len: usize) -> io::Result<()> {
    let Some(limit) = memory::address_limit() else { return Ok(()) };
    let reserved = RESERVED.load(Ordering::Relaxed).saturating_add(len);
    let why = if reserved > limit / 2 {
        "stacks take half of"
    } else if reserved > limit / 8 && memory::address_space_in_use().saturating_add(len) > limit - limit / 4 {
        "the process needs the rest of"
    } else {
        return Ok(());
    };
    Err(io::Error::other(format!("{why} the {} that ulimit -v allows", human(limit))))
}

fn exhausted(class: Class, why: &io::Error) -> io::Error {
    let text = format!(
        "no address space for another stack of {} ({why}): use smaller stacks, or raise the limit (ulimit -v)",
        human(class.reservation())
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
