//! Whether it is worth while to spin for a lock before parking.
//!
//! Who spins hopes that the owner, on another CPU, is done sooner than a park and a wake-up would take. As Go has found
//! too (`sync_runtime_canSpin`), that is vain if no other P runs goroutines, since the owner cannot run then, and a
//! waste if others wait for this very P.
//!
//! Who spins also disturbs: each look at the lock takes its cache line from the owner, who misses it at the unlock and
//! at the next lock. So a round is long, and looks at nothing.

use std::hint;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::gmp::scheduler::sched;
use crate::sched::current;

/// Whether the caller, who waits for something that another has for a short time, may get it sooner by spinning than by
/// parking. It goes by what runs at this moment, so ask before each round.
pub fn is_worth_it() -> bool {
    static CPUS: LazyLock<bool> =
        LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1));

    let Some(m) = current::m().filter(|_| *CPUS) else { return *CPUS };
    let sched = sched();
    let (idle, searching) = sched.idle.counts();
    // One that has lost its P comes back soonest if it parks.
    sched.procs() > idle + searching + 1 && m.p().is_some_and(|p| !p.has_work())
}

/// How long a round of spinning takes, about: an owner that locks and unlocks all the time has a hundred turns
/// meanwhile, undisturbed. `mutex_8` of the peers on two Ps: 41 ns a lock with rounds of 0.2 us, 34 to 39 with 1 us, 30
/// to 34 with 2 us, 25 to 31 with 4 us.
const ROUND: Duration = Duration::from_micros(2);

/// Spins for one round, without a look at memory.
pub fn spin() {
    /// One may take 2 ns or 50, on whichever CPU.
    static HINTS: LazyLock<u32> = LazyLock::new(|| {
        const SAMPLE: u32 = 50;
        let sample = || {
            let start = Instant::now();
            (0..SAMPLE).for_each(|_| hint::spin_loop());
            start.elapsed().as_nanos()
        };
        // The quickest: this thread may lose its CPU at any time.
        let quickest = (0..3).map(|_| sample()).min().unwrap_or(1).max(1);
        let hints = u128::from(SAMPLE) * ROUND.as_nanos() / quickest;
        hints.clamp(1, 1000) as u32
    });
    (0..*HINTS).for_each(|_| hint::spin_loop());
}
