//! The switch of all CPUs without one of our own: corosensei's.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr;

use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::Entry;
use crate::machine::sys::stack_pointer::stack_pointer;
use crate::machine::sys::unwind::Registers;

/// A stack and its resumer, of which only one runs at a time.
pub(crate) struct Context {
    coroutine: UnsafeCell<MaybeUninit<Coroutine<(), (), (), Bounds>>>,
    yielder: Cell<*const Yielder<(), ()>>,
    sp: Cell<usize>,
    limit: usize,
    entry: Entry,
    arg: *mut (),
}

/// How far below the stack pointer of `suspend` there may be live words. They are the frame of
/// `suspend` itself, if the compiler sets it up after the register is read; the frame of
/// corosensei's `Yielder::suspend`, which has to keep a pointer, no value, and at most all
/// registers; and the three registers that its switch pushes.
const BELOW: usize = 1024;

struct Bounds {
    base: StackPointer,
    limit: StackPointer,
}

// SAFETY: `lay` is called with the bounds of a stack.
unsafe impl Stack for Bounds {
    fn base(&self) -> StackPointer {
        self.base
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}

impl Context {
    /// Creates a context that will run `entry(arg)` on a stack below `base`.
    ///
    /// Follow with [`lay`](Self::lay).
    pub(crate) fn new(limit: usize, entry: Entry, arg: *mut ()) -> Self {
        let coroutine = UnsafeCell::new(MaybeUninit::uninit());
        Self { coroutine, yielder: Cell::new(ptr::null()), sp: Cell::new(0), limit, entry, arg }
    }

    /// Writes the first frame.
    ///
    /// # Safety
    /// The stack below `base`, which is 16-aligned, is writable and not in use. The context
    /// stays in place from now on.
    pub(crate) unsafe fn lay(&self, base: usize) {
        let (Some(base), Some(limit)) = (StackPointer::new(base), StackPointer::new(self.limit)) else {
            unreachable!("switch: a stack at address zero")
        };
        let context = ptr::from_ref(self);
        let coroutine = Coroutine::with_stack(Bounds { base, limit }, move |yielder: &Yielder<(), ()>, ()| {
            // SAFETY: the context stays in place.
            let context = unsafe { &*context };
            context.yielder.set(yielder);
            (context.entry)(context.arg);
        });
        // SAFETY: no other code uses the context yet.
        unsafe { (*self.coroutine.get()).write(coroutine) };
    }

    /// Runs the stack until it suspends, and returns `true`, or ends, and returns `false`.
    ///
    /// # Safety
    /// The stack was laid, is suspended, and has not ended.
    pub(crate) unsafe fn resume(&self) -> bool {
        // SAFETY: the stack was laid, as the caller guarantees. A suspended coroutine is never
        // dropped, since the cell does not drop its contents.
        let coroutine = unsafe { (*self.coroutine.get()).assume_init_mut() };
        matches!(coroutine.resume(()), CoroutineResult::Yield(()))
    }

    /// Switches to the resumer; returns when the stack is resumed.
    ///
    /// # Safety
    /// The caller runs on this context's stack.
    // Never inlined, so that `BELOW` is correct whatever the caller's frame looks like.
    #[inline(never)]
    pub(crate) unsafe fn suspend(&self) {
        self.sp.set((stack_pointer() - BELOW) & !(align_of::<usize>() - 1));
        // SAFETY: the yielder was set when the coroutine began, and lives as long as the
        // coroutine.
        unsafe { (*self.yielder.get()).suspend(()) };
    }

    /// Returns `None`, since corosensei does not expose the registers.
    ///
    /// # Safety
    /// None needed; the signature is that of the platform contract.
    pub(crate) unsafe fn saved(&self) -> Option<Registers> {
        None
    }

    /// Returns the address at which the live words of a suspended stack begin, or an address up
    /// to `BELOW` bytes below, since corosensei does not tell what its switch saved.
    pub(crate) fn saved_sp(&self) -> usize {
        self.sp.get()
    }
}
