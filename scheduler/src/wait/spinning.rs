//! Spinning for a lock before parking, and when it pays.
//!
//! A waiter spins in the hope that the owner, on another CPU, finishes sooner than a park and a
//! wake-up would take. As in Go (`sync_runtime_canSpin`), that is futile if no other P runs
//! goroutines, since the owner cannot run then, and a waste if other goroutines wait for this very
//! P.
//!
//! A spinning waiter also disturbs the owner: each read of the lock takes its cache line from the
//! owner, which then misses it at the unlock and at the next lock. So a round is long and reads
//! nothing.

use std::hint;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::gmp::scheduler::sched;
use crate::sched::current;

/// Returns `true` if a waiter may get a lock sooner by spinning than by parking.
///
/// The lock must be one that is held for a short time. The answer depends on what runs at this
/// moment, so ask before each round.
pub fn is_worth_it() -> bool {
    static CPUS: LazyLock<bool> =
        LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1));

    let Some(m) = current::m().filter(|_| *CPUS) else { return *CPUS };
    let sched = sched();
    let (idle, searching) = sched.idle.counts();
    // A goroutine that has lost its P comes back soonest if it parks.
    sched.procs() > idle + searching + 1 && m.p().is_some_and(|p| !p.has_work())
}

/// The approximate duration of a round: an owner that locks and unlocks all the time has a hundred
/// undisturbed turns in it.
///
/// `mutex_8` of the peers on two Ps takes 41 ns per lock with rounds of 0.2 us, 34 to 39 with 1 us,
/// 30 to 34 with 2 us, and 25 to 31 with 4 us.
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
        // The quickest sample: this thread may lose its CPU at any time.
        let quickest = (0..3).map(|_| sample()).min().unwrap_or(1).max(1);
        let hints = u128::from(SAMPLE) * ROUND.as_nanos() / quickest;
        hints.clamp(1, 1000) as u32
    });
    (0..*HINTS).for_each(|_| hint::spin_loop());
}
