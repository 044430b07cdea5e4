//! What an M does when it has a P but nothing to run on it: it searches the other queues for a
//! while.
//!
//! How long it searches, and which goroutines are worth taking, is decided by rules R2a, R3 and R6
//! of [`crate::sched::wake_policy`].
//!
//! # Which queue is worth a theft
//! A stolen goroutine costs its thief some cache misses. It also costs some for each goroutine on
//! the other CPU with which the stolen one communicates. That pays only if the goroutine would
//! otherwise have waited. So the searcher samples the dispatches of the other Ps for
//! [`QUEUE_SAMPLE_NS`] before it takes from a short queue. If the queue is not worth a theft, the
//! searcher marks the P to be *left to its owner*: goroutines that become runnable there wake no
//! other M until sysmon's next check.

use crossbeam_deque::{Steal, Stealer};

use crate::gmp::scheduler::sched;
use crate::gmp::{G, GRef, Inside, M, P};
use crate::netpoll::poll;
use crate::sched::wake_policy::{
    ALWAYS_STEAL_LEN, QUEUE_SAMPLE_NS, RUNNEXT_GRACE_NS, queue_is_worth_a_theft, search_time_ns,
};
use crate::time::clock;

/// The number of Ps that are sampled.
///
/// On a P beyond these, any queue is worth a theft.
const SAMPLED_PS: usize = 64;

/// The number of pauses between two rounds over all Ps.
const PAUSES: u32 = 16;

/// A goroutine seen in a runnext slot.
#[derive(Clone, Copy)]
struct RunnextSighting {
    victim: u32,
    dispatches: u32,
    g: *mut G,
    since: u64,
}

/// Counts the dispatches of the other Ps during a search.
struct QueueSampler {
    since: u64,
    dispatches: [u32; SAMPLED_PS],
}

impl QueueSampler {
    fn begin(now: u64) -> Self {
        let mut dispatches = [0; SAMPLED_PS];
        dispatches.iter_mut().zip(sched().ps()).for_each(|(seen, p)| *seen = p.dispatches());
        Self { since: now, dispatches }
    }

    fn is_complete(&self, now: u64) -> bool {
        now - self.since >= QUEUE_SAMPLE_NS
    }

    /// Returns `true` if the searcher may steal from `victim` now.
    ///
    /// Only a `complete` sample can judge a short queue. The result is recorded at the victim.
    fn is_worth_a_theft(&self, victim: &P, complete: bool) -> bool {
        let queued = victim.queued();
        if queued == 0 || queued >= ALWAYS_STEAL_LEN || !complete {
            return queued >= ALWAYS_STEAL_LEN;
        }
        let worth_it = self.dispatches.get(victim.id as usize).is_none_or(|before| {
            let dispatched = victim.dispatches().wrapping_sub(*before);
            queue_is_worth_a_theft(queued, dispatched as usize)
        });
        victim.set_leave_to_owner(!worth_it);
        worth_it
    }
}

/// The outcome of a search.
pub(crate) enum SearchResult {
    /// A goroutine to run; more may be in the queue.
    Goroutine(GRef),
    /// Goroutines that have become ready for I/O.
    ///
    /// The searcher queues them once it no longer counts as a searcher.
    Polled(Vec<GRef>),
    /// Nothing was found, but the P's own queues may contain something.
    Nothing,
}

/// Searches all other Ps and the poller for goroutines, for a limited time.
pub(crate) fn search(m: &'static M, p: &mut Inside<'_>) -> SearchResult {
    debug_assert!(m.p().is_some_and(|own| own.id == p.id), "search: without the P");
    let sched = sched();
    let start = clock::now();
    let mut now = start;
    let mut sighting = None;
    let mut sampler = QueueSampler::begin(now);
    let others_idle = || sched.procs() > 1 && sched.idle.counts().0 + 1 >= sched.procs();
    while now - start < search_time_ns(others_idle()) && !p.is_retired() {
        let complete = sampler.is_complete(now);
        let found = take_global(p.reborrow())
            .or_else(|| steal_from_those(p, |victim| sampler.is_worth_a_theft(victim, complete)))
            .or_else(|| steal_forgotten_runnext(p, now, &mut sighting));
        if let Some(g) = found {
            return SearchResult::Goroutine(g);
        }
        if complete {
            sampler = QueueSampler::begin(now);
        }
        if fire_overdue(p, now) {
            return SearchResult::Nothing;
        }
        let polled = poll::while_searching();
        if !polled.is_empty() {
            return SearchResult::Polled(polled);
        }
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
        now = clock::now();
    }
    SearchResult::Nothing
}

/// Moves a batch from the global queue to the P and returns its first goroutine, or else the first
/// deferred goroutine.
#[inline(never)]
pub(crate) fn take_global(p: Inside<'_>) -> Option<GRef> {
    let global = &sched().global;
    global.take_batch(p.queue_for_steal()).or_else(|| global.take_deferred())
}

/// Steals half of another P's queue.
pub(crate) fn steal(p: &mut Inside<'_>) -> Option<GRef> {
    steal_from_those(p, |_| true)
}

/// Steals half of the queue of another P that is `worth_it`, beginning at a random P.
fn steal_from_those(p: &mut Inside<'_>, worth_it: impl Fn(&P) -> bool) -> Option<GRef> {
    let sched = sched();
    let ps = sched.ps();
    let start = p.owned_mut().random.next() as usize % sched.procs() as usize;
    let mut victims =
        ps.clone().skip(start).chain(ps.take(start)).filter(|victim| victim.id != p.id && worth_it(victim));
    victims.find_map(|victim| {
        let [arrivals, queue, backlog] = &victim.stealers;
        steal_from(arrivals, p)
            .or_else(|| steal_from(queue, p))
            .or_else(|| victim.prefetched().take())
            .or_else(|| steal_from(backlog, p))
    })
}

/// Steals half of a queue, up to a batch.
fn steal_from(queue: &Stealer<GRef>, p: &Inside<'_>) -> Option<GRef> {
    while !queue.is_empty() {
        match queue.steal_batch_and_pop(p.queue_for_steal()) {
            Steal::Success(g) => return Some(g),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
    None
}

/// Steals a goroutine that stays in a runnext slot because its waker keeps computing.
fn steal_forgotten_runnext(p: &Inside<'_>, now: u64, sighting: &mut Option<RunnextSighting>) -> Option<GRef> {
    let mut ps = sched().ps();
    if let Some(seen) = *sighting {
        let victim = ps.clone().find(|v| v.id == seen.victim)?;
        if victim.runnext().peek() == seen.g && victim.dispatches() == seen.dispatches {
            if now - seen.since < RUNNEXT_GRACE_NS {
                return None;
            }
            *sighting = None;
            let stolen = victim.runnext().steal(seen.g);
            if stolen.is_some() {
                // The waker may have ended since then, and another goroutine may occupy its memory.
                // So the note applies to the next waker on that P.
                victim.note_runnext_stolen();
            }
            return stolen;
        }
    }
    *sighting = ps.find(|v| v.id != p.id && !v.runnext().is_empty()).map(|v| RunnextSighting {
        victim: v.id,
        dispatches: v.dispatches(),
        g: v.runnext().peek(),
        since: now,
    });
    None
}

/// Fires the overdue timers of other Ps here.
///
/// Returns `true` if any was due.
fn fire_overdue(p: &mut Inside<'_>, now: u64) -> bool {
    sched().ps().any(|victim| p.fire_timers_of(victim, now))
}
