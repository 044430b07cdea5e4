//! What an M does that has a P and nothing to run on it: look into the others' queues for a while.
//!
//! A sleeping M costs its waker 7 us and answers after 21. So a searcher goes on for [`SEARCH_TIME`] before it sleeps,
//! which is about what the sleep and the next wake-up would cost together.
//!
//! # Which queue is worth a theft
//! A stolen goroutine costs its thief some cache misses, and each of those that it talks to on the other CPU some more.
//! That pays if it would have waited. A receiver that selects over two channels and the two that send to it are done
//! with each other in less time than a theft takes; a thief that takes one of them each time it is queued slows all
//! three to half. So a searcher watches a queue for [`GRACE`] before it takes any of it, and counts how many goroutines
//! the other M has run meanwhile. It takes half of the queue if the last in it would still wait after another [`GRACE`]
//! at this pace: at once if there are [`ALWAYS_STEAL_LEN`], else if fewer were run than wait; which is so in particular if the M is
//! busy with one. If not, the P is *swift*: who is readied there wakes no other M ([`crate::wait::ready`]) until the monitor
//! has passed once more. This bounds the wait of who is queued behind a goroutine that computes all of a sudden.
//!
//! Medians of two interleaved runs, two Ps (`select2_unbuf`, `select8_buf128`, `rwlock_1pct` of the peers): 389, 320
//! and 72 ns if any queue is worth it, 174, 161 and 22 so.
//!
//! Rejected: *to measure the pace where goroutines are run*: two looks at the clock, 40 ns, for each. *Never to wake
//! for short queues*: a P whose goroutines compute for a millisecond each has short queues too.

use crossbeam_deque::{Steal, Stealer};

use crate::gmp::scheduler::sched;
use crate::gmp::{G, GRef, Inside, M, P};
use crate::netpoll::poll;
use crate::sched::wake_policy::ALWAYS_STEAL_LEN;
use crate::time::clock;

/// How long an M searches before it sleeps.
const SEARCH_TIME: u64 = 30_000;

/// How long a goroutine must have been seen in a runnext slot before a thief takes it. Shorter, and thieves tear
/// request and reply pairs apart; longer, and a goroutine waits longer for its busy waker.
pub(crate) const RUNNEXT_GRACE: u64 = 5_000;

/// How long a searcher watches a short queue before it takes any of it.
const GRACE: u64 = 5_000;

/// How many Ps are watched.
const WATCHED: usize = 64;

/// Pauses between two rounds over all Ps.
const PAUSES: u32 = 16;

/// A goroutine seen in a runnext slot.
#[derive(Clone, Copy)]
struct Sighting {
    victim: u32,
    dispatches: u32,
    g: *mut G,
    since: u64,
}

/// How the other Ps get on while a searcher watches.
struct Watch {
    since: u64,
    /// Their dispatches at the beginning. Of more Ps than these, any queue is worth it.
    dispatches: [u32; WATCHED],
}

impl Watch {
    fn begin(now: u64) -> Self {
        let mut dispatches = [0; WATCHED];
        dispatches.iter_mut().zip(sched().ps()).for_each(|(seen, p)| *seen = p.dispatches());
        Self { since: now, dispatches }
    }

    fn is_over(&self, now: u64) -> bool {
        now - self.since >= GRACE
    }

    /// Whether who is now the last in the queue of `victim` would still wait after another [`GRACE`], as far as is known.
    fn is_worth_it(&self, victim: &P, over: bool) -> bool {
        let queued = victim.queued();
        if queued == 0 || queued >= ALWAYS_STEAL_LEN || !over {
            return queued >= ALWAYS_STEAL_LEN;
        }
        let before = self.dispatches.get(victim.id as usize);
        let worth_it = before.is_none_or(|before| victim.dispatches().wrapping_sub(*before) as usize <= queued);
        victim.set_leave_to_owner(!worth_it);
        worth_it
    }
}

