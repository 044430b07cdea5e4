//! Spinning for a lock before parking, and when it pays off.
//!
//! A waiter spins in the hope that the owner, on another CPU, finishes sooner than a park and a
//! wake-up would take. As in Go (`sync_runtime_canSpin`), spinning is futile if no other P runs
//! goroutines, since the owner cannot be running then. It is a waste if other goroutines wait for
//! this very P.
//!
//! A spinning waiter also disturbs the owner. Each read of the lock takes its cache line away from
//! the owner, so the unlock and the next lock are cache misses. So a round is long and reads no
//! memory.

use std::hint;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::gmp::scheduler::sched;
use crate::sched::current;

/// Returns `true` if a waiter may get a lock sooner by spinning than by parking.
///
/// The lock must be one that is held only briefly. The answer depends on what is running right now,
/// so ask again before each round.
pub fn is_worth_it() -> bool {
    static CPUS: LazyLock<bool> =
        LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1));

    let Some(m) = current::m().filter(|_| *CPUS) else { return *CPUS };
    let sched = sched();
    let (idle, searching) = sched.idle.counts();
    // A goroutine that has lost its P gets a P back soonest if it parks.
    sched.procs() > idle + searching + 1 && m.p().is_some_and(|p| !p.has_work())
}

/// The approximate duration of a round, in which an owner that locks and unlocks all the time has a
/// hundred undisturbed turns.
///
/// On two Ps, `mutex_8` of the peer benchmarks takes 41 ns per lock with rounds of 0.2 us, 34 to 39
/// with 1 us, 30 to 34 with 2 us, and 25 to 31 with 4 us.
const ROUND: Duration = Duration::from_micros(2);

/// Spins for one round without reading memory.
pub fn spin() {
    /// Spin-loop hints per round.
    ///
    /// A hint takes between 2 ns and 50 ns, depending on the CPU.
    static HINTS: LazyLock<u32> = LazyLock::new(|| {
        const SAMPLE: u32 = 50;
        let sample = || {
            let start = Instant::now();
            (0..SAMPLE).for_each(|_| hint::spin_loop());
            start.elapsed().as_nanos()
        };
        // The quickest sample is used because this thread may lose its CPU during any of them.
        let quickest = (0..3).map(|_| sample()).min().unwrap_or(1).max(1);
        let hints = u128::from(SAMPLE) * ROUND.as_nanos() / quickest;
        hints.clamp(1, 1000) as u32
    });
    (0..*HINTS).for_each(|_| hint::spin_loop());
}
