//! Goroutine stacks: reserved once, committed on first touch, reused while hot, trimmed while their
//! goroutines are parked.
//!
//! # Layout
//! An *arena* ([`arena`]) is one reservation of address space, cut into *slots* of one *class*. The
//! class is the whole reservation of a stack: a power of two or, below 2 MiB, half as much again.
//! The slots have entries in a side table ([`slot`]).
//!
//! ```text
//!   high  +---------------------------+  top of the slot
//!         | color: 0  to 1920 bytes   |  slot number % 16 * 128
//!         +---------------------------+  base: the coroutine starts here
//!         | frames     |              |
//!         |            v              |  committed page by page
//!         | canary line               |  lowest line of the top page: see `trim`
//!         +- - - - - - - - - - - - - -+
//!         | not committed             |
//!         +---------------------------+  low
//!         | guard: 16 KiB             |  any write faults: see `guards`, `overflow`
//!   low   +---------------------------+  limit
//! ```
//!
//! Color: without it all stack tops are congruent modulo the page size, so the hot lines of all
//! goroutines share one set of the cache. A bare switch then takes 7.4 ns instead of 4.1 among 10
//! 000 goroutines, and 137 ns instead of 23 among 100 000 (measured with 28 colors). More than 1920
//! bytes of color would push the 1 to 1.5 KiB of a parked shallow goroutine into a second page.
//!
//! There are four guard pages rather than one: Rust touches the pages of a frame one after the
//! other, but C code built without stack probes may skip a page. A frame larger than the guard may
//! skip all of it and land on the next slot. More pages would cost more (a guard of 4 takes 0.8
//! us), and no number is enough; threads have one guard page.
//!
//! # Life of a stack
//! [`pool`] holds the free stacks, and a [`StackCache`] holds some of them for one P. Once taken, a
//! stack counts as *entered*: no other thread touches its pages. [`SlotMeta::suspend`] leaves the
//! stack when its goroutine parks, [`SlotMeta::resume`] enters it again, and returning it to the
//! pool leaves it for good. Entered stacks are never trimmed; all others may be trimmed ([`trim`])
//! or read ([`look`]). The protocol `occupancy` decides between a thread that enters a stack and
//! one that trims or reads it.
//!
//! # Invariants
//! * I1: a slot is never unmapped and its table entry never moves: `&'static SlotMeta` is true.
//! * I2: a free slot is in one free list or one cache, and no [`Stack`] names it. A slot in use has
//!   exactly one [`Stack`].
//! * I3: pages are dropped only while the slot's occupancy excludes every thread that would run on
//!   it, and only below the live words: those at and above the stack pointer of the last suspend.

pub(crate) mod arena;
pub(crate) mod guards;
pub(crate) mod look;
pub(crate) mod overflow;
pub(crate) mod pool;
pub(crate) mod slot;
pub(crate) mod trim;

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use corosensei::stack::StackPointer;

pub(crate) use guards::Guards;
pub(crate) use pool::{POOL, StackCache, add_demand, demand};
pub(crate) use slot::SlotMeta;
pub(crate) use trim::sweep;

use crate::machine::sys::DEBUG_ASSERTIONS;
use crate::machine::sys::memory::page_size;

/// A stack that is in use.
///
/// Dropping it loses the slot for the rest of the process; return it to the pool instead.
#[derive(Debug)]
#[must_use = "a stack that is not given back is lost"]
pub(crate) struct Stack(&'static SlotMeta);

impl Stack {
    /// Returns the lowest address that frames may use.
    #[inline]
    pub(crate) fn low(&self) -> usize {
        self.0.low()
    }

    /// Returns the stack's entry in the side table.
    #[inline]
    pub(crate) fn meta(&self) -> &'static SlotMeta {
        self.0
    }
}

// SAFETY: I2: no other `Stack` names this slot; its guard was laid before it entered a free list;
// the smallest class leaves a page above the guard, and base and limit are aligned to 128 bytes and
// to a page.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        self.0.base()
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        // A slot is never at address zero, and a limit above it would be as correct as zero.
        StackPointer::new(self.0.limit()).unwrap_or(StackPointer::MIN)
    }
}

/// A stack size, including the guard: two to the power of half this number, or half as much again
/// if the number is odd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Class(u8);

