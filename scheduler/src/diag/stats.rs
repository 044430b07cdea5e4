//! The scheduler's counters.
//!
//! They are read while everything keeps running: each number was correct at some point in time, but
//! not all at the same point.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::gmp::scheduler::{Sched, try_sched};
use crate::machine::stack::{self, Guards};
use crate::machine::sys::fallback::Fallbacks;
use crate::netpoll::{REGISTERED, ROLE};

/// Counts of events since the start.
pub(crate) struct Counters {
    /// Ps taken from an M that did not return.
    pub(crate) retakes: AtomicU64,
    /// Goroutines that the migration guard returned to their thread.
    pub(crate) guarded_resumes: AtomicU64,
}

pub(crate) static COUNTERS: Counters = Counters { retakes: AtomicU64::new(0), guarded_resumes: AtomicU64::new(0) };

/// Counters of the scheduler, as returned by [`stats`].
///
/// Each number was correct at some point in time, but not all at the same point.
///
/// ```
/// let stats = greenthread::debug::stats();
/// println!("{} goroutines on {} threads", stats.goroutines, stats.threads);
/// assert!(stats.spare_threads <= stats.threads && stats.threads <= stats.peak_threads);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Goroutines that were spawned and have not ended.
    pub goroutines: u64,
    /// Ps in use (GOMAXPROCS).
    pub procs: u64,
    /// Ps that no M runs.
    pub idle_procs: u64,
    /// OS threads of the runtime that run goroutines or are waiting to run them.
    pub threads: u64,
    /// The largest value of `threads` so far.
    ///
    /// Threads that have run goroutines do not end, so this value bounds their memory use.
    pub peak_threads: u64,
    /// The threads among `threads` that wait without a P and are reused before another thread is
    /// started.
    pub spare_threads: u64,
    /// The threads among `threads` that belong to one pinned goroutine each, and end with it.
    pub pinned_threads: u64,
    /// The threads among `threads` on which a goroutine has ended while it was locked to its
    /// thread.
    ///
    /// They run only goroutines that must run there.
    pub unusable_threads: u64,
    /// Ps taken from an M whose goroutine did not return for too long.
    pub retakes: u64,
    /// Times that a goroutine was returned to the thread that it had left, because its stack held
    /// an address in that thread's thread-local storage.
    pub guarded_resumes: u64,
    /// Pending timers.
    pub timers: u64,
    /// Descriptors that are registered for I/O.
    pub io_descriptors: u64,
    /// Goroutines and threads that wait for I/O.
    pub io_waiters: u64,
    /// Stacks in use.
    pub stacks_in_use: u64,
    /// Goroutines that are runnable, but wait because no stack can be had for them.
    pub stack_waiters: u64,
    /// Stacks that were ever created.
    pub stacks_reserved: u64,
    /// How the guard areas of stacks are made; `Auto` before the first goroutine.
    pub guards: Guards,
    /// What the system lacks or denies, with what the runtime uses instead, as far as it has been
    /// needed.
    pub fallbacks: Fallbacks,
}

/// Returns the scheduler's counters, which are all zero before the first goroutine.
pub fn stats() -> Stats {
    let Some(sched) = try_sched() else { return Stats::default() };
    let (idle_procs, _) = sched.idle.counts();
    let stacks = stack::POOL.stats();
    let timers: usize = timers(sched).iter().sum();
    let lists = sched.lists();
    Stats {
        procs: sched.procs().into(),
        idle_procs: idle_procs.into(),
        threads: lists.threads as u64,
        peak_threads: lists.peak as u64,
        spare_threads: lists.spare.len() as u64 + u64::from(lists.standby.is_some()),
        pinned_threads: lists.pinned as u64,
        unusable_threads: lists.out_of_use as u64,
        retakes: COUNTERS.retakes.load(Ordering::Relaxed),
        guarded_resumes: COUNTERS.guarded_resumes.load(Ordering::Relaxed),
        timers: timers as u64,
        io_descriptors: REGISTERED.load(Ordering::Relaxed) as u64,
        io_waiters: ROLE.waiters() as u64,
        stacks_in_use: stacks.in_use as u64,
        stack_waiters: stack::demand() as u64,
        stacks_reserved: stacks.reserved as u64,
        guards: stack::POOL.guards(),
        fallbacks: Fallbacks::so_far(),
        goroutines: sched.alive(),
    }
}

/// Returns the number of pending timers on each P, by id.
///
/// The caller must not hold the lock of the lists: a timer that fires takes that lock while it
/// holds the lock of its heap.
pub(crate) fn timers(sched: &Sched) -> Vec<usize> {
    sched.all_ps().map(|p| p.timers.len()).collect()
}
