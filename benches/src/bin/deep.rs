//! How much of the stack that it has used a parked goroutine keeps.
//!
//! Measured: goroutines that use 24 KiB of stack and then park. Their memory is read at once, and
//! every second after that while they stay parked. Bytes are `VmRSS` and `VmPTE` (the page tables),
//! gained per goroutine since the start of the process.
//!
//! The rival's equivalent is Go, where the collector halves a stack of which less than a quarter is
//! in use.

use std::time::Duration;

use greenthread_benches::{Crowd, gained_since, numbers, on_procs, resident_bytes, use_stack};

const HELP: &str = "deep: bytes that a parked goroutine keeps after using 24 KiB of stack";
const DEEP: usize = 24 << 10;

fn print_bytes_each_second(count: u64, seconds: u64) {
    let before = resident_bytes();
    let crowd = Crowd::spawn(count, use_stack::<DEEP>);
    crowd.wait_until_parked();
    for second in 0..=seconds {
        println!("after {second} s: {:>6.0} B", gained_since(before, count));
        greenthread::time::sleep(Duration::from_secs(1));
    }
    crowd.wake_and_join();
}

fn main() {
    let [count, seconds] = numbers(HELP, [("count", 10_000), ("seconds", 5)]);
    on_procs(1, move || print_bytes_each_second(count, seconds));
}
