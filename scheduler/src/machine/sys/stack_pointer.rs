//! The stack pointer of the calling function.
//!
//! The address of a local variable does not tell where a stack ends. The compiler lays out a frame
//! as it likes. When link-time optimization inlined the scheduler into its caller, a local of the
//! scheduler was observed 57 439 bytes above the stack pointer. AddressSanitizer may even keep
//! locals on the heap. So the register itself is read.

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "x86",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "riscv32",
    target_arch = "loongarch64",
)))]
compile_error!("add the instruction that reads the stack pointer of this CPU");

/// Returns the stack pointer.
///
/// All words that the calling frame and its callers keep on the stack are at or above it. If the
/// caller is a function that is never inlined, anything that the compiler may have deferred to the
/// caller's own prologue is below it.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let sp;
    // SAFETY: this only reads a register.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, preserves_flags));
        #[cfg(target_arch = "x86")]
        std::arch::asm!("mov {}, esp", out(reg) sp, options(nomem, preserves_flags));
        #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
        std::arch::asm!("mov {}, sp", out(reg) sp, options(nomem, preserves_flags));
        #[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
        std::arch::asm!("mv {}, sp", out(reg) sp, options(nomem, preserves_flags));
        #[cfg(target_arch = "loongarch64")]
        std::arch::asm!("move {}, $sp", out(reg) sp, options(nomem, preserves_flags));
    }
    sp
}
