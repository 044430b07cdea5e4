//! Address space and pages on systems other than Linux.

use std::io;
use std::ops::Range;

use super::{Span, residents_by_mincore};

pub(super) const MAP_STACK: libc::c_int = 0;

pub(super) fn avoid_huge_pages(_span: &Span) {}

/// Returns an error: guards are made by `protect`.
///
/// # Safety
/// None needed; the signature is that of the platform contract.
pub(crate) unsafe fn guard(_spans: &[Span]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns an error: where the system hands out addresses is not known.
pub(crate) fn find_unclaimed(_len: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns an error.
pub(crate) fn map_at(_span: &Span) -> io::Result<()> {
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

/// Returns `false`, since no guard is possible that could be checked.
///
/// # Safety
/// None needed; the signature is that of the platform contract.
pub(crate) unsafe fn is_writable(_address: usize) -> bool {
    false
}

/// Returns 0, since the system does not tell.
pub(crate) fn address_space_in_use() -> usize {
    0
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
