//! What a parked goroutine costs: memory, and the time to make and to wake it.
//!
//! Measured, in this order, in one process:
//! 1. goroutines that are queued and have never run;
//! 2. goroutines that all park on one channel, are waited for, are woken by its close, and joined; three rounds for each
//!    number of Ps. The first pays for memory that the process never had: read its bytes, and the others' times.
//!
//! Bytes are `VmRSS` and `VmPTE` (the page tables), before and after. What a round has freed, the next one finds.
//!
//! The rival's equivalent: Go, `for range count { go func() { <-ch }() }`, `close(ch)`.

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

/// On one P a goroutine that does not park keeps all others from running.
fn never_run(count: u64) {
    let before = resident_bytes();
    let start = Instant::now();
    let crowd = Crowd::spawn(count, || {});
    let ran = crowd.arrived();
    let (bytes, made) = (gained_since(before, count), start.elapsed());
    println!(
        "  {:<12} {bytes:>8.0} B gained, {:>6.0} ns to make; {ran} of {count} have run after all",
        "never run",
        nanos_each(made, count),
    );
    crowd.wake_and_join();
}

fn main() {
    let [count] = numbers(HELP, [("count", 100_000)]);
    println!("procs=1, {count} queued");
    on_procs(1, move || never_run(count));
    for procs in PROCS {
        println!("procs={procs}, {count} parked");
        on_procs(procs, move || ["first", "second", "third"].map(|name| round(name, count)));
    }
}
