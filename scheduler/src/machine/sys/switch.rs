//! Switching from one stack to another and back.
//!
//! A [`Context`] ties a stack to its resumer. `resume` runs the code on the stack until it suspends
//! or ends; `suspend` returns to the resumer. The context keeps the resumer's position while the
//! stack runs, and the stack's position while it does not.
//!
//! # Why not corosensei on x86-64
//! corosensei pairs `call` and `ret` across the switch, so that backtraces continue to the resumer
//! and the CPU's return predictor stays correct in a tight loop. In a real program the suspend is a
//! few calls deep, and each round trip then pays for mispredicted returns. By contrast, an indirect
//! jump whose target is always the same is predicted. The table shows the whole scheduler on each
//! of the two, run alternately, as medians in ns (Zen 5, 2026-11-21, `benches/benches/yield_now.rs`
//! and `channel.rs`):
//!
//! | | corosensei | this |
//! | --- | --- | --- |
//! | yield, two goroutines | 44 | 31 |
//! | yield, a thousand | 56 | 35 |
//! | unbuffered round trip | 165 | 117 |
//!
//! So x86-64 has its own switch of nine instructions, and all other CPUs use corosensei's. Both are
//! behind this interface. `stack::grow` uses corosensei's `on_stack` everywhere.
//!
//! # The picture (x86-64)
//! ```text
//!   base      +------------------+  16-aligned
//!             | 0                |  a return address that ends backtraces
//!             | entry            |  called by `begin` with ...
//!             | argument         |  ... this
//!   first sp  | begin            |  where the first resume jumps to
//!             +------------------+
//!
//!   suspended:   ... frames of the goroutine
//!             | rbp              |
//!             | rbx              |
//!   saved sp  | address of "2:"  |  where the next resume jumps to
//!             +------------------+
//! ```
//!
//! LLVM does not allow `asm!` to name rbx and rbp as clobbered, so they are pushed; all other
//! registers are declared as clobbered, and the compiler saves those in use.

pub(crate) use imp::Context;

/// The function that a stack runs.
///
/// When it returns, the stack has ended.
pub(crate) type Entry = fn(*mut ());

#[cfg(target_arch = "x86_64")]
mod imp {
    use std::arch::{asm, naked_asm};
    use std::cell::Cell;
    use std::ptr;

    use super::super::unwind::Registers;
    use super::Entry;
    use crate::machine::sys::sanitizer::Fiber;

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
            let frame = [begin as *const () as usize, ptr::from_ref(self).addr(), main as *const () as usize, 0];
            let sp = base - size_of_val(&frame);
            // SAFETY: the caller guarantees that the stack below `base` is writable and not in use.
            unsafe { ptr::with_exposed_provenance_mut::<[usize; 4]>(sp).write(frame) };
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
            unsafe { self.swap() };
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
            unsafe { self.swap() };
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
            let word = |n: usize| {
                // SAFETY: `swap` left three words here, and the caller keeps them.
                unsafe { ptr::with_exposed_provenance::<usize>(sp).add(n).read_volatile() }
            };
            Some(Registers { pc: word(0), sp: sp + 3 * size_of::<usize>(), fp: word(2) })
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

        /// Changes sides.
        ///
        /// # Safety
        /// `other` is the stack pointer of a side that left through this context or was prepared by
        /// `lay`.
        #[inline(always)]
        unsafe fn swap(&self) {
            // SAFETY: all registers but rbx, rbp, and rsp are declared; those three are saved on
            // the stack that is left, and are restored from there when that stack is resumed.
            unsafe {
                asm!(
                    "push rbp",
                    "push rbx",
                    "lea rax, [rip + 2f]",
                    "push rax",
                    "mov rax, [rdi]",
                    "mov [rdi], rsp",
                    "mov rsp, rax",
                    "pop rax",
                    "jmp rax",
                    "2:",
                    "pop rbx",
                    "pop rbp",
                    inlateout("rdi") self.other.as_ptr() => _,
                    lateout("r12") _,
                    lateout("r13") _,
                    lateout("r14") _,
                    lateout("r15") _,
                    clobber_abi("sysv64"),
                );
            }
        }
    }

    /// Begins a stack: calls `main(context)`, with a return address of zero.
    #[unsafe(naked)]
    unsafe extern "sysv64" fn begin() {
        naked_asm!("pop rdi", "pop rax", "jmp rax")
    }

    unsafe extern "sysv64" fn main(context: *const Context) -> ! {
        // SAFETY: `lay` wrote the address of a context that stays in place.
        let context = unsafe { &*context };
        context.fiber.begun();
        (context.entry)(context.arg);
        context.ended.set(true);
        context.fiber.leave_for_good();
        // SAFETY: this is the context's stack.
        unsafe { context.swap() };
        unreachable!("switch: a stack was resumed after its end");
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod imp {
    use std::cell::{Cell, UnsafeCell};
    use std::mem::MaybeUninit;
    use std::ptr;

    use corosensei::stack::{Stack, StackPointer};
    use corosensei::{Coroutine, CoroutineResult, Yielder};

    use super::super::stack_pointer::stack_pointer;
    use super::super::unwind::Registers;
    use super::Entry;

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
}

#[cfg(test)]
mod tests {
    use super::Context;
    use std::cell::RefCell;

    thread_local! {
        static TRACE: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }

    fn note(n: u32) {
        TRACE.with_borrow_mut(|trace| trace.push(n));
    }

    fn entry(arg: *mut ()) {
        // SAFETY: the test passes a place that already holds the context's address when this runs.
        let context = unsafe { &**arg.cast::<*const Context>() };
        for n in 0..3 {
            note(n);
            // SAFETY: this runs on the context's stack.
            unsafe { context.suspend() };
        }
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(7)));
        note(u32::from(caught.is_err()) * 100);
    }

    #[test]
    fn runs_suspends_goes_on_and_ends() {
        #[repr(align(16))]
        struct Memory([u8; 64 << 10]);
        let mut memory = Box::new(Memory([0; 64 << 10]));
        let limit = memory.0.as_mut_ptr().expose_provenance();
        let mut place = std::ptr::null::<Context>();
        let context = Context::new(limit, entry, (&raw mut place).cast());
        place = &raw const context;
        // SAFETY: the memory is ours and large enough for what `entry` does; the stack is resumed
        // until it ends.
        unsafe {
            context.lay(limit + memory.0.len());
            for n in 10..13 {
                assert!(context.resume());
                note(n);
            }
            assert!(!context.resume());
        }
        assert!(!place.is_null());
        assert_eq!(TRACE.take(), [0, 10, 1, 11, 2, 12, 100]);
    }
}
