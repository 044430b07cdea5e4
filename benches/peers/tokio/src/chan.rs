//! Streams and ping-pong. tokio's own queues have one receiver, so async-channel stands in where
//! there are several.

use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::spawn;
use tokio::sync::mpsc::{self, Receiver};

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("chan_unbuf_pingpong", 500_000, |n| on_worker(ping_pong(n))),
    Workload::each("chan_buf_spsc", 3_000_000, |n| on_worker(one_to_one(n))),
    Workload::each("chan_mpmc_4x4", 3_000_000, |n| on_worker(many_to_many(n))),
];

const BUFFER: usize = 128;
const PAIRS: u64 = 4;

async fn ping_pong(rounds: u64) -> Duration {
    play(rounds, async |pongs| pongs.recv().await).await
}

/// Sends `rounds` values to and fro.
///
/// The task that counts the rounds receives by `receive`.
pub(crate) async fn play(rounds: u64, receive: impl AsyncFn(&mut Receiver<u64>) -> Option<u64>) -> Duration {
    let (ping, mut pings) = mpsc::channel(1);
    let (pong, mut pongs) = mpsc::channel(1);
    let other = spawn(async move {
        while let Some(n) = pings.recv().await {
            if pong.send(n).await.is_err() {
                break;
            }
        }
    });
    let start = Instant::now();
    for n in 0..rounds {
        ping.send(n).await.expect("the partner receives");
        assert_eq!(receive(&mut pongs).await, Some(n));
    }
    let elapsed = start.elapsed();
    drop(ping);
    other.await.expect("the partner does not panic");
    elapsed
}

async fn one_to_one(values: u64) -> Duration {
    let (tx, mut rx) = mpsc::channel(BUFFER);
    let start = Instant::now();
    let sender = spawn(async move {
        for n in 0..values {
            tx.send(n).await.expect("the receiver outlives the sender");
        }
    });
    let receiver = spawn(async move {
        let mut received = 0;
        while rx.recv().await.is_some() {
            received += 1;
        }
        received
    });
    sender.await.expect("the sender does not panic");
    assert_eq!(receiver.await.expect("the receiver does not panic"), values);
    start.elapsed()
}

async fn many_to_many(values: u64) -> Duration {
    let (tx, rx) = async_channel::bounded(BUFFER);
    let start = Instant::now();
    let senders = (0..PAIRS).map(|id| {
        let tx = tx.clone();
        // The first sender takes the remainder of the division.
        let mine = values / PAIRS + if id == 0 { values % PAIRS } else { 0 };
        spawn(async move {
            for n in 0..mine {
                tx.send(n).await.expect("receivers outlive senders");
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    let receivers = (0..PAIRS).map(|_| {
        let rx = rx.clone();
        spawn(async move {
            let mut received = 0;
            while rx.recv().await.is_ok() {
                received += 1;
            }
            received
        })
    });
    let receivers: Vec<_> = receivers.collect();
    drop((tx, rx));
    for sender in senders {
        sender.await.expect("a sender does not panic");
    }
    let mut received = 0;
    for receiver in receivers {
        received += receiver.await.expect("a receiver does not panic");
    }
    assert_eq!(received, values);
    start.elapsed()
}
