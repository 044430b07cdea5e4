//! A map that many goroutines change at once, without a lock around it.
//!
//! The counterpart of Go's `sync.Map`. It suits goroutines that usually touch different keys.
//! `load_or_store` decides which goroutine is first; later goroutines get the value that is already
//! stored. For a change that depends on the old value, write a loop around `compare_and_swap`, or
//! store a value that can change in place, such as an atomic in an `Arc`.
//!
//! Prints:
//!
//! ```text
//! a: 20 times, last seen at 2
//! bee: 40 times, last seen at 6
//! sea: 20 times, last seen at 7
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenthread::scope;
use greenthread::sync::Map;

const TEXT: &str = "a bee a sea bee bee bee sea";

#[greenthread::main]
fn main() {
    let (counts, last) = (Map::<&str, Arc<AtomicUsize>>::new(), Map::new());
    scope(|s| {
        for _ in 0..10 {
            s.spawn(|| {
                for (place, word) in TEXT.split(' ').enumerate() {
                    let (count, _) = counts.load_or_store(word, Arc::default());
                    count.fetch_add(1, Ordering::Relaxed);
                    raise(&last, word, place);
                }
            });
        }
    });

    let mut lines = Vec::new();
    counts.range(|word, count| {
        let place = last.load(word).unwrap();
        lines.push(format!("{word}: {} times, last seen at {place}", count.load(Ordering::Relaxed)));
        true
    });
    lines.sort();
    println!("{}", lines.join("\n"));
}

/// Sets the value of `key` to `new`, unless it is larger already.
fn raise(map: &Map<&'static str, usize>, key: &'static str, new: usize) {
    let (mut now, _) = map.load_or_store(key, new);
    while now < new && map.compare_and_swap(key, &now, new).is_err() {
        // Another goroutine was faster. No goroutine deletes a key, so there is a value.
        now = map.load(key).unwrap();
    }
}
