//! A tree of goroutines, each with ten children. The leaves send their numbers, and the other nodes
//! send sums.

use std::time::{Duration, Instant};

use crate::channel::Sender;
use crate::{go, unbuffered};

/// Sums the numbers of the given number of leaves, a power of ten.
pub(crate) fn skynet(leaves: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = unbuffered();
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
        let (tx, rx) = unbuffered();
        let each = leaves / 10;
        for child in 0..10 {
            let tx = tx.clone();
            go!(move || node(tx, first + child * each, each));
        }
        (0..10).map(|_| rx.recv().expect("a child sends its sum")).sum()
    };
    parent.send(sum).expect("the parent waits");
}
