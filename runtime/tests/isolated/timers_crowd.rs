//! A million timers of every kind, in a process of their own.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::child;
use crate::common::{Rng, check_within, seed, until};
use greenthread::time::{self, AfterFunc};
use greenthread::{debug, go, gomaxprocs, num_goroutine};

/// Returns the number of timers: a million on two Ps, and a tenth of that on one and on four.
///
/// A tenth shows as much there, in a tenth of the time.
fn crowd() -> usize {
    if gomaxprocs() == 2 { 1_000_000 } else { 100_000 }
}

/// The limit for each test, which is high for builds without optimizations and for busy machines.
const LIMIT: Duration = Duration::from_secs(240);

const LATE: Duration = Duration::from_secs(3600);

fn a_million_pending_calls() {
    let seed = seed();
    check_within(LIMIT, move || {
        let (n, mut random) = (crowd(), Rng::new(seed));
        // Every closure holds a reference, so the count also shows the closures that exist.
        let count = Arc::new(AtomicUsize::new(0));
        let call_after = |duration| {
            let count = Arc::clone(&count);
            time::after_func(duration, move || _ = count.fetch_add(1, Ordering::Relaxed))
        };
        // All timers are pending at the same time, in random order. Then every other one is
        // stopped, and as many are added that become due.
        let calls: Vec<_> = (0..n).map(|_| call_after(LATE + Duration::from_nanos(random.below(1 << 40)))).collect();
        assert_eq!((debug::stats().timers, num_goroutine(), Arc::strong_count(&count)), (n as u64, 1, n + 1));
        assert!(calls.iter().step_by(2).all(AfterFunc::stop));
        assert_eq!((debug::stats().timers, Arc::strong_count(&count)), (n as u64 / 2, n / 2 + 1));
        let due: Vec<_> = (0..n / 2).map(|_| call_after(Duration::from_micros(random.below(1 << 21)))).collect();
        until(|| count.load(Ordering::Relaxed) == n / 2);
        assert!(!due.iter().any(AfterFunc::stop), "all of them were called");
        assert!(calls.iter().skip(1).step_by(2).all(AfterFunc::stop), "and none of the others");
        until(|| Arc::strong_count(&count) == 1);
    });
}

fn a_million_sleepers() {
    let seed = seed();
    let peak = Arc::new(AtomicUsize::new(0));
    let most = Arc::clone(&peak);
    check_within(LIMIT, move || {
        let (n, mut random) = (crowd(), Rng::new(seed));
        let (early, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..n {
            let (early, ended) = (Arc::clone(&early), Arc::clone(&ended));
            // All goroutines sleep at the same time if the machine can start them in that time. No
            // assertion depends on it.
            let duration = Duration::from_micros(4 * n as u64 + random.below(1 << 20));
            go!(move || {
                let begin = Instant::now();
                time::sleep(duration);
                early.fetch_add(usize::from(begin.elapsed() < duration), Ordering::Relaxed);
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        while ended.load(Ordering::Relaxed) < n {
            most.fetch_max(resident(), Ordering::Relaxed);
            time::sleep(Duration::from_millis(100));
        }
        assert_eq!((early.load(Ordering::Relaxed), debug::stats().timers), (0, 0));
    });
    // The memory that the stacks have used returns to the kernel.
    let (most, end) = (peak.load(Ordering::Relaxed), Instant::now() + LIMIT);
    while resident() > most / 2 {
        assert!(Instant::now() < end, "{} of {} MB are still in use", resident() >> 20, most >> 20);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the resident bytes of this process, or 0 where the system cannot report them.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).map_or(0, |pages: usize| pages * 4096)
}

const TESTS: &[child::Test] = child::named![a_million_pending_calls, a_million_sleepers];

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, &[]);
