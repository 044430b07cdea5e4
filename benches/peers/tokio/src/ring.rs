//! A token that is passed around a ring. A channel of capacity 1 stands in for an unbuffered one.

use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::spawn;
use tokio::sync::mpsc;

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[Workload::each("ring", 1_000_000, |n| on_worker(ring(n)))];

const NODES: usize = 1000;

async fn ring(hops: u64) -> Duration {
    let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..NODES).map(|_| mpsc::channel(1)).unzip();
    let first = senders[0].clone();
    senders.rotate_left(1);
    let (end, mut ended) = mpsc::channel(1);
    let nodes = receivers.into_iter().zip(senders).map(|(mut rx, next)| {
        let end = end.clone();
        spawn(async move {
            while let Some(left) = rx.recv().await {
                if left == 0 {
                    end.send(Instant::now()).await.expect("the starter waits");
                    // This closes the channel to the next node, which ends too, and so on around
                    // the ring.
                    return;
                }
                next.send(left - 1).await.expect("the next node waits");
            }
        })
    });
    let nodes: Vec<_> = nodes.collect();
    let start = Instant::now();
    first.send(hops).await.expect("the first node waits");
    let elapsed = ended.recv().await.expect("a node sees the end") - start;
    drop(first);
    for node in nodes {
        node.await.expect("a node does not panic");
    }
    elapsed
}
