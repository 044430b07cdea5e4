//! Chaos mode: the scheduler takes its rare paths all the time.
//!
//! `GREENTHREAD_CHAOS=SEED`, or [`Config::chaos`](crate::api::config::Config::chaos), turns it on
//! for a process. It is for the tests of this runtime and of programs that use it.
//!
//! # Why
//! On a quiet machine, sysmon rarely retakes a P, goroutines rarely move, and tests exercise few
//! interleavings. A bug in any other interleaving shows up on a user's machine, once a month. Chaos
//! mode adds no new behavior: each of its decisions is one that the scheduler may take anyway at
//! that place, for reasons that rarely arise. So anything that fails under chaos is a real bug.
//!
//! # What it does
//! The list names each place and, in parentheses, the reason for the same behavior without chaos:
//!
//! * [`crate::sched::entry::enter`]: the thread pauses; the P is retaken and handed to another M (a
//!   goroutine has kept it for 10 ms).
//! * `reacquire_p` in [`crate::wait::park`]: the goroutine queues, even though a P is idle (no P is
//!   idle).
//! * [`crate::wait::ready`]: a readied or new goroutine goes to the global queue, or to the tail
//!   (there is no P; a chain has used up its slice).
//! * `usual` in `sched::worker::next`: the global queue and the backlog are checked first (every
//!   61st slice).
//! * `nearby` in `sched::worker::next`: the M steals from a random victim first (no local work).
//! * `after_suspend` in [`crate::sched::worker`]: the thread pauses between the switch and the
//!   commit step (the system preempts the thread).
//! * [`crate::sched::sysmon`]: it checks eight times as often, and retakes any P at any moment, for
//!   good or on loan (only from hogs).
//!
//! Losing the P at an entry combines a yield and a migration: other goroutines run on the P before
//! this goroutine continues, and it continues elsewhere. The thread retakes its own P, immediately
//! before it checks for a retake. To the goroutine, that is the same as a retake at any moment
//! since its last entry. This cannot expose the race between the check and the retake; the retakes
//! by sysmon cover that race.
//!
//! # What it hides
//! Chaos mode hides starvation. All queues are checked all the time, Ps are retaken from goroutines
//! that compute for a microsecond, and goroutines that wait in one queue find themselves in
//! another. So tests of fairness (which goroutine waits for how long) prove nothing under chaos.
//! Run them without it.
//!
//! # The seed
//! All decisions draw from [`mod@crate::sched::random`], the single source of randomness. The
//! choice of a victim for a theft and the choice among the ready arms of a `select!` draw from it
//! too. Each P's numbers follow from the seed and the P's id. Each thread's numbers follow from the
//! seed and from the number of threads that drew before it. A thread that drew before the runtime
//! started keeps the sequence that it had.
//!
//! So a seed repeats the numbers, and a failure often recurs with the same seed. The seed does not
//! determine how the system schedules the threads, so the failure may also fail to recur. Try a
//! seed several times before you try another.
//!
//! # Rejected
//! * One thread that runs everything in an order that the seed determines, as simulators do. That
//!   is exact, but it tests a scheduler other than the one that ships. The protocols are tested
//!   with loom for that purpose.
//! * Yields inside user code, between any two instructions. The system already does that, and so do
//!   the retakes by sysmon.
//! * A feature of the package. A user's tests would need another build, and would test another
//!   program.
//!
//! # Invariants
//! * I1: decided before the first goroutine runs, and constant from then on.
//! * I2: while chaos mode is off, each place costs one load of a constant and one branch.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gmp::M;
use crate::sched::random::{self, random};

/// On average, one entry in this many loses its P.
const RETAKE_RATE: u64 = 8;

/// Of the places where the thread could pause, one in this many does pause.
const PAUSE_RATE: u64 = 8;

/// Retakes the P of an M that is outside, if it has one, and hands it off.
pub(crate) type Take = fn(&'static M);

/// Whether chaos mode is on; constant from the first goroutine on (I1).
static ON: AtomicBool = AtomicBool::new(false);

/// A function pointer, since the code that moves Ps is in a higher layer.
static TAKE: OnceLock<Take> = OnceLock::new();

/// Turns chaos mode on.
pub(crate) fn begin(seed: u64, take: Take) {
    random::fix(seed);
    // The thread that starts the runtime must draw first, no matter how many Ms start later.
    random();
    TAKE.get_or_init(|| take);
    ON.store(true, Ordering::Relaxed);
}

#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Returns `true` one time in `n`, and never while chaos mode is off.
#[inline]
pub(crate) fn one_in(n: u64) -> bool {
    is_on() && roll(n)
}

#[cold]
fn roll(n: u64) -> bool {
    random().is_multiple_of(n)
}

/// Sometimes yields the CPU to another thread.
#[inline]
pub(crate) fn pause() {
    if one_in(PAUSE_RATE) {
        std::thread::yield_now();
    }
}

/// Disturbs an entry into the scheduler by the calling M, which runs a goroutine.
#[inline]
pub(crate) fn before_entry(m: &'static M) {
    if is_on() {
        disturb_entry(m);
    }
}

#[cold]
fn disturb_entry(m: &'static M) {
    pause();
    if roll(RETAKE_RATE)
        && let Some(take) = TAKE.get()
    {
        take(m);
    }
}
