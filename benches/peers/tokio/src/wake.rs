//! How long a readied task waits when its waker goes on computing.

use std::time::{Duration, Instant};

use peer_harness::{Figures, Times, Workload, hog};
use tokio::spawn;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::several("wake_hot", || on_worker(latencies(5000, Duration::ZERO))),
    Workload::several("wake_idle", || on_worker(latencies(1000, Duration::from_millis(2)))),
];

const BUSY: Duration = Duration::from_micros(200);

/// Measures the time from just before each send to just after its receive.
///
/// After `gap`, the next send follows.
async fn latencies(count: usize, gap: Duration) -> Figures {
    let (tx, mut rx) = mpsc::channel(1);
    let (answer, mut answers) = mpsc::channel(1);
    let receiver = spawn(async move {
        while let Some(()) = rx.recv().await {
            answer.send(Instant::now()).await.expect("the sender waits");
        }
    });
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let sent = Instant::now();
        tx.send(()).await.expect("the receiver is running");
        hog(BUSY);
        latencies.push(answers.recv().await.expect("the receiver answers") - sent);
        if !gap.is_zero() {
            sleep(gap).await;
        }
    }
    drop(tx);
    receiver.await.expect("the receiver does not panic");
    Times::new(latencies).p50_and_p99()
}
