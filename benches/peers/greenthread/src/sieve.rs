//! Primes from a chain of goroutines, each of which passes on the numbers that its prime does not
//! divide.

use std::time::{Duration, Instant};

use greenthread::channel::{Receiver, bounded};
use peer_harness::Workload;

use crate::{on_goroutine, spawn};

const PRIMES: usize = 2000;
const LAST: u64 = 17_389;

pub(crate) const WORKLOADS: &[Workload] = &[Workload::whole("sieve_2000", || on_goroutine(sieve))];

fn sieve() -> Duration {
    let start = Instant::now();
    let (tx, mut rx) = bounded(0);
    let numbers = spawn(move || (2..).try_for_each(|n: u64| tx.send(n)));
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
    let (tx, filtered) = bounded(0);
    greenthread::go!(move || {
        for n in rx {
            if n % prime != 0 && tx.send(n).is_err() {
                break;
            }
        }
    });
    filtered
}
