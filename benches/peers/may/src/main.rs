//! may's coroutines.

use std::time::Duration;

use may::coroutine::{JoinHandle, sleep, yield_now};
use may::go;
use may::net::{TcpListener, TcpStream};
use may::sync::{mpmc, mpsc as channel};
use peer_harness::{Workload, crowd_workloads};

#[path = "../../common/crowd.rs"]
mod crowd;
#[path = "../../common/echo.rs"]
mod echo;
#[path = "../../common/hogs.rs"]
mod hogs;
#[path = "../../common/lock.rs"]
mod lock;
#[path = "../../common/night.rs"]
mod night;
#[path = "../../common/ping_pong.rs"]
mod ping_pong;
#[path = "../../common/ring.rs"]
mod ring;
#[path = "../../common/skynet.rs"]
mod skynet;
#[path = "../../common/spawn_join.rs"]
mod spawn_join;
#[path = "../../common/wake.rs"]
mod wake;

mod bounded;
mod chan;
mod select;
mod sieve;
mod sync;

use channel::{Receiver, Sender};
use crowd::Crowd;
use lock::crew;
use ping_pong::ping_pong;
use spawn_join::spawn_join;

const HOUR: Duration = Duration::from_secs(3600);

const SHARED: &[Workload] = &[
    Workload::each("spawn_join_10k", 500_000, |n| on_coroutine_of_many(move || spawn_join(10_000, n))),
    Workload::each("yield_2", 5_000_000, |n| on_coroutine(move || crew(2, n, |_| yield_now()))),
    Workload::each("yield_1000", 5_000_000, |n| on_coroutine(move || crew(1000, n, |_| yield_now()))),
    Workload::several("wake_hot", || on_coroutine(|| wake::hot(unbuffered))),
    Workload::several("wake_idle", || on_coroutine(|| wake::idle(unbuffered))),
    Workload::each("chan_unbuf_pingpong", 500_000, |n| on_coroutine(move || ping_pong(n, Receiver::recv))),
    Workload::each("ring", 1_000_000, |n| on_coroutine(move || ring::ring(n))),
    // A million do not fit: each takes two memory mappings, and the kernel allows 65530 per
    // process.
    Workload::whole("skynet_10k", || on_coroutine_of_many(|| skynet::skynet(10_000))),
    Workload::each("mutex_8", 5_000_000, |n| on_coroutine(move || lock::mutex(n))),
    Workload::each("rwlock_1pct", 3_000_000, |n| on_coroutine(move || lock::rwlock(n))),
    Workload::several("sleep_20k", || night::night(20_000).lateness()),
    Workload::several("hog_spin", hogs::spin),
    Workload::several("hog_block", || hogs::block(|call| call())),
    Workload::each("timer_select", 500_000, |n| on_coroutine(move || ping_pong(n, |pongs| pongs.recv_timeout(HOUR)))),
];

/// More than 32 000 do not fit: each takes two of the 65530 memory mappings of a process.
const CROWDS: &[Workload] = &crowd_workloads::<Crowd>(20_000, 20_000);

fn start(workers: usize) {
    may::config().set_workers(workers);
}

/// Runs a workload in a coroutine: the main thread is not what is measured.
fn on_coroutine<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    spawn(f).join().expect("a workload does not panic")
}

/// Runs a workload in a coroutine, with a pool for as many stacks as the work needs.
///
/// may's default pool is for a thousand, and all other stacks are mapped and unmapped each time.
/// The first coroutine of a process starts the scheduler, which creates the pool.
fn on_coroutine_of_many<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    may::config().set_pool_capacity(20_000);
    on_coroutine(f)
}

fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    go!(f)
}

/// Returns an unbounded channel: may's channels can only be bounded by a semaphore.
fn unbuffered<T>() -> (Sender<T>, Receiver<T>) {
    channel::channel()
}

/// Returns a channel that many coroutines can wait for.
fn gate<T>() -> (mpmc::Sender<T>, mpmc::Receiver<T>) {
    mpmc::channel()
}

fn main() {
    peer_harness::main(start, &[SHARED, chan::WORKLOADS, select::WORKLOADS, sieve::WORKLOADS, echo::WORKLOADS, CROWDS]);
}
