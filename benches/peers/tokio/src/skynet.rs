//! A tree of tasks, each with ten children. The leaves send their numbers, and the other nodes send
//! sums. A channel of capacity 1 stands in for an unbuffered one.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::spawn;
use tokio::sync::mpsc::{self, Sender};

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::whole("skynet_10k", || on_worker(skynet(10_000))),
    Workload::whole("skynet_1m", || on_worker(skynet(1_000_000))),
];

async fn skynet(leaves: u64) -> Duration {
    let start = Instant::now();
    let (tx, mut rx) = mpsc::channel(1);
    spawn(node(tx, 0, leaves));
    let sum = rx.recv().await;
    let elapsed = start.elapsed();
    assert_eq!(sum, Some(leaves * (leaves - 1) / 2));
    elapsed
}

/// Runs one node of the tree.
///
/// The future is boxed, because its type would contain itself.
fn node(parent: Sender<u64>, first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut sum = 0;
        if leaves == 1 {
            sum = first;
        } else {
            let (tx, mut rx) = mpsc::channel(1);
            let each = leaves / 10;
            for child in 0..10 {
                spawn(node(tx.clone(), first + child * each, each));
            }
            for _ in 0..10 {
                sum += rx.recv().await.expect("a child sends its sum");
            }
        }
        parent.send(sum).await.expect("the parent waits");
    })
}
