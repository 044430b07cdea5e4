//! Large areas of zeroed memory for goroutine headers, in huge pages where the system provides
//! them.

use std::ptr;

const REGION: usize = 1 << 30;
const HUGE: usize = 2 << 20;

/// Reserves address space whose pages are committed on first touch.
///
/// Returns the start, aligned to 2 MiB, and the length, or `None` if the system refuses even a
/// small reservation.
pub(crate) fn reserve() -> Option<(*mut u8, usize)> {
    [REGION, 16 * HUGE, HUGE].into_iter().find_map(reserve_exactly)
}

fn reserve_exactly(len: usize) -> Option<(*mut u8, usize)> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len + HUGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let start = start.cast::<u8>();
    // SAFETY: the mapping is HUGE longer than `len`, so the aligned start and the `len` bytes after
    // it lie inside.
    let aligned = unsafe { start.add(start.align_offset(HUGE)) };
    advise_huge(aligned, len);
    Some((aligned, len))
}

/// Uses huge pages beyond the first 2 MiB, which stay in small pages because a small program should
/// not pay for a whole huge page.
#[cfg(target_os = "linux")]
fn advise_huge(start: *mut u8, len: usize) {
    if len > HUGE {
        // SAFETY: advice on a mapping of our own; refusal (no huge pages here) changes nothing.
        unsafe { libc::madvise(start.add(HUGE).cast(), len - HUGE, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge(_start: *mut u8, _len: usize) {}
