//! The side table's entry for one slot: what the scheduler, the sweeper, and the overflow report
//! know about a stack without touching its pages.
//!
//! | field | written by | when |
//! | --- | --- | --- |
//! | `base`, `class`, `age` (the place) | the carver | before the slot is first known |
//! | `owner`, `sp` | the user of the stack | while it is entered |
//! | `armed` | the user, or the sweeper while it excludes the user | |
//! | `age` (the value) | the suspending worker; the sweeper by compare-and-swap | any time |
//!
//! An entry fills a cache line, although half a line would hold it, because neighboring slots are
//! taken by one worker and run on others, and each switch writes to the entry. The ages are stored
//! separately and densely, so a sweep over a million parked goroutines reads one megabyte. Each age
//! is written at most once per sweep interval.
//!
//! # Invariants
//! * I1: `sp` is 0 exactly if no frame lives on the slot, because the slot was given back or was
//!   never taken.
//! * I2: the slot's words at and above `sp` are never dropped while `sp` is not 0.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use corosensei::stack::StackPointer;

use super::Class;
use crate::machine::sys::memory::{Span, page_size};
use crate::protocol::occupancy::Occupancy;

/// The sweeper has examined the slot since it was last left.
pub(crate) const QUIET: u8 = 0;
/// The slot was left since the sweeper last passed.
pub(crate) const RAN: u8 = 1;
/// The sweeper has passed once since the slot was left.
pub(crate) const AGED: u8 = 2;
/// The sweeper has passed twice and examined other slots instead, none of which had anything to
/// drop.
pub(crate) const UNSEEN: u8 = 3;

/// The number of colors, and below it the distance from one color to the next.
const COLORS: usize = 16;
const COLOUR_STEP: usize = 128;

const CANARY: u64 = 0x6772_6565_6e74_6872;
type CanaryLine = [u64; 8];

/// One slot's entry in the side table.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct SlotMeta {
    base: StackPointer,
    age: &'static AtomicU8,
    owner: AtomicPtr<()>,
    sp: AtomicUsize,
    occupancy: Occupancy,
    armed: AtomicBool,
    class: Class,
}

const _: () = assert!(size_of::<SlotMeta>() == 64);

impl SlotMeta {
    /// Creates the entry of slot number `index` of its arena, which ends at `top`.
    pub(super) fn new(top: usize, index: usize, class: Class, age: &'static AtomicU8) -> Self {
        let base = top - index % COLORS * COLOUR_STEP;
        Self {
            base: StackPointer::new(base).expect("stack: a slot is not at address zero"),
            age,
            owner: AtomicPtr::new(ptr::null_mut()),
            sp: AtomicUsize::new(0),
            occupancy: Occupancy::new(),
            armed: AtomicBool::new(false),
            class,
        }
    }

    /// Enters the stack.
    ///
    /// Called by the worker before it switches to the goroutine on the stack; blocks while the
    /// stack is being swept.
    #[inline]
    pub(crate) fn resume(&self) {
        self.occupancy.enter();
    }

    /// Leaves the stack.
    ///
    /// Called by the worker right after the switch back. From now on the pages below `sp` may be
    /// dropped.
    ///
    /// # Safety
    /// The caller entered the stack, and no word below `sp` is needed anymore. (The address of a
    /// local variable is not sufficient, see
    /// [`stack_pointer`](crate::machine::sys::stack_pointer).)
    #[inline]
    pub(crate) unsafe fn suspend(&self, sp: usize) {
        self.sp.store(sp, Ordering::Relaxed);
        // Rarely true, and the line is shared with the ages of 63 other slots.
        if self.age.load(Ordering::Relaxed) != RAN {
            self.age.store(RAN, Ordering::Relaxed);
        }
        self.occupancy.leave();
    }

    /// Returns the goroutine on the stack, as named by the scheduler, or null if there is none.
    #[inline]
    pub(crate) fn owner(&self) -> *mut () {
        self.owner.load(Ordering::Relaxed)
    }

