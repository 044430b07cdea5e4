//! Asking the CPU to load memory that will be needed soon.

/// Begins to load the cache line at `address`, which need not be valid.
#[inline]
#[cfg(target_arch = "x86_64")]
pub(crate) fn prefetch(address: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch never faults and changes nothing that a program can see.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::with_exposed_provenance(address)) };
}

/// Begins to load the cache line at `address`, which need not be valid.
#[inline]
#[cfg(target_arch = "aarch64")]
pub(crate) fn prefetch(address: usize) {
    // SAFETY: a prefetch never faults and changes nothing that a program can see.
    unsafe { std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, readonly, preserves_flags)) };
}

/// Does nothing: this CPU has no such hint that Rust could name.
#[inline]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn prefetch(_address: usize) {}
