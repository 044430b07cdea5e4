//! The switch of x86-64: nine instructions.
//!
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

use std::arch::{asm, naked_asm};
use std::cell::Cell;

use crate::machine::sys::unwind::Registers;

/// What `lay` writes at the base of a stack.
pub(super) type FirstFrame = [usize; 4];

/// How many words `swap` leaves above the saved stack pointer.
pub(super) const SAVED_WORDS: usize = 3;

/// Returns the frame from which the first resume calls `main(argument)`.
pub(super) fn first_frame(main: usize, argument: usize) -> FirstFrame {
    [begin as *const () as usize, argument, main, 0]
}

/// Returns the registers right after the side that saved these words at `sp` is resumed.
pub(super) fn registers(sp: usize, [pc, _, fp]: [usize; SAVED_WORDS]) -> Registers {
    Registers { pc, sp: sp + SAVED_WORDS * size_of::<usize>(), fp, lr: 0 }
}

/// Changes sides.
///
/// # Safety
/// `other` is the stack pointer of a side that left through this function or was prepared by
/// `first_frame`.
#[inline(always)]
pub(super) unsafe fn swap(other: &Cell<usize>) {
    // SAFETY: all registers but rbx, rbp, and rsp are declared; those three are saved on the stack
    // that is left, and are restored from there when that stack is resumed.
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
            inlateout("rdi") other.as_ptr() => _,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
}

/// Begins a stack: calls `main(context)`, with a return address of zero.
#[unsafe(naked)]
unsafe extern "sysv64" fn begin() {
    naked_asm!("pop rdi", "pop rax", "jmp rax")
}
