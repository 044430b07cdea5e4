//! Primes from a chain of coroutines, each of which passes on the numbers that its prime does not
//! divide. A channel with one free slot stands in for an unbuffered one.

use std::time::{Duration, Instant};

use may::go;
use peer_harness::Workload;

use crate::bounded::{Receiver, bounded};
use crate::on_coroutine;

pub(crate) const WORKLOADS: &[Workload] = &[Workload::whole("sieve_2000", || on_coroutine(sieve))];

const PRIMES: usize = 2000;
const LAST: u64 = 17_389;

fn sieve() -> Duration {
    let start = Instant::now();
    let (tx, mut rx) = bounded(1);
    let numbers = go!(move || (2..).try_for_each(|n| tx.send(n)));
    let mut last = 0;
    for _ in 0..PRIMES {
        last = rx.recv().expect("there is always one more prime");
        rx = filter(rx, last);
    }
    let elapsed = start.elapsed();
    assert_eq!(last, LAST);
    // The chain ends from this side, link by link.
    drop(rx);
    numbers.join().expect("the source does not panic").expect_err("the receiver is gone");
    elapsed
}

fn filter(rx: Receiver<u64>, prime: u64) -> Receiver<u64> {
    let (tx, filtered) = bounded(1);
    go!(move || {
        while let Ok(n) = rx.recv() {
            if n % prime != 0 && tx.send(n).is_err() {
                break;
            }
        }
    });
    filtered
}
