//! greenthread's side of the peer benchmark.

use std::time::Duration;

use greenthread::config::Config;
use greenthread::{channel, spawn};
use peer_harness::Workload;

#[path = "../../crossbeam_api/chan.rs"]
mod chan;
#[path = "../../crossbeam_api/ring.rs"]
mod ring;
#[path = "../../crossbeam_api/select.rs"]
mod select;

mod sieve;
mod skynet;

const SHARED: &[Workload] = &[
    Workload::each("chan_unbuf_pingpong", 500_000, |n| on_goroutine(move || chan::ping_pong(n))),
    Workload::each("chan_buf_spsc", 3_000_000, |n| on_goroutine(move || chan::stream(1, n))),
    Workload::each("chan_mpmc_4x4", 3_000_000, |n| on_goroutine(move || chan::stream(4, n))),
    Workload::each("select2_buf128", 1_000_000, |n| on_goroutine(move || select::two(128, n))),
    Workload::each("select8_buf128", 1_000_000, |n| on_goroutine(move || select::eight(128, n))),
    Workload::each("select2_unbuf", 500_000, |n| on_goroutine(move || select::two(0, n))),
    Workload::each("select8_unbuf", 500_000, |n| on_goroutine(move || select::eight(0, n))),
    Workload::each("select_default1", 20_000_000, |n| on_goroutine(move || select::default_one(n))),
    Workload::each("select_default2", 3_000_000, |n| on_goroutine(move || select::default_two(n))),
    Workload::each("select_done_buf128", 1_000_000, |n| on_goroutine(move || select::done(128, n))),
    Workload::each("select_done_unbuf", 500_000, |n| on_goroutine(move || select::done(0, n))),
    Workload::each("ring", 1_000_000, |n| on_goroutine(move || ring::ring(n))),
];

/// Main is a thread like any other, and not what is measured.
fn on_goroutine(f: impl FnOnce() -> Duration + Send + 'static) -> Duration {
    spawn(f).join().expect("a workload does not panic")
}

fn start(procs: usize) {
    Config::default().procs(procs).install().expect("nothing has used the runtime yet");
}

fn main() {
    peer_harness::main(start, &[SHARED, sieve::WORKLOADS, skynet::WORKLOADS]);
}
