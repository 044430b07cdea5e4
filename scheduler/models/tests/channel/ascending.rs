//! An allocator that places channels at ascending addresses.
//!
//! A select takes its locks in the order of the channels' addresses, and loom replays earlier steps
//! to reach new ones. So a model must see its channels in the same order each time. This allocator
//! hands out all memory that has a channel's alignment from bottom to top, and never reuses it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Alignment of a channel.
const CHANNEL: usize = 64;
/// The size of the reserved address range, enough for some twenty million channels.
///
/// The range is not touched in advance.
const RESERVED: usize = 4 << 30;

struct Ascending;

#[global_allocator]
static ASCENDING: Ascending = Ascending;

static USED: AtomicUsize = AtomicUsize::new(0);
static RESERVE: OnceLock<usize> = OnceLock::new();

fn reserve() -> *mut u8 {
    let layout = Layout::from_size_align(RESERVED, CHANNEL).expect("a layout");
    // SAFETY: the size is not zero.
    let base = RESERVE.get_or_init(|| unsafe { System.alloc(layout) }.expose_provenance());
    std::ptr::with_exposed_provenance_mut(*base)
}

// SAFETY: each piece of the reserve is handed out once, and all other requests go to the system.
unsafe impl GlobalAlloc for Ascending {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() != CHANNEL {
            // SAFETY: the layout comes from the caller, and both functions have the same contract.
            return unsafe { System.alloc(layout) };
        }
        let size = layout.size().next_multiple_of(layout.align());
        let at = USED.fetch_add(size, Ordering::Relaxed);
        assert!(at + size <= RESERVED, "no more channels");
        // SAFETY: the offset is within the reserve, as asserted above.
        unsafe { reserve().add(at) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if layout.align() != CHANNEL {
            // SAFETY: the memory came from the system with this layout.
            unsafe { System.dealloc(memory, layout) };
        }
    }
}
