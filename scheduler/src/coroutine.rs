//! A goroutine's stack with a coroutine on it: start, resume, suspend, take apart.
//!
//! The switch itself is corosensei's. This module places corosensei's handle, and what else a running stack needs, at the
//! top of the stack itself:
//!
//! ```text
//!   high   +----------------------+  top of the slot, less its colour
//!          | StackHead            |  coroutine handle, yielder, side-table entry
//!          +----------------------+  base of the coroutine
//!          | frames of the        |
//!          | goroutine   |        |
//!          |             v        |
//!          |                      |
//!   low    | guard area           |
//!          +----------------------+
//! ```
//! That page is in use anyway, moving the stack from one goroutine to the next is a pointer, and a goroutine that has not
//! run owns none of it.
//!
//! # Invariants
//! * I1: a `StackHead` is reached only through the goroutine that has the stack, by the M that owns that goroutine.
//! * I2: a suspended coroutine is never dropped: corosensei would unwind it from outside, and a goroutine's frames may
//!   not be unwound at any point but their own. It is resumed to its end or left for ever.
//!
//! # Sending
//! corosensei's `Coroutine` is not `Send`, since it cannot know what lives on the stack. Here the closure is `Send`, and what it
//! keeps on its stack across a park is the user's: DESIGN 4.5 in ARCHITECTURE.md states what that means.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

use corosensei::stack::StackPointer;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::machine::stack::{SlotMeta, Stack};

type Co = Coroutine<Owner, (), (), Body>;

/// The goroutine on a stack, as its users name it.
pub(crate) type Owner = *mut ();

/// The part of a stack below its head.
struct Body(Stack);

const HEAD: usize = size_of::<StackHead>().next_multiple_of(64);

// SAFETY: base and limit are the stack's own, less the head at its top, which is a multiple of the alignment and far
// smaller than any stack.
unsafe impl corosensei::stack::Stack for Body {
    #[inline]
    fn base(&self) -> StackPointer {
        let base = corosensei::stack::Stack::base(&self.0).get() - HEAD;
        StackPointer::new(base).expect("coroutine: a stack is not at address zero")
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        corosensei::stack::Stack::limit(&self.0)
    }
}

/// What sits at the top of a stack that a goroutine runs on.
pub(crate) struct StackHead {
    coroutine: UnsafeCell<MaybeUninit<Co>>,
    yielder: Cell<*const Yielder<Owner, ()>>,
    meta: &'static SlotMeta,
    /// Lowest usable address of this stack.
    bottom: usize,
    /// Lowest address that the goroutine may use; not `bottom` while `stack::grow` runs on another stack.
    low: Cell<usize>,
}

impl StackHead {
    /// Lays a coroutine on `stack` that will run `main(first goroutine)`.
    #[inline]
    pub(crate) fn install(stack: Stack, main: fn(Owner)) -> *mut StackHead {
        let head = (corosensei::stack::Stack::base(&stack).get() - HEAD) as *mut StackHead;
        let (meta, low) = (stack.meta(), stack.low());
        // SAFETY: the top of the stack is ours, since the stack is; the head fits above the coroutine's base.
        unsafe {
            head.write(StackHead {
                coroutine: UnsafeCell::new(MaybeUninit::uninit()),
                yielder: Cell::new(std::ptr::null()),
                meta,
                bottom: low,
                low: Cell::new(low),
            });
            let coroutine = Coroutine::with_stack(Body(stack), move |yielder: &Yielder<Owner, ()>, first: Owner| {
                (*head).yielder.set(yielder);
                main(first);
            });
            (*(*head).coroutine.get()).write(coroutine);
        }
        head
    }

    /// Runs what is on the stack until it suspends (true) or ends (false).
    ///
    /// # Safety
    /// I1; the coroutine is not running and has not ended. `owner` is used by the first resume only; `sp` is what the
    /// goroutine gives to `suspend`.
    #[inline]
    pub(crate) unsafe fn resume(this: *mut StackHead, owner: Owner, sp: impl FnOnce() -> usize) -> bool {
        // SAFETY: I1; the head was written by `install`.
        let (coroutine, meta) = unsafe { ((*(*this).coroutine.get()).assume_init_mut(), (*this).meta) };
        meta.resume();
        let suspended = matches!(coroutine.resume(owner), CoroutineResult::Yield(()));
        if suspended {
            // SAFETY: I1; the goroutine was entered, and left its frames at and above `sp`.
            unsafe { meta.suspend(sp()) };
        }
        suspended
    }

    /// Leaves the stack; returns when it is resumed, perhaps on another thread. `sp` gets the lowest address of this
    /// stack whose content is needed, nearly: what the switch itself saves comes on top.
    ///
    /// # Safety
    /// The caller runs on this stack.
    #[inline]
    pub(crate) unsafe fn suspend(this: *mut StackHead, sp: &Cell<usize>) {
        // SAFETY: the caller runs on this stack, so its head is there.
        let head = unsafe { &*this };
        let here = 0u8;
        let on_grown_stack = head.low.get() != head.bottom;
        sp.set(if on_grown_stack { head.bottom } else { (&raw const here).addr() });
        // SAFETY: the yielder was set when the coroutine began, and lives as long as it.
        unsafe { (*head.yielder.get()).suspend(()) };
    }

    /// Takes the stack back from a coroutine that has ended.
    ///
    /// # Safety
    /// I1; the coroutine has ended.
    #[inline]
    pub(crate) unsafe fn into_stack(this: *mut StackHead) -> Stack {
        // SAFETY: the caller says that the coroutine has ended; the handle is read out once.
        unsafe { (*(*this).coroutine.get()).assume_init_read() }.into_stack().0
    }

    /// Notes which goroutine is on the stack, for dumps and the overflow report.
    #[inline]
    pub(crate) fn set_owner(&self, owner: Owner) {
        self.meta.set_owner(owner);
    }

    /// The lowest address that the goroutine may use at the moment.
    pub(crate) fn low(&self) -> usize {
        self.low.get()
    }

    /// Sets the lowest usable address; returns the one before.
    pub(crate) fn replace_low(&self, low: usize) -> usize {
        self.low.replace(low)
    }
}
