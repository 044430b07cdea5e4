//! Asking the CPU to load memory that will be needed soon.

use std::ptr::NonNull;

/// A cache line, in bytes.
pub(crate) const LINE: usize = 64;

/// Begins to load the value at `place`, which need no longer be valid.
#[inline]
pub fn prefetch_value<T>(place: NonNull<T>) {
    (0..size_of::<T>()).step_by(LINE).for_each(|at| prefetch(place.addr().get().wrapping_add(at)));
}

/// Begins to load the frames around `node`, the wait node of a goroutine that is about to be woken.
#[inline]
pub fn prefetch_frames<T>(node: NonNull<T>) {
    for line in [-3, -2, -1, 1, 2, 3] {
        prefetch(node.addr().get().wrapping_add_signed(line * LINE as isize));
    }
}

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

/// Does nothing, since Rust provides no such hint for this CPU.
#[inline]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn prefetch(_address: usize) {}
