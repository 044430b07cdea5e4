//! Address space and pages: reserve, guard, drop, and query residency.
//!
//! | promise | Linux | elsewhere |
//! | --- | --- | --- |
//! | [`reserve`] | `mmap`, committed on touch, no huge pages | the same |
//! | [`guard`] | `MADV_GUARD_INSTALL` (6.13), in batches; splits no mapping | unsupported |
//! | [`protect`] | `mprotect`, which splits the mapping in two | the same |
//! | [`drop_pages`] | `MADV_DONTNEED`, in batches | `MADV_FREE`, taken when memory is short |
//! | [`Residency`] | `PAGEMAP_SCAN` (6.7), else `mincore` | `mincore` |
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

pub(crate) use imp::{Residency, alternate_stack_size, drop_pages, guard, mapping_limit};

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

/// Reserves `len` bytes of zeroed memory that are committed on first touch.
///
/// Returns the start.
pub(crate) fn reserve(len: usize) -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | imp::MAP_STACK;
    // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    imp::avoid_huge_pages(&Span::new(start.expose_provenance()..start.addr() + len));
    Ok(start.expose_provenance())
}

/// Releases a reservation.
///
/// # Safety
/// The range is no longer in use; it is a whole number of pages from one `reserve`.
pub(crate) unsafe fn release(range: Range<usize>) {
    // SAFETY: the range is a reservation that is no longer in use.
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
    if unsafe { libc::mprotect(span.0.iov_base, span.0.iov_len, libc::PROT_NONE) } == 0 {
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
mod imp {
    use super::{Span, residents_by_mincore};
    use std::fs::File;
    use std::io;
    use std::ops::Range;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) const MAP_STACK: libc::c_int = libc::MAP_STACK;
    const GUARD_INSTALL: libc::c_int = 102;
    const PIDFD_SELF: libc::c_int = -10001;

    /// `true` until `process_madvise` on ourselves fails for the first time.
    static BATCHES: AtomicBool = AtomicBool::new(true);

    pub(super) fn avoid_huge_pages(span: &Span) {
        // SAFETY: the page size does not affect the contents. A kernel without huge pages refuses,
        // which is fine.
        let _ = unsafe { span.advise(libc::MADV_NOHUGEPAGE) };
    }

    /// Makes every access to the spans fault, without splitting the mapping.
    ///
    /// Returns `ErrorKind::Unsupported` if the kernel cannot do this.
    ///
    /// # Safety
    /// The spans are no longer in use.
    pub(crate) unsafe fn guard(spans: &[Span]) -> io::Result<()> {
        // SAFETY: the spans are no longer in use.
        unsafe { advise_all(spans, GUARD_INSTALL) }.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => io::ErrorKind::Unsupported.into(),
            _ => error,
        })
    }

    /// Returns the pages of the spans to the system.
    ///
    /// They read as zero, or as they were, until written again.
    ///
    /// # Safety
    /// The contents of the spans are no longer needed.
    pub(crate) unsafe fn drop_pages(spans: &[Span]) {
        // SAFETY: the contents are no longer needed. A refusal (locked memory) leaves the pages as
        // they are, which is harmless.
        let _ = unsafe { advise_all(spans, libc::MADV_DONTNEED) };
    }

    /// # Safety
    /// The advice may be applied to the pages of each span, as for [`Span::advise`].
    unsafe fn advise_all(spans: &[Span], advice: libc::c_int) -> io::Result<()> {
        if spans.len() > 1 && BATCHES.load(Ordering::Relaxed) {
            let total: usize = spans.iter().map(|span| span.0.iov_len).sum();
            // SAFETY: a span is laid out as an iovec, and the caller allows what the advice does to
            // each span.
            let done =
                unsafe { libc::syscall(libc::SYS_process_madvise, PIDFD_SELF, spans.as_ptr(), spans.len(), advice, 0) };
            if usize::try_from(done) == Ok(total) {
                return Ok(());
            }
            if done < 0 && !matches!(io::Error::last_os_error().raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) {
                BATCHES.store(false, Ordering::Relaxed);
            }
        }
        // Both kinds of advice may be given twice, so a batch that stopped midway is simply
        // repeated. SAFETY: the caller allows what the advice does to each span.
        spans.iter().try_for_each(|span| unsafe { span.advise(advice) })
    }

    /// Returns how many mappings a process may have, and the name of the setting.
    pub(crate) fn mapping_limit() -> (usize, &'static str) {
        const DEFAULT: usize = 65_530;
        let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
        (text.trim().parse().unwrap_or(DEFAULT), "vm.max_map_count")
    }

    /// Returns the size of a stack for three signal handlers, each of which interrupts the one
    /// before.
    pub(crate) fn alternate_stack_size() -> usize {
        // The size of the frame that the kernel puts on the stack. It grows with the CPU's
        // registers, which the constant does not reflect. SAFETY: `getauxval` takes no pointer and
        // returns 0 for an unknown key.
        let minimum = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
        3 * (minimum + libc::SIGSTKSZ)
    }

    /// Queries which pages are resident.
    ///
    /// Valid until the process forks.
    pub(crate) struct Residency {
        pagemap: Option<File>,
    }

    /// `struct pm_scan_arg` of `linux/fs.h`.
    #[repr(C)]
    #[derive(Default)]
    struct ScanArg {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }

    /// `struct page_region` of `linux/fs.h`.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Region {
        start: u64,
        end: u64,
        categories: u64,
    }

    const PAGEMAP_SCAN: u32 = 0xc060_6610;
    const PAGE_IS_PRESENT: u64 = 1 << 3;

    impl Residency {
        pub(crate) fn open() -> Self {
            Self { pagemap: File::open("/proc/self/pagemap").ok() }
        }

        /// Calls `found` for each run of resident pages in `range`, in order.
        pub(crate) fn scan(&self, range: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
            let mut start = range.start;
            if let Some(pagemap) = &self.pagemap {
                while start < range.end {
                    match scan_once(pagemap, start..range.end, found) {
                        Some(walked) => start = walked,
                        None => break,
                    }
                }
            }
            if start < range.end {
                residents_by_mincore(start..range.end, found);
            }
        }
    }

    /// Returns how far the scan got, or `None` if it made no progress.
    fn scan_once(pagemap: &File, range: Range<usize>, found: &mut dyn FnMut(Range<usize>)) -> Option<usize> {
        let mut regions = [Region { start: 0, end: 0, categories: 0 }; 80];
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            start: range.start as u64,
            end: range.end as u64,
            vec: regions.as_mut_ptr().addr() as u64,
            vec_len: regions.len() as u64,
            category_mask: PAGE_IS_PRESENT,
            return_mask: PAGE_IS_PRESENT,
            ..ScanArg::default()
        };
        // SAFETY: the argument and the regions that it points to have the layout of the call, and
        // outlive it.
        let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut arg) };
        let count = usize::try_from(count).ok()?;
        for region in &regions[..count] {
            found(region.start as usize..region.end as usize);
        }
        Some(arg.walk_end as usize).filter(|&end| end > range.start)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Span, residents_by_mincore};
    use std::io;
    use std::ops::Range;

    pub(super) const MAP_STACK: libc::c_int = 0;

    pub(super) fn avoid_huge_pages(_span: &Span) {}

    /// Returns an error: guards are made by `protect`.
    ///
    /// # Safety
    /// None needed; the signature is that of the platform contract.
    pub(crate) unsafe fn guard(_spans: &[Span]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns the pages of the spans to the system.
    ///
    /// They read as zero, or as they were, until written again.
    ///
    /// # Safety
    /// The contents of the spans are no longer needed.
    pub(crate) unsafe fn drop_pages(spans: &[Span]) {
        for span in spans {
            // SAFETY: the contents are no longer needed. A refusal leaves the pages as they are,
            // which is harmless.
            let _ = unsafe { span.advise(libc::MADV_FREE) };
        }
    }

    /// Returns `usize::MAX`, since no limit is known.
    pub(crate) fn mapping_limit() -> (usize, &'static str) {
        (usize::MAX, "the system's limit of mappings")
    }

    /// Returns the size of a stack for three signal handlers, each of which interrupts the one
    /// before.
    pub(crate) fn alternate_stack_size() -> usize {
        3 * libc::SIGSTKSZ
    }

    /// Queries which pages are resident.
    pub(crate) struct Residency;

    impl Residency {
        pub(crate) fn open() -> Self {
            Self
        }

        /// Calls `found` for each resident page in `range`, in order.
        pub(crate) fn scan(&self, range: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
            residents_by_mincore(range, found);
        }
    }
}

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
        let start = reserve(3000 * page).unwrap();
        let range = start..start + 3000 * page;
        // These include the first and last page of a `mincore` piece.
        for touched in [0, 5, 6, 1023, 1024, 2999] {
            // SAFETY: the page is inside the reservation.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(start + touched * page).write_volatile(1) };
        }
        let by_scan = |range, found: &mut dyn FnMut(_)| Residency::open().scan(range, found);
        assert_eq!(resident_pages(range.clone(), by_scan), [0, 5, 6, 1023, 1024, 2999]);
        assert_eq!(resident_pages(range.clone(), residents_by_mincore), [0, 5, 6, 1023, 1024, 2999]);
        let spans = [0..7, 1024..1025].map(|pages| Span::new(start + pages.start * page..start + pages.end * page));
        // SAFETY: no other code knows the reservation.
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
        let start = reserve(1000 * page).unwrap();
        for touched in (0..1000).step_by(2) {
            // SAFETY: the page is inside the reservation.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(start + touched * page).write_volatile(1) };
        }
        let pages = resident_pages(start..start + 1000 * page, |range, found| Residency::open().scan(range, found));
        assert_eq!(pages, (0..1000).step_by(2).collect::<Vec<_>>());
    }
}
