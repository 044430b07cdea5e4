//! A switch of our own: what is the same on all CPUs that have one.

use std::cell::Cell;
use std::ptr;

use super::Entry;
use crate::machine::sys::sanitizer::Fiber;
use crate::machine::sys::unwind::Registers;
use arch::{FirstFrame, SAVED_WORDS, first_frame, registers, swap};

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod arch;

/// A stack and its resumer, of which only one runs at a time.
pub(crate) struct Context {
    /// The stack pointer of the side that does not run.
    other: Cell<usize>,
    ended: Cell<bool>,
    fiber: Fiber,
    entry: Entry,
    arg: *mut (),
}

impl Context {
    /// Creates a context that will run `entry(arg)` on a stack below `base`.
    ///
    /// Follow with [`lay`](Self::lay).
    pub(crate) fn new(limit: usize, entry: Entry, arg: *mut ()) -> Self {
        Self { other: Cell::new(0), ended: Cell::new(false), fiber: Fiber::new(limit), entry, arg }
    }

    /// Writes the first frame.
    ///
    /// # Safety
    /// The stack below `base`, which is 16-aligned, is writable and not in use. The context
    /// stays in place from now on.
    #[inline]
    pub(crate) unsafe fn lay(&self, base: usize) {
        let sp = base - size_of::<FirstFrame>();
        let frame = first_frame(main as *const () as usize, ptr::from_ref(self).addr());
        // SAFETY: the caller guarantees that the stack below `base` is writable and not in use.
        unsafe { ptr::with_exposed_provenance_mut::<FirstFrame>(sp).write(frame) };
        self.other.set(sp);
        self.fiber.lay(base);
    }

    /// Runs the stack until it suspends, and returns `true`, or ends, and returns `false`.
    ///
    /// # Safety
    /// The stack was laid, is suspended, and has not ended.
    #[inline]
    pub(crate) unsafe fn resume(&self) -> bool {
        self.fiber.enter();
        // SAFETY: the stack was laid and is suspended, as the caller guarantees.
        unsafe { swap(&self.other) };
        self.fiber.left();
        if self.ended.get() {
            self.fiber.ended();
        }
        !self.ended.get()
    }

    /// Switches to the resumer; returns when the stack is resumed.
    ///
    /// # Safety
    /// The caller runs on this context's stack.
    #[inline]
    pub(crate) unsafe fn suspend(&self) {
        self.fiber.leave();
        // SAFETY: the caller runs on this context's stack, so the other side is its resumer.
        unsafe { swap(&self.other) };
        self.fiber.come_back();
    }

    /// Returns the registers of the side that does not run, as they will be right after that
    /// side is next resumed.
    ///
    /// The stack's own side must have been entered before, because the words written by `lay`
    /// are not a frame.
    ///
    /// # Safety
    /// That side left through this context, and does not change during the call.
    pub(crate) unsafe fn saved(&self) -> Option<Registers> {
        let sp = self.other.get();
        // SAFETY: `swap` left these words here, and the caller keeps them.
        let words = unsafe { ptr::with_exposed_provenance::<[usize; SAVED_WORDS]>(sp).read_volatile() };
        Some(registers(sp, words))
    }

    /// Returns the address at which the live words of a suspended stack begin: the stack
    /// pointer that `swap` saved.
    ///
    /// No words below it are live: since `swap` pushes, the compiler keeps nothing in the red
    /// zone of the function that contains it.
    #[inline]
    pub(crate) fn saved_sp(&self) -> usize {
        self.other.get()
    }
}

unsafe extern "C" fn main(context: *const Context) -> ! {
    // SAFETY: `lay` wrote the address of a context that stays in place.
    let context = unsafe { &*context };
    context.fiber.begun();
    (context.entry)(context.arg);
    context.ended.set(true);
    context.fiber.leave_for_good();
    // SAFETY: this is the context's stack.
    unsafe { swap(&context.other) };
    unreachable!("switch: a stack was resumed after its end");
}
