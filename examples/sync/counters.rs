//! Race-free counters.
//!
//! In Go, `count++` from many goroutines loses counts, and Go's race detector reports the race only
//! when it happens. In Rust, the same code does not compile: two closures cannot both hold
//! `&mut count`. Four ways do compile: an atomic for a single number, a mutex for data that belongs
//! together, one goroutine that owns the count, and no sharing at all. In the last one, each
//! goroutine counts separately, and the counts are added up.
//!
//! Prints:
//!
//! ```text
//! atomic: 10000
//! mutex: 10000, of which even: 5000
//! owner: 10000
//! own counts: 10000
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use greenthread::sync::Mutex;
use greenthread::{channel, scope, spawn};

const GOROUTINES: u64 = 100;
const EACH: u64 = 100;

#[greenthread::main]
fn main() {
    let atomic = AtomicU64::new(0);
    in_each_goroutine(|_| {
        // Relaxed is enough for a count, because the count publishes no other data.
        atomic.fetch_add(1, Ordering::Relaxed);
    });
    println!("atomic: {}", atomic.into_inner());

    let mutex = Mutex::new((0, 0));
    in_each_goroutine(|n| {
        let mut counts = mutex.lock();
        counts.0 += 1;
        counts.1 += u64::from(n % 2 == 0);
    });
    let (all, even) = mutex.into_inner();
    println!("mutex: {all}, of which even: {even}");

    let (tx, increments) = channel::bounded(16);
    let owner = spawn(move || increments.iter().sum::<u64>());
    in_each_goroutine(|_| tx.send(1).unwrap());
    drop(tx);
    println!("owner: {}", owner.join().unwrap());

    let sum: u64 = scope(|s| {
        let counters: Vec<_> = (0..GOROUTINES).map(|_| s.spawn(|| (0..EACH).map(|_| 1).sum::<u64>())).collect();
        counters.into_iter().map(|counter| counter.join().unwrap()).sum()
    });
    println!("own counts: {sum}");
}

/// Calls `count` with 0, 1, 2, ... in each of many goroutines, and returns when they have ended.
fn in_each_goroutine(count: impl Fn(u64) + Sync) {
    scope(|s| {
        for _ in 0..GOROUTINES {
            s.spawn(|| (0..EACH).for_each(&count));
        }
    });
}
