//! A tree of goroutines, ten children to each, whose leaves send their numbers and whose other nodes send sums.

use std::time::{Duration, Instant};

use greenthread::channel::{Sender, bounded};
use greenthread::go;
use peer_harness::Workload;

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::whole("skynet_10k", || on_goroutine(|| skynet(10_000))),
    Workload::whole("skynet_1m", || on_goroutine(|| skynet(1_000_000))),
];

fn skynet(leaves: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = bounded(0);
    go!(move || node(tx, 0, leaves));
    let sum = rx.recv();
    let elapsed = start.elapsed();
    assert_eq!(sum, Ok(leaves * (leaves - 1) / 2));
    elapsed
}

fn node(parent: Sender<u64>, first: u64, leaves: u64) {
    let sum = if leaves == 1 {
        first
    } else {
        let (tx, rx) = bounded(0);
        let each = leaves / 10;
        for child in 0..10 {
            let tx = tx.clone();
            go!(move || node(tx, first + child * each, each));
        }
        (0..10).map(|_| rx.recv().expect("a child")).sum()
    };
    parent.send(sum).expect("the parent waits");
}
