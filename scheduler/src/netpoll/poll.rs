//! Polling: in passing, and as the M that has nothing else to do.
//!
//! Whoever polls readies a whole batch. The goroutines go, in the order of their events, to the P's arrivals if others
//! are in its queue, which may compute for long, else to that queue; without a P, to the global queue's front. Then one searcher is woken for those that the poller does not run itself, if they are many
//! ([`crate::sched::wake_policy`]). It wakes the next one if there is more ([`crate::protocol::idle`]). Foreign threads are woken on
//! the spot.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{ROLE, record};
use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside, M};
use crate::machine::sys::poller::{self, PollGuard};
use crate::time::clock;
use crate::wait::ready;

/// Polls so far, for the monitor: whether anybody polls.
static POLLS: AtomicU32 = AtomicU32::new(0);

/// How often anybody has polled.
pub(crate) fn count() -> u32 {
    POLLS.load(Ordering::Relaxed)
}

/// Polls, and hands over the goroutines that become runnable: they are the receiver's to queue.
fn poll(guard: &mut PollGuard, timeout: Option<Duration>, mut runnable: impl FnMut(GRef)) {
    // One thread at a time has the turn.
    POLLS.store(count().wrapping_add(1), Ordering::Relaxed);
    guard.poll(timeout, |token, ready| {
        record::report(token, ready, |waker| match waker.goroutine() {
            Some(g) => {
                ready::mark_runnable(g);
                runnable(g);
            }
            // SAFETY: the thread had published itself in its commit step, and was taken once (I2 of `poll_word`).
            None => unsafe { waker.wake() },
        });
    });
}

/// The right to poll in passing, if that is worth it and nobody else does.
fn try_guard() -> Option<PollGuard> {
    if ROLE.is_worth_a_look() { poller::get()?.try_lock() } else { None }
}

/// Polls in passing, and queues what has become runnable on `p`, `ahead` of what waits there or behind it. True if there
/// was any; the caller runs the first `own` of it soon.
#[inline]
pub(crate) fn in_passing(p: Inside<'_>, own: usize, ahead: bool) -> bool {
    ROLE.is_worth_a_look() && poll_now(p, own, ahead)
}

#[cold]
fn poll_now(mut p: Inside<'_>, own: usize, ahead: bool) -> bool {
    let Some(mut guard) = try_guard() else { return false };
    let dispatches = p.dispatches();
    p.owned_mut().pace.end(clock::now(), dispatches);
    let mut found = 0_usize;
    let ahead = ahead && p.has_others();
    poll(&mut guard, Some(Duration::ZERO), |g| {
        if ahead {
            p.push_arrival(g)
        } else {
            p.push(g)
        }
        found += 1;
    });
    drop(guard);
    if found == 0 {
        return false;
    }
    begin_batch(&mut p, found.saturating_sub(own));
    true
}

/// Polls in passing for an M that searches: what has become runnable is the caller's, to [queue](queue_polled) when it searches no more.
pub(crate) fn while_searching() -> Vec<GRef> {
    let mut found = Vec::new();
    if let Some(mut guard) = try_guard() {
        poll(&mut guard, Some(Duration::ZERO), |g| found.push(g));
    }
    found
}

/// Queues what has become runnable on `p`, but for the first, which the caller is to run at once.
///
/// The caller's M searches no more: whoever leaves a search wakes another M for all that is queued.
pub(crate) fn queue_polled(p: &mut Inside<'_>, found: Vec<GRef>) -> Option<GRef> {
    let others = found.len().saturating_sub(1);
    let mut found = found.into_iter();
    let first = found.next()?;
    found.for_each(|g| p.push(g));
    begin_batch(p, others);
    Some(first)
}

/// The M begins to run a batch; `others` of it lie in the queue meanwhile.
fn begin_batch(p: &mut Inside<'_>, others: usize) {
    let dispatches = p.dispatches();
    let pace = &mut p.owned_mut().pace;
    pace.begin(clock::now(), dispatches);
    if pace.is_batch_worth_a_wake(others) {
        let sched = sched();
        sched.idle.wake_one(&sched);
    }
}

/// Polls in passing, from a thread without a P.
pub(crate) fn without_p() {
    let Some(mut guard) = try_guard() else { return };
    let mut found = Vec::new();
    poll(&mut guard, Some(Duration::ZERO), |g| found.push(g));
    drop(guard);
    ready::push_polled(found);
}

/// `m` is about to sleep: if it is to be the poller, it blocks in the poll instead, until there is news, `timeout` has
/// passed, or somebody [wakes](M::wake) it. Returns the goroutines that have become runnable, which are the caller's to
/// queue; `None` if it is not.
pub(crate) fn until_woken(m: &'static M, timeout: Option<Duration>) -> Option<Vec<GRef>> {
    // Whoever waits has registered something, so there is a poller.
    let poller = poller::get()?;
    if !ROLE.claim(|| sched().idle.counts().0 > 0) {
        return None;
    }
    let mut found = Vec::new();
    let mut guard = poller.lock();
    m.bell.arm();
    // The token says that there is something to see to, whether it was there before or comes while we sleep.
    if !m.parker.take() {
        poll(&mut guard, timeout, |g| found.push(g));
        m.parker.take();
    }
    m.bell.disarm();
    ROLE.release();
    Some(found)
}
