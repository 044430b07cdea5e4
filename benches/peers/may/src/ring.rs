//! A token that is handed around a ring. The channels have no bound.

use std::time::{Duration, Instant};

use may::go;
use may::sync::mpsc;
use peer_harness::Workload;

use crate::on_coroutine;

pub(crate) const WORKLOADS: &[Workload] = &[Workload::each("ring", 1_000_000, |n| on_coroutine(move || ring(n)))];

const NODES: usize = 1000;

fn ring(hops: u64) -> Duration {
    let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..NODES).map(|_| mpsc::channel()).unzip();
    let first = senders[0].clone();
    senders.rotate_left(1);
    let (end, ended) = mpsc::channel();
    let nodes = receivers.into_iter().zip(senders).map(|(rx, next)| {
        let end = end.clone();
        go!(move || {
            for left in rx {
                if left == 0 {
                    end.send(Instant::now()).expect("the starter waits");
                    // This closes the channel to the next node, which ends too, and so on around.
                    return;
                }
                next.send(left - 1).expect("the next node waits");
            }
        })
    });
    let nodes: Vec<_> = nodes.collect();
    let start = Instant::now();
    first.send(hops).expect("the first node waits");
    let elapsed = ended.recv().expect("a node sees the end") - start;
    drop(first);
    for node in nodes {
        node.join().expect("a node");
    }
    elapsed
}
