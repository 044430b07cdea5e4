//! The cost of the migration guard when a goroutine is resumed: by another M than before, and by
//! the same M.
//!
//! `migrating`: a thousand goroutines that have parked on one M are woken at once, and another M
//! steals and resumes them all, since the first keeps its own P busy. Timed: from the first that
//! runs to the last, per goroutine. Their live stacks are those of a `recv` in a closure, or 4 KiB
//! larger. `staying`: two goroutines on one P yield to each other. Timed: each yield. Not timed:
//! spawning, parking, and waking the thief.
//!
//! Each is measured with the guard, and then without it. `staying` must give the same figure in
//! both cases.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread::__private::Mechanism;
use greenthread::channel::{Receiver, unbounded};
use greenthread_benches::on_procs;

const CROWD: u64 = 1000;

/// The times at which the first and the last goroutine of a crowd ran, in nanoseconds since
/// `epoch`.
struct Crowd {
    epoch: Instant,
    parking: AtomicU64,
    resumed: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
}

impl Crowd {
    fn wait<const BYTES: usize>(&self, gate: &Receiver<()>) {
        let frame = black_box([0u8; BYTES]);
        self.parking.fetch_add(1, Ordering::Relaxed);
        let _ = gate.recv();
        black_box(&frame);
        match self.resumed.fetch_add(1, Ordering::Relaxed) {
            0 => self.first.store(self.now(), Ordering::Relaxed),
            n if n == CROWD - 1 => self.last.store(self.now(), Ordering::Release),
            _ => {}
        }
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

/// Returns the time that another M takes to resume a crowd that has parked on this one.
fn migrate<const BYTES: usize>() -> Duration {
    let crowd = Arc::new(Crowd {
        epoch: Instant::now(),
        parking: AtomicU64::new(0),
        resumed: AtomicU64::new(0),
        first: AtomicU64::new(0),
        last: AtomicU64::new(0),
    });
    greenthread::set_gomaxprocs(1);
    let (opener, gate) = unbounded();
    for _ in 0..CROWD {
        let (crowd, gate) = (Arc::clone(&crowd), gate.clone());
        greenthread::go!(move || crowd.wait::<BYTES>(&gate));
    }
    while crowd.parking.load(Ordering::Relaxed) < CROWD {
        greenthread::yield_now();
    }
    greenthread::set_gomaxprocs(2);
    opener.close();
    while crowd.last.load(Ordering::Acquire) == 0 {
        std::hint::spin_loop();
    }
    Duration::from_nanos(crowd.last.load(Ordering::Relaxed) - crowd.first.load(Ordering::Relaxed))
}

fn migrations<const BYTES: usize>(iters: u64) -> Duration {
    let crowds = iters.div_ceil(CROWD);
    let total: Duration = (0..crowds).map(|_| migrate::<BYTES>()).sum();
    total.mul_f64(iters as f64 / (crowds * CROWD) as f64)
}

fn yields(iters: u64) -> Duration {
    let start = Instant::now();
    let half = iters.div_ceil(2);
    let yields = move || (0..half).for_each(|_| greenthread::yield_now());
    let other = greenthread::spawn(yields);
    yields();
    other.join().expect("yielding does not panic");
    start.elapsed()
}

fn with_and_without_guard(c: &mut Criterion) {
    for guard in ["guarded", "unguarded"] {
        if guard == "unguarded" {
            // SAFETY: the contract of `switch_off` holds: nothing in this program keeps the address
            // of a thread-local across a park.
            unsafe { Mechanism::MigrationGuard.switch_off() };
        }
        let mut group = c.benchmark_group("migration");
        group.bench_function(BenchmarkId::new("migrating", guard), |b| {
            b.iter_custom(|n| on_procs(2, move || migrations::<1>(n)))
        });
        group.bench_function(BenchmarkId::new("migrating_4k", guard), |b| {
            b.iter_custom(|n| on_procs(2, move || migrations::<4096>(n)))
        });
        group.bench_function(BenchmarkId::new("staying", guard), |b| b.iter_custom(|n| on_procs(1, move || yields(n))));
    }
}

criterion_group!(benches, with_and_without_guard);
criterion_main!(benches);
