//! Chaos mode: the scheduler takes its rare paths all the time.
//!
//! `GREENTHREAD_CHAOS=SEED`, or [`Config::chaos`](crate::api::config::Config::chaos), turns it on for a process: for the tests of this
//! runtime, and for those of programs that use it.
//!
//! # Why
//! On a quiet machine a P is taken away once in a while, a goroutine moves seldom, and of the orders in which
//! goroutines can run a test sees a few. What goes wrong in the others shows at a user's, once a month. Nothing that
//! chaos does is new: each of its decisions is one that the scheduler may take anyhow at that place, for reasons that
//! seldom come up. So what fails under chaos is wrong.
//!
//! # What it does
//! | where | what | otherwise |
//! | --- | --- | --- |
//! | [`crate::sched::entry::enter`] | the thread pauses; the P is taken and handed to another M | a goroutine has kept it for 10 ms |
//! | `reacquire_p` in [`crate::wait::park`] | the goroutine queues, though a P is idle | none is idle |
//! | [`crate::wait::ready`] | a readied or new goroutine goes to the global queue, or to the tail | no P; a chain has used up its slice |
//! | `local` in [`crate::sched::worker`] | the queues that are not the P's own are looked into first | every 61st slice, and at each look around |
//! | `local_next` in [`crate::sched::worker`] | a random victim is robbed first | no work |
//! | `left` in [`crate::sched::worker`] | the thread pauses between the switch and the commit step | the system takes the CPU away |
//! | [`crate::sched::sysmon`] | looks eight times as often, and takes any P at any moment, for good or on loan | hogs only |
//!
//! The loss of the P at an entry is a yield and a migration in one: others run on the P before this goroutine goes on,
//! and it goes on elsewhere. It is taken by the thread itself, at the last moment before it looks: for the goroutine
//! that is the same as at any moment since its last entry. What this cannot show, the race between the look and the
//! take, the monitor's takes are for.
//!
//! # What it hides
//! Who starves. All queues are looked into all the time, Ps are taken from goroutines that compute for a microsecond, and
//! goroutines that wait in one queue find themselves in another. So tests of fairness (who waits for how long) say
//! nothing under chaos: run them without it.
//!
//! # The seed
//! All decisions come from [`mod@crate::sched::random`], and so does the choice among the ready arms of a `select!`. Each
//! thread's numbers follow from the seed and from how many threads have asked before. So a seed gives each thread the
//! same dice again, and a failure comes back with it often; it does not fix what the system does with the threads, so
//! it may also stay away. Try a seed again before you try another.
//!
//! # Rejected
//! * One thread that runs everything in an order that the seed fixes (as simulators do): exact, but it is another
//!   scheduler than the one that ships. The protocols have loom for that.
//! * Yields inside of user code, between any two instructions: the system does that already, and the monitor's takes with it.
//! * A feature of the package: then a user's tests would need another build, and would test another program.
//!
//! # Invariants
//! * I1: settled before the first goroutine runs, and constant from then on.
//! * I2: while it is off, each place costs one load of a constant and one branch.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gmp::M;
use crate::sched::random::{self, random};

/// Of so many entries, one loses its P, on average.
const RETAKE_RATE: u64 = 8;

/// Of so many places where the thread could pause, one does.
const PAUSE_RATE: u64 = 8;

/// Takes the P from an M that is outside, if it has one, and passes it on.
pub(crate) type Take = fn(&'static M);

/// I1.
static ON: AtomicBool = AtomicBool::new(false);

/// What moves Ps stands above this module.
static TAKE: OnceLock<Take> = OnceLock::new();

/// Turns it on.
pub(crate) fn begin(seed: u64, take: Take) {
    random::fix(seed);
    // The thread that starts the runtime asks first, whichever Ms there will be.
    random();
    TAKE.get_or_init(|| take);
    ON.store(true, Ordering::Relaxed);
}

#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// One time in `n`, and never while it is off.
#[inline]
pub(crate) fn one_in(n: u64) -> bool {
    is_on() && roll(n)
}

#[cold]
fn roll(n: u64) -> bool {
    random().is_multiple_of(n)
}

/// Perhaps gives the CPU to another thread.
#[inline]
pub(crate) fn pause() {
    if one_in(PAUSE_RATE) {
        std::thread::yield_now();
    }
}

/// The calling M runs a goroutine, and is about to enter the scheduler.
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
