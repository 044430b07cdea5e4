//! Address space and pages on Linux.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::fallback::Fallback;
use super::super::mutex::Mutex;
use super::{Span, map, page_size, release, residents_by_mincore};

pub(super) const MAP_STACK: libc::c_int = libc::MAP_STACK;
const GUARD_INSTALL: libc::c_int = 102;
const PIDFD_SELF: libc::c_int = -10001;

/// `true` until `process_madvise` on ourselves fails for the first time.
static BATCHES: AtomicBool = AtomicBool::new(true);

impl Span {
    pub(crate) fn range(&self) -> Range<usize> {
        self.0.iov_base.addr()..self.0.iov_base.addr() + self.0.iov_len
    }
}

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
        // A kernel that does not know the advice, memory that is locked, or a filter of system
        // calls that refuses it.
        Some(libc::EINVAL | libc::EPERM | libc::EACCES | libc::ENOSYS) => io::ErrorKind::Unsupported.into(),
        _ => error,
    })
}

/// Returns `true` if the kernel can write to the byte at `address`, which it changes.
///
/// # Safety
/// The byte is not in use, or not mapped.
pub(crate) unsafe fn is_writable(address: usize) -> bool {
    // SAFETY: the kernel checks the address, and the byte is not in use, as the caller guarantees.
    unsafe { libc::getrandom(ptr::with_exposed_provenance_mut(address), 1, libc::GRND_NONBLOCK) == 1 }
}

/// Returns the start of `len` bytes of address space in which nothing is mapped, and in which the
/// kernel maps nothing by itself.
///
/// The kernel hands out addresses from the top of the address space down. With the legacy layout
/// (`ulimit -s unlimited`), it hands them out from a third of the address space up. The executable
/// and its heap lie at two thirds, or at the very bottom. The result is between an eighth and a
/// quarter, far from all of them.
///
/// No two calls return the same addresses.
pub(crate) fn find_unclaimed(len: usize) -> io::Result<usize> {
    /// The start of the last range that was returned or is occupied: searches continue below it.
    /// The lock is held during a search, because a range that was returned looks free until
    /// something is mapped there.
    static LAST: Mutex<Option<usize>> = Mutex::new(None);
    let space = address_space()?;
    let window = space / 8..space / 4;
    let mut last = LAST.lock();
    loop {
        let start = last.unwrap_or(window.end).checked_sub(len.next_multiple_of(APART));
        let start = start.filter(|&start| start >= window.start).ok_or(io::ErrorKind::OutOfMemory)?;
        let span = Span::new(start..start + len);
        // This finds out whether anything is mapped there, and keeps nothing.
        match map_fixed(&span, libc::PROT_NONE) {
            Ok(()) => {
                // SAFETY: the mapping was made a moment ago, and no other code knows it.
                unsafe { release(span.range()) };
                *last = Some(start);
                return Ok(start);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => *last = Some(start),
            // There is no room anywhere (`ulimit -v`), at the moment.
            Err(error) => return Err(error),
        }
    }
}

/// What the starts of unclaimed ranges are multiples of.
const APART: usize = 1 << 21;

/// Returns the size of the part of the address space that programs may use, at least roughly: the
/// power of two above an address that the kernel has chosen.
fn address_space() -> io::Result<usize> {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    let known = SIZE.load(Ordering::Relaxed);
    if known != 0 {
        return Ok(known);
    }
    let start = map(page_size())?;
    // SAFETY: the mapping was made a moment ago, and no other code knows it.
    unsafe { release(start..start + page_size()) };
    let size = start.next_power_of_two();
    SIZE.store(size, Ordering::Relaxed);
    Ok(size)
}

/// Maps zeroed memory at `span`, which is committed on first touch.
///
/// Fails if anything is mapped there.
pub(crate) fn map_at(span: &Span) -> io::Result<()> {
    map_fixed(span, libc::PROT_READ | libc::PROT_WRITE)?;
    avoid_huge_pages(span);
    Ok(())
}

fn map_fixed(span: &Span, access: libc::c_int) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | MAP_STACK | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: the flag keeps the call from replacing what is mapped there.
    let start = unsafe { libc::mmap(span.0.iov_base, span.0.iov_len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    start.expose_provenance();
    if ptr::eq(start, span.0.iov_base) {
        return Ok(());
    }
    // An emulator that does not know the flag has chosen another address. SAFETY: the mapping was
    // made a moment ago, and no other code knows it.
    unsafe { release(start.addr()..start.addr() + span.0.iov_len) };
    Err(io::ErrorKind::AlreadyExists.into())
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
            Fallback::BatchedAdvice.note();
        }
    }
    // Both kinds of advice may be given twice, so a batch that stopped midway is simply
    // repeated. SAFETY: the caller allows what the advice does to each span.
    spans.iter().try_for_each(|span| unsafe { span.advise(advice) })
}

/// Returns the size of all mappings of the process, or 0 if the system does not tell.
pub(crate) fn address_space_in_use() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').next().and_then(|pages| pages.parse().ok()).map_or(0, |pages: usize| pages * page_size())
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
            Fallback::PagemapScan.note();
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
