//! Address space and pages: reserve, guard, drop, and query residency.
//!
//! | promise | Linux | elsewhere |
//! | --- | --- | --- |
//! | [`map`] | `mmap`, committed on touch, no huge pages | the same |
//! | [`reserve`], [`make_usable`] | `mmap` without access, uncharged; `mprotect` | the same |
//! | [`guard`] | `MADV_GUARD_INSTALL` (6.13), in batches; splits no mapping | unsupported |
//! | [`protect`] | `mprotect`, which splits the mapping in two | the same |
//! | [`find_unclaimed`], [`map_at`] | where the kernel maps nothing by itself | unsupported |
//! | [`drop_pages`] | `MADV_DONTNEED`, in batches | `MADV_FREE`, taken when memory is short |
//! | [`Residency`] | `PAGEMAP_SCAN` (6.7), else `mincore` | `mincore` |
//!
//! The third way to guard, with userfaultfd, is in [`userfault`](super::userfault).
//!
//! Batches go through `process_madvise` on the process itself: one call, and one interruption of
//! the other CPUs, covers 64 ranges (0.7 us per range, against 9.5 us, while another CPU runs the
//! process). The target is the constant `PIDFD_SELF`. A descriptor from `pidfd_open` would name the
//! parent after a fork, and a program that closes all descriptors would close it. Kernels before
//! 6.14 do not know `PIDFD_SELF`; there each range takes a call of its own.

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use imp::{
    Residency, address_space_in_use, alternate_stack_size, drop_pages, find_unclaimed, guard, is_writable, map_at,
    mapping_limit,
};

/// A range of addresses, laid out as the system calls expect it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Span(libc::iovec);

impl Span {
    pub(crate) const EMPTY: Self = Self(libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 });

    pub(crate) fn new(range: Range<usize>) -> Self {
        let iov_base = ptr::with_exposed_provenance_mut(range.start);
        Self(libc::iovec { iov_base, iov_len: range.end.saturating_sub(range.start) })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iov_len == 0
    }

    /// Advises the system on this range alone.
    ///
    /// # Safety
    /// The advice may be applied to the range's pages: none of the contents that it destroys are
    /// needed.
    unsafe fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        loop {
            // SAFETY: the caller allows what the advice does to these pages.
            if unsafe { libc::madvise(self.0.iov_base, self.0.iov_len, advice) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) {
                return Err(error);
            }
        }
    }
}

/// Returns the size of a page.
pub(crate) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    let known = SIZE.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // SAFETY: `sysconf` takes no pointer.
    let size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    SIZE.store(size, Ordering::Relaxed);
    size
}

/// Maps `len` bytes of zeroed memory that are committed on first touch.
///
/// Returns the start.
pub(crate) fn map(len: usize) -> io::Result<usize> {
    map_anywhere(len, libc::PROT_READ | libc::PROT_WRITE)
}

/// Reserves `len` bytes of address space, which fault on every access until [`make_usable`].
///
/// A system that charges for memory before it is touched (`vm.overcommit_memory=2`, `ulimit -d`)
/// does not charge for a reservation. Returns the start.
pub(crate) fn reserve(len: usize) -> io::Result<usize> {
    map_anywhere(len, libc::PROT_NONE)
}

fn map_anywhere(len: usize, access: libc::c_int) -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | imp::MAP_STACK;
    // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    imp::avoid_huge_pages(&Span::new(start.expose_provenance()..start.addr() + len));
    Ok(start.expose_provenance())
}

/// Makes a part of a reservation usable: zeroed memory that is committed on first touch.
///
/// # Safety
/// The span is part of a reservation of the caller's.
pub(crate) unsafe fn make_usable(span: &Span) -> io::Result<()> {
    // SAFETY: nothing is in the span yet.
    unsafe { set_access(span, libc::PROT_READ | libc::PROT_WRITE) }
}