/// What a search ends with.
pub(crate) enum Found {
    /// One to run, and perhaps more in the queue.
    Goroutine(GRef),
    /// What has become ready for I/O: the searcher's to queue, once it does not count as one.
    Ready(Vec<GRef>),
    /// Nothing, but the P may have something itself.
    Nothing,
}

/// Looks for a goroutine on all other Ps, and for I/O, for a while.
pub(crate) fn search(m: &'static M, p: &mut Inside<'_>) -> Found {
    debug_assert!(m.p().is_some_and(|own| own.id == p.id), "search: without the P");
    let sched = sched();
    let mut now = clock::now();
    let end = now + SEARCH_TIME;
    let mut sighting = None;
    let mut watch = Watch::begin(now);
    while now < end && !p.is_retired() {
        let over = watch.is_over(now);
        let found = take_global(p)
            .or_else(|| steal_from_those(p, |victim| watch.is_worth_it(victim, over)))
            .or_else(|| watch_runnext(p, now, &mut sighting));
        if let Some(g) = found {
            return Found::Goroutine(g);
        }
        if over {
            watch = Watch::begin(now);
        }
        if run_overdue(p, now) {
            return Found::Nothing;
        }
        let ready = poll::look_while_searching();
        if !ready.is_empty() {
            return Found::Ready(ready);
        }
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
        now = clock::now();
        // With all other Ps idle there is nobody to steal from: for what other threads push, half the time will do.
        if sched.procs() > 1 && sched.idle.counts().0 + 1 >= sched.procs() && now + SEARCH_TIME / 2 > end {
            break;
        }
    }
    Found::Nothing
}

/// Takes a batch from the global queue to the P, and the first of it; else one that is late.
#[inline(never)]
pub(crate) fn take_global(p: &Inside<'_>) -> Option<GRef> {
    let global = &sched().global;
    global.take_batch(p.queue_for_steal()).or_else(|| global.take_late())
}

/// Steals half of the queue of some other P.
pub(crate) fn steal(p: &mut Inside<'_>) -> Option<GRef> {
    steal_from_those(p, |_| true)
}

/// As [`steal`], from a P that is `worth_it`, beginning at a random one.
fn steal_from_those(p: &mut Inside<'_>, worth_it: impl Fn(&P) -> bool) -> Option<GRef> {
    let sched = sched();
    let ps = sched.ps();
    let start = p.owned_mut().random() as usize % sched.procs() as usize;
    let mut others =
        ps.clone().skip(start).chain(ps.take(start)).filter(|victim| victim.id != p.id && worth_it(victim));
    others.find_map(|victim| {
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

/// Takes a runnext that stays where it is: its waker goes on computing.
fn watch_runnext(p: &Inside<'_>, now: u64, sighting: &mut Option<Sighting>) -> Option<GRef> {
    let mut ps = sched().ps();
    if let Some(seen) = *sighting {
        let victim = ps.clone().find(|v| v.id == seen.victim)?;
        if victim.runnext().peek() == seen.g && victim.dispatches() == seen.dispatches {
            if now - seen.since < RUNNEXT_GRACE {
                return None;
            }
            *sighting = None;
            let stolen = victim.runnext().steal(seen.g);
            if stolen.is_some() {
                // Its waker may have ended by now, and another goroutine have its memory. Whoever wakes the next one there hears of it.
                victim.note_runnext_stolen();
            }
            return stolen;
        }
    }
    *sighting = ps.find(|v| v.id != p.id && !v.runnext().peek().is_null()).map(|v| Sighting {
        victim: v.id,
        dispatches: v.dispatches(),
        g: v.runnext().peek(),
        since: now,
    });
    None
}

/// Fires the overdue timers of other Ps here; true if there were any.
fn run_overdue(p: &mut Inside<'_>, now: u64) -> bool {
    sched().ps().any(|victim| p.fire_timers_of(victim, now))
}
