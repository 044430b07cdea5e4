//! Timers that are created and stopped while others are pending.

use std::time::{Duration, Instant};

use greenthread::time::{AfterFunc, Timer, after_func};
use peer_harness::Workload;

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("timer_new_stop", 1_000_000, |n| on_goroutine(move || among_others(|| new_stop(n)))),
    Workload::each("after_func_stop", 1_000_000, |n| on_goroutine(move || among_others(|| after_func_stop(n)))),
];

const HOUR: Duration = Duration::from_secs(3600);
const OTHERS: u32 = 10_000;

fn new_stop(count: u64) {
    for _ in 0..count {
        assert!(Timer::new(HOUR).stop(), "an hour has not passed");
    }
}

fn after_func_stop(count: u64) {
    for _ in 0..count {
        assert!(after_func(HOUR, || {}).stop(), "an hour has not passed");
    }
}

/// Times `work` while other timers are pending, half of them for less than an hour.
fn among_others(work: impl FnOnce()) -> Duration {
    let others: Vec<AfterFunc> = (0..OTHERS).map(|id| after_func(HOUR / 2 + HOUR / OTHERS * id, || {})).collect();
    let start = Instant::now();
    work();
    let elapsed = start.elapsed();
    others.iter().for_each(|other| assert!(other.stop(), "half an hour has not passed"));
    elapsed
}
