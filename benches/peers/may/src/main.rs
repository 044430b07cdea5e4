//! may's coroutines.

use std::time::Duration;

use may::go;
use peer_harness::Workload;

mod bounded;
mod chan;
mod ring;
mod select;
mod sieve;
mod skynet;

fn start(workers: usize) {
    may::config().set_workers(workers);
}

/// Main is a thread like any other, and not what is measured.
fn on_coroutine(f: impl FnOnce() -> Duration + Send + 'static) -> Duration {
    go!(f).join().expect("a workload does not panic")
}

fn main() {
    let lists: &[&[Workload]] =
        &[chan::WORKLOADS, select::WORKLOADS, ring::WORKLOADS, sieve::WORKLOADS, skynet::WORKLOADS];
    peer_harness::main(start, lists);
}