/// Returns the limit of the process's address space (`ulimit -v`), if it has one.
pub(crate) fn address_limit() -> Option<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the result goes to a local.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    (known && limit.rlim_cur != libc::RLIM_INFINITY).then(|| usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// Releases a mapping or a reservation.
///
/// # Safety
/// The range is no longer in use; it is a whole number of pages from one `map` or `reserve`.
pub(crate) unsafe fn release(range: Range<usize>) {
    // SAFETY: the range is a mapping that is no longer in use.
    unsafe { libc::munmap(ptr::with_exposed_provenance_mut(range.start), range.len()) };
}

/// Makes every access to `span` fault.
///
/// Costs two of the process's limited number of mappings.
///
/// # Safety
/// The range is no longer in use.
pub(crate) unsafe fn protect(span: &Span) -> io::Result<()> {
    // SAFETY: the range is no longer in use.
    unsafe { set_access(span, libc::PROT_NONE) }
}

/// # Safety
/// No access that the change forbids is still to come.
unsafe fn set_access(span: &Span, access: libc::c_int) -> io::Result<()> {
    // SAFETY: the caller allows the change.
    if unsafe { libc::mprotect(span.0.iov_base, span.0.iov_len, access) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Queries `range` with `mincore`, in pieces that fit a small buffer.
fn residents_by_mincore(range: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    const PIECE: usize = 1024;
    let page = page_size();
    let mut pages = [0u8; PIECE];
    for start in range.clone().step_by(PIECE * page) {
        let len = (range.end - start).min(PIECE * page);
        // SAFETY: the buffer has room for one byte for each page of `len`.
        if unsafe { libc::mincore(ptr::with_exposed_provenance_mut(start), len, pages.as_mut_ptr().cast()) } != 0 {
            // Nothing is known: the caller treats the whole range as resident, and drops what is
            // not needed.
            found(range);
            return;
        }
        for (i, _) in pages.iter().take(len / page).enumerate().filter(|(_, resident)| **resident & 1 == 1) {
            found(start + i * page..start + (i + 1) * page);
        }
    }
}

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod imp;

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_pages(range: Range<usize>, scan: impl Fn(Range<usize>, &mut dyn FnMut(Range<usize>))) -> Vec<usize> {
        let mut pages = Vec::new();
        scan(range.clone(), &mut |run| {
            pages.extend(run.step_by(page_size()).map(|at| (at - range.start) / page_size()))
        });
        pages
    }

    #[test]
    fn residency_follows_touch_and_drop() {
        let page = page_size();
        let start = map(3000 * page).unwrap();
        let range = start..start + 3000 * page;
        // These include the first and last page of a `mincore` piece.
        for touched in [0, 5, 6, 1023, 1024, 2999] {
            // SAFETY: the page is inside the mapping.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(start + touched * page).write_volatile(1) };
        }
        let by_scan = |range, found: &mut dyn FnMut(_)| Residency::open().scan(range, found);
        assert_eq!(resident_pages(range.clone(), by_scan), [0, 5, 6, 1023, 1024, 2999]);
        assert_eq!(resident_pages(range.clone(), residents_by_mincore), [0, 5, 6, 1023, 1024, 2999]);
        let spans = [0..7, 1024..1025].map(|pages| Span::new(start + pages.start * page..start + pages.end * page));
        // SAFETY: no other code knows the mapping.
        unsafe { drop_pages(&spans) };
        if !cfg!(target_os = "linux") {
            return; // elsewhere the pages go when the system wants them
        }
        assert_eq!(resident_pages(range.clone(), by_scan), [1023, 2999]);
        assert_eq!(resident_pages(range.clone(), residents_by_mincore), [1023, 2999]);
        // SAFETY: the last use was above.
        unsafe { release(range) };
    }

    #[test]
    fn many_scattered_pages_need_several_scans() {
        let page = page_size();
        let start = map(1000 * page).unwrap();
        for touched in (0..1000).step_by(2) {
            // SAFETY: the page is inside the mapping.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(start + touched * page).write_volatile(1) };
        }
        let pages = resident_pages(start..start + 1000 * page, |range, found| Residency::open().scan(range, found));
        assert_eq!(pages, (0..1000).step_by(2).collect::<Vec<_>>());
    }
}
