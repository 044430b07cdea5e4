//! A pool of buffers, so that not every message allocates a new buffer.
//!
//! The counterpart of Go's `sync.Pool`. `get` returns any buffer that was put back, or a new one.
//! The buffer still contains what its last user left there, so clear it first. The pool may drop
//! the buffers it holds: it saves allocations, but cannot be relied on to keep anything.
//!
//! Prints:
//!
//! ```text
//! 4000 messages, 67560 bytes
//! created fewer than 100 buffers: true
//! ```

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenthread::scope;
use greenthread::sync::Pool;

const GOROUTINES: usize = 4;
const MESSAGES: usize = 1000;

static MADE: AtomicUsize = AtomicUsize::new(0);

static BUFFERS: Pool<String> = Pool::new(|| {
    MADE.fetch_add(1, Ordering::Relaxed);
    String::with_capacity(256)
});

#[greenthread::main]
fn main() {
    let bytes: usize = scope(|s| {
        let format_all = |id| move || (0..MESSAGES).map(|n| format_message(id, n)).sum::<usize>();
        let goroutines: Vec<_> = (0..GOROUTINES).map(|id| s.spawn(format_all(id))).collect();
        goroutines.into_iter().map(|goroutine| goroutine.join().unwrap()).sum()
    });
    println!("{} messages, {bytes} bytes", GOROUTINES * MESSAGES);
    println!("created fewer than 100 buffers: {}", MADE.load(Ordering::Relaxed) < 100);
}

/// Formats a message as if to send it, and returns its length.
fn format_message(id: usize, n: usize) -> usize {
    let mut buffer = BUFFERS.get();
    writeln!(buffer, "from {id}: line {n}").unwrap();
    let bytes = buffer.len();
    buffer.clear();
    BUFFERS.put(buffer);
    bytes
}
