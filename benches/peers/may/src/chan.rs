//! Streams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use may::go;
use may::sync::{Semphore, mpmc};
use peer_harness::Workload;

use crate::bounded::bounded;
use crate::on_coroutine;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("chan_buf_spsc", 3_000_000, |n| on_coroutine(move || one_to_one(n))),
    Workload::each("chan_mpmc_4x4", 3_000_000, |n| on_coroutine(move || many_to_many(n))),
];

const BUFFER: usize = 128;
const PAIRS: u64 = 4;

fn one_to_one(values: u64) -> Duration {
    let (tx, rx) = bounded(BUFFER);
    let start = Instant::now();
    let sender = go!(move || (0..values).for_each(|n| tx.send(n).expect("the receiver outlives the sender")));
    let receiver = go!(move || {
        let mut received = 0;
        while rx.recv().is_ok() {
            received += 1;
        }
        received
    });
    sender.join().expect("the sender does not panic");
    assert_eq!(receiver.join().expect("the receiver does not panic"), values);
    start.elapsed()
}

fn many_to_many(values: u64) -> Duration {
    let (tx, rx) = mpmc::channel();
    let free = Arc::new(Semphore::new(BUFFER));
    let start = Instant::now();
    let senders = (0..PAIRS).map(|id| {
        let (tx, free) = (tx.clone(), Arc::clone(&free));
        // The first sender takes the remainder of the division.
        let mine = values / PAIRS + if id == 0 { values % PAIRS } else { 0 };
        go!(move || {
            for n in 0..mine {
                free.wait();
                tx.send(n).expect("receivers outlive senders");
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    let receivers = (0..PAIRS).map(|_| {
        let (rx, free) = (rx.clone(), Arc::clone(&free));
        go!(move || rx.into_iter().inspect(|_| free.post()).count() as u64)
    });
    let receivers: Vec<_> = receivers.collect();
    drop((tx, rx));
    for sender in senders {
        sender.join().expect("a sender does not panic");
    }
    let received: u64 = receivers.into_iter().map(|receiver| receiver.join().expect("a receiver does not panic")).sum();
    assert_eq!(received, values);
    start.elapsed()
}
