//! A goroutine's stack and the execution on it: install, resume, suspend, take back.
//!
//! The switch itself is [`crate::machine::sys::switch`]. This module places its context, and
//! everything else a running stack needs, at the top of the stack itself:
//!
//! ```text
//!   high   +----------------------+  top of the slot, less its color
//!          | StackHead            |  context, side-table entry
//!          +----------------------+  base of the execution
//!          | frames of the        |
//!          | goroutine   |        |
//!          |             v        |
//!          |                      |
//!   low    | guard area           |
//!          +----------------------+
//! ```
//! That page is in use anyway. Moving the stack from one goroutine to the next costs one pointer,
//! and a goroutine that has not run owns no part of it.
//!
//! # Invariants
//! * I1: a `StackHead` is reached only through the goroutine that has the stack, by the M that owns
//!   that goroutine.
//! * I2: a suspended execution is never dropped and never unwound from outside: it is resumed until
//!   it ends, or left forever.
//!
//! # Sending
//! An execution moves between threads. The closure that it runs is `Send`. Values that the closure
//! keeps on its stack across a park are the user's responsibility: ARCHITECTURE.md,
//! "Thread-locals", describes the consequences.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;

use crate::machine::stack::{SlotMeta, Stack};
use crate::machine::sys::peek::peek;
use crate::machine::sys::switch::{Context, Entry};
use crate::machine::sys::unwind::Registers;

/// The goroutine on a stack, as an opaque pointer.
pub(crate) type Owner = *mut ();

/// The control block at the top of a stack that a goroutine runs on.
pub(crate) struct StackHead {
    context: Context,
    meta: &'static SlotMeta,
    stack: Cell<Option<Stack>>,
    /// The lowest usable address of this stack.
    bottom: usize,
    /// The lowest address that the goroutine may use; not `bottom` while `stack::grow` runs on
    /// another stack.
    low: Cell<usize>,
    /// The other stacks that the goroutine has grown onto, the most recent first.
    grown: Cell<*const Grown>,
}

/// A stack that a goroutine has grown onto, kept in a frame of the previous stack.
pub(crate) struct Grown {
    /// The address where the frames on this stack begin.
    base: usize,
    /// The lowest live word of the previous stack, or an address slightly below it.
    left_at: Cell<usize>,
    before: Cell<*const Grown>,
}

impl Grown {
    /// Returns the record of a stack with this base, for a goroutine that is about to grow onto it.
    ///
    /// The goroutine then records where it [leaves](Self::set_left_at) the previous stack.
    pub(crate) fn new(base: usize) -> Self {
        Self { base, left_at: Cell::new(0), before: Cell::new(ptr::null()) }
    }

    /// Notes that the stack that is left has no live words below this address.
    pub(crate) fn set_left_at(&self, sp: usize) {
        self.left_at.set(sp & !(align_of::<usize>() - 1));
    }
}

/// The size of the head, a multiple of the alignment of stacks.
const HEAD: usize = size_of::<StackHead>().next_multiple_of(64);

impl StackHead {
    /// Places an execution that will run `main(owner)` on `stack`.
    #[inline]
    pub(crate) fn install(stack: Stack, main: Entry, owner: Owner) -> *mut StackHead {
        let base = corosensei::stack::Stack::base(&stack).get() - HEAD;
        let head = ptr::with_exposed_provenance_mut::<StackHead>(base);
        let (meta, low) = (stack.meta(), stack.low());
        // SAFETY: the caller owns the stack, and so the top of it; the head fits above the base.
        unsafe {
            head.write(StackHead {
                context: Context::new(meta.limit(), main, owner),
                meta,
                stack: Cell::new(Some(stack)),
                bottom: low,
                low: Cell::new(low),
                grown: Cell::new(ptr::null()),
            });
            (*head).context.lay(base);
        }
        meta.set_owner(owner);
        head
    }