    /// Names the goroutine on the stack, for dumps and the overflow report.
    #[inline]
    pub(crate) fn set_owner(&self, owner: *mut ()) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// Returns the stack pointer of the last suspend, or 0 if no frame lives on the stack.
    ///
    /// The value means nothing while the stack is entered.
    #[inline]
    pub(crate) fn saved_sp(&self) -> usize {
        self.sp.load(Ordering::Relaxed)
    }

    /// Returns the address at which the first frame begins.
    #[inline]
    pub(crate) fn base(&self) -> StackPointer {
        self.base
    }

    #[inline]
    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Returns the lowest address that frames may use.
    #[inline]
    pub(crate) fn low(&self) -> usize {
        self.limit() + self.class.guard()
    }

    /// Returns the lowest address of the slot, where its guard begins.
    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.top() - self.class.reservation()
    }

    pub(super) fn top(&self) -> usize {
        const { assert!((COLORS - 1) * COLOUR_STEP < 4096) };
        self.base.get().next_multiple_of(4096)
    }

    /// Enters a slot from a free list.
    #[inline]
    pub(super) fn take(&self) {
        self.occupancy.enter();
        if !self.armed.load(Ordering::Relaxed) {
            self.arm();
        }
    }

    /// Leaves the slot for a free list.
    #[inline]
    pub(super) fn give(&self) {
        self.owner.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the caller has the stack, and nothing on it is needed.
        unsafe { self.suspend(0) };
    }

    pub(super) fn occupancy(&self) -> &Occupancy {
        &self.occupancy
    }

    pub(super) fn is_free(&self) -> bool {
        !self.occupancy.is_entered() && self.saved_sp() == 0
    }

    /// Returns the lowest address of the page that contains the first frame.
    pub(super) fn top_page(&self) -> usize {
        self.top() - page_size()
    }

    fn canary(&self) -> *mut CanaryLine {
        ptr::with_exposed_provenance_mut(self.top_page())
    }

    /// Writes the canary.
    ///
    /// The caller has either entered the stack and not begun to use it, or is the sweeper, which
    /// excludes every thread that would enter and has checked that the line is dead.
    #[cold]
    fn arm(&self) {
        // SAFETY: I3 of `stack`: the caller is alone on the slot, and the line lies in its top page
        // and is dead.
        unsafe { self.canary().write_volatile([CANARY ^ self.base.get() as u64; 8]) };
        self.armed.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if the canary is as it was written.
    ///
    /// A hint, unless the caller excludes every thread that would run on the stack.
    pub(super) fn canary_intact(&self) -> bool {
        // SAFETY: the line lies in the slot, which is mapped forever (I1 of `stack`). Its goroutine
        // may be writing to the line. The read is volatile; a wrong result only causes one trim too
        // many or too few.
        let line = unsafe { self.canary().read_volatile() };
        line == [CANARY ^ self.base.get() as u64; 8]
    }

    /// Returns the pages that hold nothing live.
    ///
    /// Called by the sweeper while it excludes every thread that would enter. With `whole`, the top
    /// page of a free slot is included.
    pub(super) fn dead_pages(&self, whole: bool) -> Span {
        let end = match self.saved_sp() {
            0 if whole => self.top(),
            0 => self.top_page(),
            sp => sp & !(page_size() - 1),
        };
        // If the stack pointer is on another stack, or deep down on this one, there is nothing to
        // drop.
        let end = if end <= self.top() { end } else { self.low() };
        Span::new(self.low()..end.max(self.low()))
    }

    /// Updates the entry after the dead pages were dropped: rewrites the canary if its line is dead
    /// and its page was kept, and marks a slot without pages as needing no further examination.
    ///
    /// Called by the sweeper while it excludes every thread that would enter.
    pub(super) fn note_trim(&self, whole: bool) {
        match self.saved_sp() {
            0 if whole => {
                self.armed.store(false, Ordering::Relaxed);
                self.age.store(QUIET, Ordering::Relaxed);
            }
            0 if self.armed.load(Ordering::Relaxed) => self.arm(),
            sp if sp >= self.top_page() + size_of::<CanaryLine>() && sp <= self.top() => self.arm(),
            _ => {}
        }
    }
}
