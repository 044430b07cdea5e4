//! Reading a word of a stack from outside, whatever it is.
//!
//! Who looks through the stack of a suspended goroutine meets objects that others share and may just be writing,
//! padding, and what a sanitizer has fenced off. In Rust's terms such a read is no read of any object; so on CPUs where
//! that can be said it is an instruction that the compiler, and with it the sanitizers, knows nothing of. What it finds
//! is a word of some moment.

/// The word at `address`.
///
/// # Safety
/// The address is aligned, and its page is mapped and readable.
#[inline]
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn peek(address: usize) -> usize {
    let word;
    // SAFETY: the caller's contract; nothing is written.
    unsafe {
        std::arch::asm!("mov {0}, [{1}]", out(reg) word, in(reg) address, options(nostack, readonly, preserves_flags));
    }
    word
}

/// The word at `address`.
///
/// # Safety
/// The address is aligned, and its page is mapped and readable.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn peek(address: usize) -> usize {
    // SAFETY: the caller's contract.
    unsafe { std::ptr::with_exposed_provenance::<usize>(address).read_volatile() }
}
