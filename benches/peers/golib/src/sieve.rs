//! Primes from a chain of goroutines, each of which passes on the numbers that its prime does not
//! divide.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use go_lib::chan::{Receiver, chan};
use go_lib::go;
use peer_harness::Workload;

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] = &[Workload::whole("sieve_2000", || on_goroutine(sieve))];

const PRIMES: usize = 2000;
const LAST: u64 = 17_389;

fn sieve() -> Duration {
    let start = Instant::now();
    let enough = Arc::new(AtomicBool::new(false));
    let mut rx = numbers(Arc::clone(&enough));
    let mut last = 0;
    for _ in 0..PRIMES {
        last = rx.recv().expect("there is always one more prime");
        rx = filter(rx, last);
    }
    let elapsed = start.elapsed();
    assert_eq!(last, LAST);
    // A sender waits forever once its receiver is gone, as in Go. So the chain ends from the other
    // side.
    enough.store(true, Ordering::Relaxed);
    while rx.recv().is_some() {}
    elapsed
}

fn numbers(enough: Arc<AtomicBool>) -> Receiver<u64> {
    let (tx, rx) = chan(0);
    go!(move || {
        (2..).take_while(|_| !enough.load(Ordering::Relaxed)).for_each(|n| tx.send(n));
        tx.close();
    });
    rx
}

fn filter(rx: Receiver<u64>, prime: u64) -> Receiver<u64> {
    let (tx, filtered) = chan(0);
    go!(move || {
        while let Some(n) = rx.recv() {
            if n % prime != 0 {
                tx.send(n);
            }
        }
        tx.close();
    });
    filtered
}
