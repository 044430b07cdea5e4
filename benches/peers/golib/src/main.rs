//! go-lib's goroutines.

use std::any::Any;
use std::process::exit;
use std::thread;

use go_lib::{go, sleep};
use peer_harness::Workload;

#[path = "../../crossbeam_api/chan.rs"]
mod chan;
#[path = "../../common/ping_pong.rs"]
mod ping_pong;
#[path = "../../common/ring.rs"]
mod ring;
#[path = "../../common/skynet.rs"]
mod skynet;
#[path = "../../common/wake.rs"]
mod wake;

mod channel;
mod crowd;
mod ctx;
mod echo;
mod hogs;
mod night;
mod select;
mod sieve;
mod spawn;

use channel::{Receiver, bounded, spawn, unbuffered};
use ping_pong::ping_pong;

const SHARED: &[Workload] = &[
    Workload::each("chan_unbuf_pingpong", 500_000, |n| on_goroutine(move || ping_pong(n, Receiver::recv))),
    Workload::each("chan_buf_spsc", 3_000_000, |n| on_goroutine(move || chan::stream(1, n))),
    Workload::each("chan_mpmc_4x4", 3_000_000, |n| on_goroutine(move || chan::stream(4, n))),
    Workload::each("ring", 500_000, |n| on_goroutine(move || ring::ring(n))),
    Workload::whole("skynet_10k", || on_goroutine(|| skynet::skynet(10_000))),
    Workload::several("wake_hot", || on_goroutine(|| wake::hot(|| bounded(1)))),
    Workload::several("wake_idle", || on_goroutine(|| wake::idle(|| bounded(1)))),
];

const LISTS: &[&[Workload]] = &[
    SHARED,
    select::WORKLOADS,
    sieve::WORKLOADS,
    night::WORKLOADS,
    ctx::WORKLOADS,
    echo::WORKLOADS,
    spawn::WORKLOADS,
    crowd::WORKLOADS,
    hogs::WORKLOADS,
];

fn start(workers: usize) {
    // SAFETY: there are no other threads yet. `set_gomaxprocs` could only add to the initial
    // workers.
    unsafe { std::env::set_var("GOMAXPROCS", workers.to_string()) };
    // Without this, the other goroutines would go on and wait for the one that has panicked.
    go_lib::set_panic_handler(|payload| {
        eprintln!("a goroutine panicked: {}", message(payload.as_ref()));
        exit(1);
    });
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let formatted = payload.downcast_ref().map(String::as_str);
    formatted.or(payload.downcast_ref().copied()).unwrap_or("with something else than a text")
}

/// Runs `f` in a goroutine: the main thread is not what is measured.
///
/// The waiting thread is a new one each time. go-lib waits with `thread::park` and takes any
/// wake-up for the end of the goroutine, even one that another of std's tools has left over.
fn on_goroutine<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(|| enter(f)).join().expect("a workload does not panic")
}

#[go_lib::main]
fn enter<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    f()
}

fn main() {
    peer_harness::main(start, LISTS);
}