impl Class {
    /// 16 KiB.
    const SMALLEST: u8 = 2 * 14;
    /// 64 GiB.
    const LARGEST: u8 = 2 * 36;
    /// 384 KiB, or 2 MiB in builds with debug assertions, whose frames are several times as large.
    const DEFAULT: u8 = if DEBUG_ASSERTIONS { 2 * 21 } else { 2 * 18 + 1 };
    /// 2 MiB: below this, there are sizes that are no powers of two.
    const FINE: usize = 2 << 20;
    pub(crate) const COUNT: usize = (Self::LARGEST - Self::SMALLEST + 1) as usize;
    const MOST_PER_GROUP: usize = 64;

    /// A stack of at least four times this size can afford a large guard.
    const FULL_GUARD: usize = 16 << 10;

    pub(crate) const fn reservation(self) -> usize {
        ((2 + self.0 as usize % 2) << (self.0 / 2)) / 2
    }

    pub(crate) const fn index(self) -> usize {
        (self.0 - Self::SMALLEST) as usize
    }

    /// Returns the class with this index.
    pub(crate) fn nth(index: usize) -> Option<Self> {
        (Self::SMALLEST..=Self::LARGEST).nth(index).map(Self)
    }

    /// Returns the size of the guard: 16 KiB, or one page if 16 KiB would take too much of the
    /// stack.
    pub(crate) fn guard(self) -> usize {
        if self.reservation() >= 4 * Self::FULL_GUARD { page_size().max(Self::FULL_GUARD) } else { page_size() }
    }

    /// Returns how many slots are carved, and later examined, at a time: as many as fit in 16 MiB,
    /// but at most 64.
    pub(crate) const fn group(self) -> usize {
        let fit = (16 << 20) / self.reservation();
        if fit > Self::MOST_PER_GROUP {
            Self::MOST_PER_GROUP
        } else if fit == 0 {
            1
        } else {
            fit
        }
    }
}

/// Returns the class of a stack that reserves `bytes`, rounded up to the next class.
pub(crate) fn class_for(bytes: usize) -> io::Result<Class> {
    // One page of guard, and one to use.
    let smallest = Class(Class::SMALLEST).reservation().max(2 * page_size());
    let largest = Class(Class::LARGEST).reservation();
    if !(smallest..=largest).contains(&bytes) {
        let text = format!("a stack cannot reserve {bytes} bytes; use {} KiB to {} GiB", smallest >> 10, largest >> 30);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let logarithm = bytes.next_power_of_two().ilog2();
    let above = Class(u8::try_from(2 * logarithm).expect("stack: the logarithm of a size fits a byte"));
    let between = Class(above.0 - 1);
    Ok(if between.reservation() >= bytes && between.reservation() < Class::FINE { between } else { above })
}

/// The reservation of stacks without an explicit size, unless it is set.
pub(crate) const DEFAULT_RESERVATION: usize = Class(Class::DEFAULT).reservation();

static DEFAULT_CLASS: AtomicU8 = AtomicU8::new(Class::DEFAULT);

/// Returns the class of stacks without an explicit size.
#[inline]
pub(crate) fn default_class() -> Class {
    Class(DEFAULT_CLASS.load(Ordering::Relaxed))
}

/// Returns the reservation of stacks without an explicit size.
pub(crate) fn default_reservation() -> usize {
    default_class().reservation()
}

/// Sets the reservation of stacks without an explicit size.
///
/// Called at boot, because caches that are already filled keep their size.
pub(crate) fn set_default_reservation(bytes: usize) -> io::Result<()> {
    DEFAULT_CLASS.store(class_for(bytes)?.0, Ordering::Relaxed);
    Ok(())
}

/// Chooses how guard areas are made: by `wanted` if that works, otherwise by the best method that
/// does.
///
/// Called at boot. Returns the method that is used, and the reason why it is not the one that was
/// wanted.
pub(crate) fn choose_guards(wanted: Guards) -> (Guards, Option<io::Error>) {
    POOL.choose_guards(wanted)
}

/// Sets how many mappings guard areas may take, for tests of what happens at the limit.
pub fn limit_guard_mappings(most: usize) {
    POOL.limit_guard_mappings(most);
}

/// Formats a number of bytes as a user would write it.
fn human(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 30 => format!("{} GiB", bytes >> 30),
        _ if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests;
