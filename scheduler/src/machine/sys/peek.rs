//! Reading any word of a stack from outside.
//!
//! A search of a suspended goroutine's stack encounters padding, memory that a sanitizer has
//! poisoned, and objects that other threads share and may currently be writing. In Rust's terms
//! such a read is not a read of any object. So, on CPUs where this is possible, the read is an
//! instruction that the compiler, and therefore the sanitizers, know nothing about. Its result is
//! the word at some moment.

/// Returns the word at `address`.
///
/// # Safety
/// The address is aligned, and its page is mapped and readable.
#[inline]
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn peek(address: usize) -> usize {
    let word;
    // SAFETY: the address is aligned and readable, as the caller guarantees; nothing is written.
    unsafe {
        std::arch::asm!("mov {0}, [{1}]", out(reg) word, in(reg) address, options(nostack, readonly, preserves_flags));
    }
    word
}

/// Returns the word at `address`.
///
/// # Safety
/// The address is aligned, and its page is mapped and readable.
#[inline]
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn peek(address: usize) -> usize {
    let word;
    // SAFETY: the address is aligned and readable, as the caller guarantees; nothing is written.
    unsafe {
        std::arch::asm!("ldr {0}, [{1}]", out(reg) word, in(reg) address, options(nostack, readonly, preserves_flags));
    }
    word
}

/// Returns the word at `address`.
///
/// # Safety
/// The address is aligned, and its page is mapped and readable.
#[inline]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) unsafe fn peek(address: usize) -> usize {
    // SAFETY: the address is aligned and readable, as the caller guarantees.
    unsafe { std::ptr::with_exposed_provenance::<usize>(address).read_volatile() }
}
