//! A pool of buffers, so that not each message allocates its own.
//!
//! Go's `sync.Pool`. `get` returns any buffer that was put back, or a new one; what it contains is up to whoever put it
//! back, so it is cleared first. The pool may let go of what it has: it saves allocations, and is no place to keep
//! something.
//!
//! Prints:
//!
//! ```text
//! 4000 messages, 67560 bytes
//! made fewer than 100 buffers for them: true
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
    println!("made fewer than 100 buffers for them: {}", MADE.load(Ordering::Relaxed) < 100);
}

/// Formats a message as if to send it; returns its length.
fn format_message(id: usize, n: usize) -> usize {
    let mut buffer = BUFFERS.get();
    writeln!(buffer, "from {id}: line {n}").unwrap();
    let bytes = buffer.len();
    buffer.clear();
    BUFFERS.put(buffer);
    bytes
}
