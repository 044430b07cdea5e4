//! Large areas of zeroed memory for goroutine headers, in huge pages where the system provides
//! them.
//!
//! A gigabyte of addresses is reserved at a time, without access, and made usable part by part: a
//! system that charges for memory before it is touched (`vm.overcommit_memory=2`, `ulimit -d`)
//! charges for the parts. The kernel joins neighboring parts into one mapping.

use std::ops::Range;
use std::ptr;

use super::memory::{self, Span};
use super::mutex::Mutex;

const REGION: usize = 1 << 30;
const HUGE: usize = 2 << 20;

/// The parts that are made usable: the first one of a reservation, which is enough for a small
/// program, and the later ones.
const FIRST: usize = HUGE;
const LATER: usize = 16 * HUGE;

/// A reservation.
struct Region {
    /// What has not been made usable.
    left: Range<usize>,
    /// How much of it is made usable next.
    next: usize,
}

static REGION_IN_USE: Mutex<Region> = Mutex::new(Region { left: 0..0, next: 0 });

/// Returns memory whose pages are committed on first touch.
///
/// Returns the start, aligned to 2 MiB, and the length, or `None` if the system refuses even a
/// small part.
pub(crate) fn take() -> Option<(*mut u8, usize)> {
    let mut region = REGION_IN_USE.lock();
    if region.left.is_empty() {
        *region = Region { left: [REGION, LATER, HUGE].into_iter().find_map(reserve)?, next: FIRST };
    }
    let start = region.left.start;
    let usable = [region.next.min(region.left.len()), HUGE].into_iter().find(|len| {
        // SAFETY: the span is the first part of the reservation that is not usable yet.
        unsafe { memory::make_usable(&Span::new(start..start + len)) }.is_ok()
    })?;
    region.left.start += usable;
    region.next = LATER;
    Some((ptr::with_exposed_provenance_mut(start), usable))
}

/// Reserves `len` bytes, aligned to 2 MiB.
fn reserve(len: usize) -> Option<Range<usize>> {
    // The reservation is HUGE longer than `len`, so the aligned start and the `len` bytes after it
    // lie inside.
    let aligned = memory::reserve(len + HUGE).ok()?.next_multiple_of(HUGE);
    advise_huge(aligned..aligned + len);
    Some(aligned..aligned + len)
}

/// Uses huge pages beyond the first 2 MiB, which stay in small pages because a small program should
/// not pay for a whole huge page.
#[cfg(target_os = "linux")]
fn advise_huge(range: Range<usize>) {
    if range.len() > HUGE {
        let start = ptr::with_exposed_provenance_mut(range.start + HUGE);
        // SAFETY: advice on a mapping of our own; refusal (no huge pages here) changes nothing.
        unsafe { libc::madvise(start, range.len() - HUGE, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge(_range: Range<usize>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_distinct_and_usable() {
        // More than one reservation holds.
        let mut parts: Vec<_> = (0..2 * REGION / LATER).map(|_| take().unwrap()).collect();
        for (start, len) in &parts {
            assert_eq!((start.addr() % HUGE, len % HUGE), (0, 0));
            for at in [0, len - 1] {
                // SAFETY: nothing else uses the part, and the byte is in it.
                unsafe {
                    assert_eq!(start.add(at).read(), 0);
                    start.add(at).write(1);
                }
            }
        }
        parts.sort_unstable();
        assert!(parts.is_sorted_by(|a, b| a.0.addr() + a.1 <= b.0.addr()), "{parts:?}");
    }
}
