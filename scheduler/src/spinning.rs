//! Whether it is worth while to spin for a lock before parking.
//!
//! Who spins hopes that the owner, on another CPU, is done sooner than a park and a wake-up would take. Three things make that vain, as Go has found too
//! (`sync_runtime_canSpin`):
//!
//! * No other P runs goroutines: the owner cannot, then.
//! * Others wait for this very P: they could use the time.
//! * The lock's line goes back and forth meanwhile. Each look at it costs the owner a cache miss, when it comes to its unlock and to its next lock. So
//!   eight goroutines on two Ps that do nothing but lock and unlock are fastest if those on one of them park, one after the other, until the other P has the
//!   lock for itself: 2.5 times as fast as spinning (`mutex_8` of the peers). The second rule sees to that.

use std::hint;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::current;
use crate::sched::sched;

/// Whether the caller, who waits for something that another has for a short time, may get it sooner by spinning than by parking. It goes by what runs
/// at this moment, so ask before each round.
pub fn is_worth_it() -> bool {
    static CPUS: LazyLock<bool> =
        LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1));

    let Some(m) = current::m().filter(|_| *CPUS) else { return *CPUS };
    let sched = sched();
    let (idle, searching) = sched.idle.counts();
    // One that has lost its P comes back soonest if it parks.
    sched.procs() > idle + searching + 1 && m.p().is_some_and(|p| !p.has_work())
}

/// How long a round of spinning takes, about. In this time an owner that locks and unlocks all the time has some tens of turns, undisturbed: with a tenth
/// of it `mutex_8` takes 1.4 times as long.
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