    /// Runs the execution until it suspends or ends.
    ///
    /// If it suspends, returns the lowest address of this stack whose contents are needed, which is
    /// also passed to [`SlotMeta::suspend`]. Returns `None` if it has ended.
    ///
    /// # Safety
    /// I1; the execution is suspended, or has not begun.
    #[inline]
    pub(crate) unsafe fn resume(this: *mut StackHead) -> Option<usize> {
        // SAFETY: I1; the head was written by `install`.
        let head = unsafe { &*this };
        head.meta.resume();
        // SAFETY: the execution is suspended or has not begun, and the caller owns it (I1).
        if !unsafe { head.context.resume() } {
            return None;
        }
        let on_grown_stack = head.low.get() != head.bottom;
        let sp = if on_grown_stack { head.bottom } else { head.context.saved_sp() };
        // SAFETY: the stack was entered above. The goroutine has left its frames at and above the
        // stack pointer that the switch saved; while it is on another stack, this whole stack
        // counts as needed.
        unsafe { head.meta.suspend(sp) };
        Some(sp)
    }

    /// Suspends the execution. Returns when it is resumed, perhaps on another thread.
    ///
    /// # Safety
    /// The caller runs on this stack, or on another that the goroutine has grown onto.
    #[inline]
    pub(crate) unsafe fn suspend(this: *mut StackHead) {
        // SAFETY: the goroutine runs, so its head exists, and it is on its context's stacks.
        unsafe { (*this).context.suspend() };
    }

    /// Takes the stack back from an execution that has ended.
    ///
    /// # Safety
    /// I1; the execution has ended.
    #[inline]
    pub(crate) unsafe fn into_stack(this: *mut StackHead) -> Stack {
        // SAFETY: I1; the execution has ended.
        unsafe { (*this).stack.take() }.expect("coroutine: a stack is taken back once")
    }

    /// Returns the registers with which the execution will continue.
    ///
    /// # Safety
    /// The execution is suspended, and stays so during the call.
    pub(crate) unsafe fn saved(&self) -> Option<Registers> {
        // SAFETY: the execution stays suspended, as the caller promises.
        unsafe { self.context.saved() }
    }

    /// Notes which goroutine is on the stack, for dumps and the overflow report.
    #[inline]
    pub(crate) fn set_owner(&self, owner: Owner) {
        self.meta.set_owner(owner);
    }

    /// Returns the lowest address that the goroutine may currently use.
    pub(crate) fn low(&self) -> usize {
        self.low.get()
    }

    /// Notes that the goroutine grows onto another stack, whose lowest usable address is `low`.
    ///
    /// Returns the previous lowest usable address. `grown` stays in place until
    /// [`leave_grown`](Self::leave_grown).
    pub(crate) fn enter_grown(&self, grown: &Grown, low: usize) -> usize {
        grown.before.set(self.grown.replace(grown));
        self.low.replace(low)
    }

    /// Notes that the goroutine is back on the previous stack, with the lowest usable address that
    /// it had there.
    pub(crate) fn leave_grown(&self, grown: &Grown, low: usize) {
        self.grown.set(grown.before.get());
        self.low.set(low);
    }

    /// Returns `true` if a live word of the stack, or of the other stacks that the goroutine is on,
    /// is an address in `memory`.
    ///
    /// # Safety
    /// I1; the execution is suspended.
    pub(crate) unsafe fn points_into(this: *const StackHead, memory: &Range<usize>) -> bool {
        // SAFETY: I1; the head was written by `install`.
        let head = unsafe { &*this };
        let (mut sp, mut grown) = (head.context.saved_sp(), head.grown.get());
        loop {
            // SAFETY: the frame that holds the record is suspended too.
            let on = unsafe { grown.as_ref() };
            let base = on.map_or(this.addr(), |on| on.base);
            // SAFETY: these are frames of the suspended execution, and perhaps a few words below
            // them.
            if unsafe { words_point_into(sp..base, memory) } {
                return true;
            }
            let Some(on) = on else { return false };
            (sp, grown) = (on.left_at.get(), on.before.get());
        }
    }
}

/// Returns `true` if a word of `stack` is an address in `memory`.
///
/// # Safety
/// The words are all in one stack, above its guard. (The goroutine on it may be running: the result
/// then means nothing.)
unsafe fn words_point_into(stack: Range<usize>, memory: &Range<usize>) -> bool {
    stack.step_by(size_of::<usize>()).any(|at| {
        // SAFETY: the words are all in one stack, as the caller promises, and slots are never
        // unmapped.
        memory.contains(&unsafe { peek(at) })
    })
}
