//! Primes from a chain of tasks, each of which passes on the numbers that its prime does not
//! divide. A channel of capacity 1 stands in for an unbuffered one.

use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::spawn;
use tokio::sync::mpsc::{self, Receiver};

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[Workload::whole("sieve_2000", || on_worker(sieve()))];

const PRIMES: usize = 2000;
const LAST: u64 = 17_389;

async fn sieve() -> Duration {
    let start = Instant::now();
    let (tx, mut rx) = mpsc::channel(1);
    let numbers = spawn(async move {
        for n in 2.. {
            if tx.send(n).await.is_err() {
                break;
            }
        }
    });
    let mut last = 0;
    for _ in 0..PRIMES {
        last = rx.recv().await.expect("there is always one more prime");
        rx = filter(rx, last);
    }
    let elapsed = start.elapsed();
    assert_eq!(last, LAST);
    // The chain ends from this side, link by link.
    drop(rx);
    numbers.await.expect("the source does not panic");
    elapsed
}

fn filter(mut rx: Receiver<u64>, prime: u64) -> Receiver<u64> {
    let (tx, filtered) = mpsc::channel(1);
    spawn(async move {
        while let Some(n) = rx.recv().await {
            if n % prime != 0 && tx.send(n).await.is_err() {
                break;
            }
        }
    });
    filtered
}
