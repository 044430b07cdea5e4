//! Reading a word of a stack from outside, whatever it is.
//!
//! A search of a suspended goroutine's stack meets objects that other threads share and may be
//! writing at this moment, padding, and memory that a sanitizer has poisoned. In Rust's terms such
//! a read is not a read of any object; so, on CPUs where this is possible, it is an instruction
//! about which the compiler, and with it the sanitizers, knows nothing. Its result is the word at
//! some moment.

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
#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn peek(address: usize) -> usize {
    // SAFETY: the address is aligned and readable, as the caller guarantees.
    unsafe { std::ptr::with_exposed_provenance::<usize>(address).read_volatile() }
}
