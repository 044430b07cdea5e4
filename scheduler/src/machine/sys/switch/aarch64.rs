//! The switch of aarch64.
//!
//! ```text
//!   base      +------------------+  16-aligned
//!             | 0                |
//!             | entry            |  called by `begin` with ...
//!             | argument         |  ... this
//!             | begin            |  where the first resume jumps to
//!             | 0, 0             |  as if x29 and x19 had been saved
//!   first sp  +------------------+
//!
//!   suspended:   ... frames of the goroutine
//!             | unused           |  keeps the stack pointer 16-aligned
//!             | address of "2:"  |  where the next resume jumps to
//!             | x19              |
//!   saved sp  | x29              |
//!             +------------------+
//! ```
//!
//! LLVM does not allow `asm!` to name x19 and x29 as clobbered, so they are stored; all other
//! registers are declared as clobbered, and the compiler saves those in use. Among these is x30,
//! the return address, which the surrounding function signs where pointer authentication is on. The
//! words here are addresses of our own code, and are not signed. The targets of indirect jumps
//! begin with `bti j`, which CPUs without branch targets ignore (`hint #36`).

use std::arch::{asm, naked_asm};
use std::cell::Cell;

use crate::machine::sys::unwind::Registers;

/// What `lay` writes at the base of a stack.
pub(super) type FirstFrame = [usize; 6];

/// How many words `swap` leaves above the saved stack pointer.
pub(super) const SAVED_WORDS: usize = 4;

/// Returns the frame from which the first resume calls `main(argument)`.
pub(super) fn first_frame(main: usize, argument: usize) -> FirstFrame {
    [0, 0, begin as *const () as usize, argument, main, 0]
}

/// Returns the registers right after the side that saved these words at `sp` is resumed.
pub(super) fn registers(sp: usize, [fp, _, pc, _]: [usize; SAVED_WORDS]) -> Registers {
    // The surrounding function has stored x30, since `swap` declares it as clobbered.
    Registers { pc, sp: sp + SAVED_WORDS * size_of::<usize>(), fp, lr: 0 }
}

/// Changes sides.
///
/// # Safety
/// `other` is the stack pointer of a side that left through this function or was prepared by
/// `first_frame`.
#[inline(always)]
pub(super) unsafe fn swap(other: &Cell<usize>) {
    // SAFETY: all registers but x19, x29, and sp are declared; those three are saved on the stack
    // that is left, and are restored from there when that stack is resumed. x18 is a register like
    // others on Linux, and no code uses it on Apple's systems.
    unsafe {
        asm!(
            "stp x29, x19, [sp, #-32]!",
            "adr x16, 2f",
            "str x16, [sp, #16]",
            "ldr x16, [x0]",
            "mov x17, sp",
            "str x17, [x0]",
            "mov sp, x16",
            "ldr x16, [sp, #16]",
            "br x16",
            "2:",
            "hint #36",
            "ldp x29, x19, [sp], #32",
            inlateout("x0") other.as_ptr() => _,
            lateout("x20") _,
            lateout("x21") _,
            lateout("x22") _,
            lateout("x23") _,
            lateout("x24") _,
            lateout("x25") _,
            lateout("x26") _,
            lateout("x27") _,
            lateout("x28") _,
            lateout("v8") _,
            lateout("v9") _,
            lateout("v10") _,
            lateout("v11") _,
            lateout("v12") _,
            lateout("v13") _,
            lateout("v14") _,
            lateout("v15") _,
            clobber_abi("C"),
        );
    }
}

/// Begins a stack: calls `main(context)`, with a return address of zero.
#[unsafe(naked)]
unsafe extern "C" fn begin() {
    naked_asm!("hint #36", "ldp x0, x16, [sp, #24]", "add sp, sp, #48", "mov x29, xzr", "mov x30, xzr", "br x16",)
}
