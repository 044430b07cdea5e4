//! What a parked goroutine costs: memory, and the time to make and to wake it.
//!
//! Measured, in this order, in one process:
//! 1. goroutines that are queued and have never run;
//! 2. goroutines that all park on one channel, are waited for, are woken by its close, and joined; three rounds for each
//!    number of Ps. The first pays for memory that the process never had: read its bytes, and the others' times;
//! 3. goroutines that have used 24 KiB of stack before they parked, at once and a few seconds later.
//!
//! Bytes are `VmRSS` and `VmPTE` (the page tables), before and after. What a round has freed, the next one finds.
//!
//! The rival's equivalent: Go, `for range count { go func() { <-ch }() }`, `close(ch)`.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread::JoinHandle;
use greenthread::channel::{Receiver, Sender, bounded};
use greenthread_benches::{PROCS, numbers, on_procs, resident_bytes};

const HELP: &str = "parked: bytes and nanoseconds per parked goroutine";
/// What a goroutine of the last measurement uses of its stack.
const DEEP: usize = 24 << 10;

/// Goroutines that are parked, or about to be, until the sender goes.
struct Crowd {
    gate: Sender<()>,
    handles: Vec<JoinHandle<()>>,
    arrived: Arc<AtomicU64>,
}

impl Crowd {
    fn spawn(count: u64, before_parking: fn()) -> Self {
        let (gate, waiting): (_, Receiver<()>) = bounded(0);
        let arrived = Arc::new(AtomicU64::new(0));
        let handles = (0..count)
            .map(|_| {
                let (waiting, arrived) = (waiting.clone(), Arc::clone(&arrived));
                greenthread::spawn(move || {
                    before_parking();
                    arrived.fetch_add(1, Ordering::Relaxed);
                    assert!(waiting.recv().is_err(), "nothing is ever sent");
                })
            })
            .collect();
        Self { gate, handles, arrived }
    }

    /// Returns when all have parked, give or take the last few instructions of the last few.
    fn wait_until_parked(&self) {
        while self.arrived.load(Ordering::Relaxed) < self.handles.len() as u64 {
            greenthread::yield_now();
        }
    }

    fn wake_and_join(self) {
        self.gate.close();
        for handle in self.handles {
            handle.join().expect("a parked goroutine");
        }
    }
}

#[inline(never)]
fn use_stack() {
    let mut frame = [0_u8; DEEP];
    black_box(&mut frame);
}

fn per(total: u64, count: u64) -> f64 {
    total as f64 / count as f64
}

/// Bytes that the process has gained since it had `before`, for each of `count`.
fn gained(before: u64, count: u64) -> f64 {
    per(resident_bytes().saturating_sub(before), count)
}

fn round(name: &str, count: u64) {
    let before = resident_bytes();
    let start = Instant::now();
    let crowd = Crowd::spawn(count, || {});
    crowd.wait_until_parked();
    let made = start.elapsed();
    let bytes = gained(before, count);
    let start = Instant::now();
    crowd.wake_and_join();
    let woken = start.elapsed();
    println!(
        "  {name:<12} {bytes:>8.0} B gained, {:>6.0} ns to make and park, {:>6.0} ns to wake and join",
        per(made.as_nanos() as u64, count),
        per(woken.as_nanos() as u64, count),
    );
}

/// On one P a goroutine that does not park keeps all others from running.
fn never_run(count: u64) {
    let before = resident_bytes();
    let start = Instant::now();
    let crowd = Crowd::spawn(count, || {});
    let ran = crowd.arrived.load(Ordering::Relaxed);
    let (bytes, made) = (gained(before, count), start.elapsed());
    println!(
        "  {:<12} {bytes:>8.0} B gained, {:>6.0} ns to make; {ran} of {count} have run after all",
        "never run",
        per(made.as_nanos() as u64, count),
    );
    crowd.wake_and_join();
}

fn deep(count: u64, seconds: u64) {
    let before = resident_bytes();
    let crowd = Crowd::spawn(count, use_stack);
    crowd.wait_until_parked();
    let at_once = gained(before, count);
    greenthread::time::sleep(Duration::from_secs(seconds));
    let later = gained(before, count);
    println!("  {:<12} {at_once:>8.0} B gained at once, {later:.0} B after {seconds} s", "24 KiB used");
    crowd.wake_and_join();
}

fn main() {
    let [count, deep_count, seconds] = numbers(HELP, [("count", 100_000), ("deep-count", 10_000), ("seconds", 4)]);
    println!("procs=1, {count} queued");
    on_procs(1, move || never_run(count));
    for procs in PROCS {
        println!("procs={procs}, {count} parked");
        on_procs(procs, move || ["first", "second", "third"].map(|name| round(name, count)));
    }
    println!("procs=1, {deep_count} parked");
    on_procs(1, move || deep(deep_count, seconds));
}
