//! The cost of a parked goroutine: memory, and the time to create and to wake it.
//!
//! Measured, in this order, in one process:
//!
//! 1. goroutines that are queued and have never run;
//! 2. goroutines that all park on one channel, are woken when it is closed, and are joined: three
//!    rounds for each number of Ps. The first round pays for memory that is new to the process:
//!    read its bytes, and the times of the other rounds.
//!
//! Bytes are `VmRSS` and `VmPTE` (the page tables), before and after. A round reuses the memory
//! that the round before has freed.
//!
//! The rival's equivalent is Go's `for range count { go func() { <-ch }() }` and `close(ch)`.

use std::time::{Duration, Instant};

use greenthread_benches::{Crowd, PROCS, gained_since, numbers, on_procs, resident_bytes};

const HELP: &str = "parked: bytes and nanoseconds per parked goroutine";

fn nanos_each(time: Duration, count: u64) -> f64 {
    time.as_nanos() as f64 / count as f64
}

fn round(name: &str, count: u64) {
    let before = resident_bytes();
    let start = Instant::now();
    let crowd = Crowd::spawn(count, || {});
    crowd.wait_until_parked();
    let made = start.elapsed();
    let bytes = gained_since(before, count);
    let start = Instant::now();
    crowd.wake_and_join();
    let woken = start.elapsed();
    println!(
        "  {name:<12} {bytes:>8.0} B gained, {:>6.0} ns to make and park, {:>6.0} ns to wake and join",
        nanos_each(made, count),
        nanos_each(woken, count),
    );
}

/// Measures goroutines that have not run yet.
///
/// On one P, a goroutine that does not park keeps all others from running.
fn queued(count: u64) {
    let before = resident_bytes();
    let start = Instant::now();
    let crowd = Crowd::spawn(count, || {});
    let ran = crowd.arrived();
    let (bytes, made) = (gained_since(before, count), start.elapsed());
    println!(
        "  {:<12} {bytes:>8.0} B gained, {:>6.0} ns to make; {ran} of {count} have run anyway",
        "queued",
        nanos_each(made, count),
    );
    crowd.wake_and_join();
}

fn main() {
    let [count] = numbers(HELP, [("count", 100_000)]);
    println!("procs=1, {count} queued");
    on_procs(1, move || queued(count));
    for procs in PROCS {
        println!("procs={procs}, {count} parked");
        on_procs(procs, move || ["first", "second", "third"].map(|name| round(name, count)));
    }
}
