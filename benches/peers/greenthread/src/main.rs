//! greenthread's program in the peer benchmark.

use greenthread::config::Config;
use greenthread::net::{TcpListener, TcpStream};
use greenthread::time::sleep;
use greenthread::{blocking, channel, go, spawn, sync, yield_now};
use peer_harness::{Workload, crowd_workloads, fairness};

#[path = "../../crossbeam_api/chan.rs"]
mod chan;
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
#[path = "../../crossbeam_api/select.rs"]
mod select;
#[path = "../../common/skynet.rs"]
mod skynet;
#[path = "../../common/spawn_join.rs"]
mod spawn_join;
#[path = "../../crossbeam_api/timeout.rs"]
mod timeout;
#[path = "../../common/wake.rs"]
mod wake;

mod ctx;
mod sieve;
mod timer;

use channel::{Receiver, Sender};
use crowd::Crowd;
use lock::crew;
use ping_pong::ping_pong;
use spawn_join::spawn_join;
use unbuffered as gate;

const SHARED: &[Workload] = &[
    Workload::each("spawn_join_10k", 1_000_000, |n| on_goroutine(move || spawn_join(10_000, n))),
    Workload::each("spawn_join_1m", 1_000_000, |n| on_goroutine(move || spawn_join(n, n))),
    Workload::each("yield_2", 5_000_000, |n| on_goroutine(move || crew(2, n, |_| yield_now()))),
    Workload::each("yield_1000", 5_000_000, |n| on_goroutine(move || crew(1000, n, |_| yield_now()))),
    Workload::several("wake_hot", || on_goroutine(|| wake::hot(|| channel::bounded(1)))),
    Workload::several("wake_idle", || on_goroutine(|| wake::idle(|| channel::bounded(1)))),
    Workload::each("chan_unbuf_pingpong", 500_000, |n| on_goroutine(move || ping_pong(n, Receiver::recv))),
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
    Workload::whole("skynet_10k", || on_goroutine(|| skynet::skynet(10_000))),
    Workload::whole("skynet_1m", || on_goroutine(|| skynet::skynet(1_000_000))),
    Workload::each("mutex_8", 5_000_000, |n| on_goroutine(move || lock::mutex(n))),
    Workload::each("rwlock_1pct", 3_000_000, |n| on_goroutine(move || lock::rwlock(n))),
    Workload::several("sleep_20k", || night::night(20_000).lateness()),
    Workload::several("sleep_1m", || night::night(1_000_000).wall_and_lateness()),
    Workload::several("hog_spin", hogs::spin),
    Workload::several("hog_block", || hogs::block(blocking)),
    Workload::several("busy_io", || fairness::trips_beside_busy(echo::serve, |busy| go!(take_turns(busy)))),
    Workload::several("hogs_60", || fairness::hogs(|job| go!(job.compute()))),
    Workload::whole("block_300", || fairness::blockers(|blocker| go!(blocker.block()))),
    Workload::each("timer_select", 500_000, |n| on_goroutine(move || timeout::ping_pong_with_timeout(n))),
];

const CROWDS: &[Workload] = &crowd_workloads::<Crowd>(1_000_000, 100_000);

/// Runs a workload in a goroutine: the main thread is not what is measured.
fn on_goroutine<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    spawn(f).join().expect("a workload does not panic")
}

fn take_turns(busy: fairness::Busy) {
    while busy.turn() {
        yield_now();
    }
}

fn start(procs: usize) {
    Config::default().procs(procs).install().expect("nothing has used the runtime yet");
}

fn unbuffered<T>() -> (Sender<T>, Receiver<T>) {
    channel::bounded(0)
}

fn main() {
    peer_harness::main(start, &[SHARED, sieve::WORKLOADS, timer::WORKLOADS, ctx::WORKLOADS, echo::WORKLOADS, CROWDS]);
}
