//! Work that is done only once, by the first goroutine that needs it.
//!
//! The counterparts of Go's `sync.Once` and `sync.OnceValue`; the latter is called `OnceLock` or
//! `LazyLock` here, as in `std`. If many goroutines arrive at the same time, one of them does the
//! work, and the others wait until the work is done. With the types of `std`, each waiting
//! goroutine would block an OS thread.
//!
//! Prints:
//!
//! ```text
//! reading the word list
//! opening the log
//! connecting to db.example
//! 20 goroutines looked up 60 words over 1 connection
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};

use greenthread::scope;
use greenthread::sync::{LazyLock, Once, OnceLock};

/// Created by the first reader.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    println!("reading the word list");
    "once upon time".split(' ').collect()
});

/// For an effect without a value.
static LOG: Once = Once::new();

struct Connection {
    lookups: AtomicUsize,
}

#[greenthread::main]
fn main() {
    // For a value that depends on something only its user knows.
    let connection = OnceLock::new();
    let (host, connects, goroutines) = ("db.example", AtomicUsize::new(0), 20);
    scope(|s| {
        for _ in 0..goroutines {
            s.spawn(|| {
                let words = WORDS.len();
                LOG.call_once(|| println!("opening the log"));
                let connection = connection.get_or_init(|| {
                    println!("connecting to {host}");
                    connects.fetch_add(1, Ordering::Relaxed);
                    Connection { lookups: AtomicUsize::new(0) }
                });
                connection.lookups.fetch_add(words, Ordering::Relaxed);
            });
        }
    });
    let lookups = connection.into_inner().unwrap().lookups.into_inner();
    println!("{goroutines} goroutines looked up {lookups} words over {} connection", connects.into_inner());
}
