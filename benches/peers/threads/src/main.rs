//! OS threads, crossbeam-channel, and parking_lot. A number of workers is a number of CPUs that the
//! threads may use.

use std::thread::{sleep, spawn, yield_now};

use crossbeam_channel as channel;
use parking_lot as sync;
use peer_harness::{Workload, crowd_workloads};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

#[path = "../../crossbeam_api/chan.rs"]
mod chan;
#[path = "../../common/crowd.rs"]
mod crowd;
#[path = "../../common/hogs.rs"]
mod hogs;
#[path = "../../common/lock.rs"]
mod lock;
#[path = "../../common/ping_pong.rs"]
mod ping_pong;
#[path = "../../common/ring.rs"]
mod ring;
#[path = "../../crossbeam_api/select.rs"]
mod select;
#[path = "../../common/spawn_join.rs"]
mod spawn_join;
#[path = "../../crossbeam_api/timeout.rs"]
mod timeout;
#[path = "../../common/wake.rs"]
mod wake;

mod echo;

use channel::{Receiver, Sender};
use crowd::Crowd;
use lock::crew;
use ping_pong::ping_pong;
use spawn_join::spawn_join;
use unbuffered as gate;

/// Workloads in which each operation switches threads have fewer operations than elsewhere.
const WORKLOADS: &[Workload] = &[
    Workload::each("spawn_join_10k", 10_000, |n| spawn_join(10_000, n)),
    Workload::each("yield_2", 500_000, |n| crew(2, n, |_| yield_now())),
    Workload::each("yield_1000", 500_000, |n| crew(1000, n, |_| yield_now())),
    Workload::several("wake_hot", || wake::hot(|| channel::bounded(1))),
    Workload::several("wake_idle", || wake::idle(|| channel::bounded(1))),
    Workload::each("chan_unbuf_pingpong", 20_000, |n| ping_pong(n, Receiver::recv)),
    Workload::each("chan_buf_spsc", 3_000_000, |n| chan::stream(1, n)),
    Workload::each("chan_mpmc_4x4", 3_000_000, |n| chan::stream(4, n)),
    Workload::each("select2_buf128", 500_000, |n| select::two(128, n)),
    Workload::each("select8_buf128", 500_000, |n| select::eight(128, n)),
    Workload::each("select2_unbuf", 50_000, |n| select::two(0, n)),
    Workload::each("select8_unbuf", 50_000, |n| select::eight(0, n)),
    Workload::each("select_default1", 20_000_000, select::default_one),
    Workload::each("select_default2", 3_000_000, select::default_two),
    Workload::each("select_done_buf128", 500_000, |n| select::done(128, n)),
    Workload::each("select_done_unbuf", 20_000, |n| select::done(0, n)),
    Workload::each("ring", 50_000, ring::ring),
    Workload::each("mutex_8", 5_000_000, lock::mutex),
    Workload::each("rwlock_1pct", 3_000_000, lock::rwlock),
    Workload::each("timer_select", 20_000, timeout::ping_pong_with_timeout),
    Workload::several("hog_spin", hogs::spin),
    Workload::several("hog_block", || hogs::block(|call| call())),
];

/// The kernel allows about 16 000 threads.
const CROWDS: &[Workload] = &crowd_workloads::<Crowd>(10_000, 10_000);

/// Confines this thread, and the threads that it starts, to the first of the CPUs that it may use.
fn start(workers: usize) {
    let allowed = sched_getaffinity(None).expect("the kernel reports the allowed CPUs");
    let mut chosen = CpuSet::new();
    for cpu in (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).take(workers) {
        chosen.set(cpu);
    }
    sched_setaffinity(None, &chosen).expect("the CPUs are among the allowed ones");
}

fn unbuffered<T>() -> (Sender<T>, Receiver<T>) {
    channel::bounded(0)
}

fn main() {
    peer_harness::main(start, &[WORKLOADS, echo::WORKLOADS, CROWDS]);
}
