//! Arenas: large reservations of address space, cut into slots with guards.
//!
//! An arena has slots of one class. A slot costs no memory until it is *carved*: a group of up to
//! 64 slots gets its guards in one system call and its entries in the side table, and is then known
//! for good. Arenas are never unmapped, so an address can be looked up in a signal handler, and an
//! entry in the table outlives every reader.
//!
//! # Guards
//! `MADV_GUARD_INSTALL` marks page-table entries: a guard costs 0.8 us (4 pages, in a batch of 64),
//! no memory beyond the page-table page that the stack needs anyway, and no mapping. `mprotect`
//! splits the mapping. It costs 3.4 us and two mappings for each slot, and once `vm.max_map_count`
//! is reached, every `mmap` of the process fails, including the allocator's. So with `mprotect` at
//! most half of that number is used; after that, `take` fails and reports the reason.
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

use super::slot::SlotMeta;
use super::{Class, human};
use crate::machine::sys::memory::{self, Span, page_size};

/// The maximum number of arenas of a process: 16 million stacks of the default size.
const MOST: usize = 4096;
/// The arena size that is tried first, unless one slot is larger.
const LEAST_BYTES: usize = 1 << 30;
const MOST_BYTES: usize = 1 << 40;
const LEAST_SLOTS: usize = 4096;

const HUGE: usize = 2 << 20;

/// All arenas of the process, filled from the front.
static ARENAS: [AtomicPtr<Arena>; MOST] = [const { AtomicPtr::new(ptr::null_mut()) }; MOST];

/// One reservation and its side table.
pub(super) struct Arena {
    start: usize,
    class: Class,
    slots: usize,
    table: NonNull<SlotMeta>,
    ages: NonNull<AtomicU8>,
    /// Address of the pool that the slots belong to.
    pool: usize,
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
    arena.slot((address - arena.start) >> arena.class.shift())
}

impl Arena {
    /// Reserves and registers an arena, which is smaller than usual if address space is short.
    pub(super) fn create(class: Class, pool: usize) -> io::Result<&'static Self> {
        let usual = (class.reservation() * LEAST_SLOTS).clamp(LEAST_BYTES, MOST_BYTES) >> class.shift();
        let mut slots = usual.max(1);
        let mut arena = loop {
            match Self::reserve(class, slots, pool) {
                Ok(arena) => break arena,
                Err(_) if slots > 1 => slots /= 2,
                Err(error) => return Err(exhausted(class, &error)),
            }
        };
        for place in &ARENAS {
            match register(place, arena) {
                Ok(arena) => return Ok(arena),
                Err(back) => arena = back,
            }
        }
        // SAFETY: no other thread has seen this arena.
        unsafe { memory::release(arena.range()) };
        Err(exhausted(class, &io::Error::other(format!("all {MOST} arenas are in use"))))
    }

    fn reserve(class: Class, slots: usize, pool: usize) -> io::Result<Box<Self>> {
        let len = slots << class.shift();
        let start = if class.reservation() >= HUGE {
            (memory::reserve(len + 2 * HUGE)?).next_multiple_of(HUGE) + HUGE / 2
        } else {
            memory::reserve(len)?
        };
        let table_len = (slots * size_of::<SlotMeta>()).next_multiple_of(page_size());
        let table = memory::reserve(table_len + slots.next_multiple_of(page_size())).inspect_err(|_| {
            // SAFETY: no other thread has seen the range.
            unsafe { memory::release(start..start + len) }
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
            carved: AtomicUsize::new(0),
        }))
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + (self.slots << self.class.shift())
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    pub(super) fn pool(&self) -> usize {
        self.pool
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
        self.start + (slots.start << self.class.shift())..self.start + (slots.end << self.class.shift())
    }

    /// Carves the next group of slots.
    ///
    /// Returns an empty range if there are no more. Called under the pool's lock of this class.
    pub(super) fn carve(&self, guards: &Guards) -> io::Result<Range<usize>> {
        let first = self.carved.load(Ordering::Relaxed);
        let count = self.class.group().min(self.slots - first);
        let mut spans = [Span::EMPTY; 64];
        for (i, span) in spans[..count].iter_mut().enumerate() {
            let limit = self.addresses(first + i..first + i).start;
            *span = Span::new(limit..limit + self.class.guard());
        }
        // SAFETY: slots that were not carved are not in use.
        let laid = unsafe { guards.lay(&spans[..count]) }?;
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

fn exhausted(class: Class, why: &io::Error) -> io::Error {
    let text = format!(
        "no address space for another stack of {} ({why}): use smaller stacks, or raise the limit (ulimit -v)",
        human(class.reservation())
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}

const UNKNOWN: u8 = 0;
const INSTALL: u8 = 1;
const PROTECT: u8 = 2;

/// The method of making guards on this system, and how many more may be made.
pub(super) struct Guards {
    mode: AtomicU8,
    /// The maximum number of guards by `mprotect`; 0 until it is computed.
    cap: AtomicUsize,
    protected: AtomicUsize,
}

impl Guards {
    /// Creates guards by the best method that the system supports.
    pub(super) const fn new() -> Self {
        Self { mode: AtomicU8::new(UNKNOWN), cap: AtomicUsize::new(0), protected: AtomicUsize::new(0) }
    }

    /// Creates guards by `mprotect`, at most `cap` of them.
    #[cfg(test)]
    pub(super) const fn protect_only(cap: usize) -> Self {
        Self { mode: AtomicU8::new(PROTECT), cap: AtomicUsize::new(cap), protected: AtomicUsize::new(0) }
    }

    /// Lays guards on the first few of `spans`, at least on one.
    ///
    /// Returns the number of guards laid.
    ///
    /// # Safety
    /// The spans are not in use.
    unsafe fn lay(&self, spans: &[Span]) -> io::Result<usize> {
        if self.mode.load(Ordering::Relaxed) != PROTECT {
            // SAFETY: the spans are not in use, as this function demands.
            match unsafe { memory::guard(spans) } {
                Ok(()) => {
                    self.mode.store(INSTALL, Ordering::Relaxed);
                    return Ok(spans.len());
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.mode.store(PROTECT, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        for (i, span) in spans.iter().enumerate() {
            // SAFETY: the span is not in use, as this function demands.
            match unsafe { self.protect(span) } {
                Ok(()) => {}
                Err(_) if i > 0 => return Ok(i),
                Err(error) => return Err(error),
            }
        }
        Ok(spans.len())
    }

    /// # Safety
    /// The span is not in use.
    unsafe fn protect(&self, span: &Span) -> io::Result<()> {
        if self.cap.load(Ordering::Relaxed) == 0 {
            // Each guard takes two mappings, and half of all mappings are left for the rest of the
            // process.
            self.cap.store((memory::mapping_limit().0 / 4).max(1), Ordering::Relaxed);
        }
        let cap = self.cap.load(Ordering::Relaxed);
        if self.protected.load(Ordering::Relaxed) >= cap {
            return Err(too_many_guards(cap, "the cap is reached"));
        }
        // SAFETY: the span is not in use, as this function demands.
        unsafe { memory::protect(span) }.map_err(|error| too_many_guards(cap, &error.to_string()))?;
        self.protected.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn too_many_guards(cap: usize, why: &str) -> io::Error {
    let (limit, setting) = memory::mapping_limit();
    let text = format!(
        "cannot guard more than {cap} stacks on this system ({why}): each takes two of the {limit} mappings that \
         {setting} allows, and half of them are left to the process; raise {setting}, or use Linux 6.13 or newer"
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
