//! Timers that are created and stopped while others are pending, and a timeout for each receive.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::time::{Sleep, sleep, timeout};

use crate::chan::play;
use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("timer_new_stop", 1_000_000, |n| on_worker(new_stop(n))),
    Workload::each("timer_select", 500_000, |n| on_worker(ping_pong(n))),
];

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const OTHERS: u32 = 10_000;

/// Times timers while others are pending, half of them for less than an hour.
async fn new_stop(count: u64) -> Duration {
    let mut others: Vec<_> = (0..OTHERS).map(|id| Box::pin(sleep(HOUR / 2 + HOUR / OTHERS * id))).collect();
    for other in &mut others {
        arm(other.as_mut()).await;
    }
    let start = Instant::now();
    for _ in 0..count {
        arm(pin!(sleep(HOUR))).await;
    }
    start.elapsed()
}

/// Polls `sleep` once: a `Sleep` enters tokio's wheel when it is first polled, and leaves it when
/// it is dropped.
pub(crate) async fn arm(mut sleep: Pin<&mut Sleep>) {
    let waits = poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_pending())).await;
    assert!(waits, "half an hour has not passed");
}

async fn ping_pong(rounds: u64) -> Duration {
    play(rounds, async |pongs| timeout(HOUR, pongs.recv()).await.expect("an hour has not passed")).await
}
