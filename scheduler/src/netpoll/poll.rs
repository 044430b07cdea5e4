//! Polling: in passing, and by an M that has nothing else to do.
//!
//! The thread that polls readies a whole batch, in the order of the events. If it has a P, the
//! goroutines go to that P's queue. If the queue already contains other goroutines, which may
//! compute for a long time, they go to the P's arrivals instead. Without a P, they go to the front
//! of the global queue.
//!
//! If the thread does not run all of those goroutines itself and the others are many, it wakes one
//! searcher for them ([`crate::sched::wake_policy`]). That searcher wakes the next one if there is
//! more work ([`crate::protocol::idle`]). Foreign threads are woken immediately.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{ROLE, record};
use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside, M};
use crate::machine::sys::poller::{self, PollGuard};
use crate::time::clock;
use crate::wait::ready;

/// The number of polls so far, from which sysmon sees whether any thread polls.
static POLLS: AtomicU32 = AtomicU32::new(0);

/// Returns the number of polls so far.
pub(crate) fn count() -> u32 {
    POLLS.load(Ordering::Relaxed)
}

/// Polls, and passes on the goroutines that become runnable, for the receiver to queue.
fn poll(guard: &mut PollGuard, timeout: Option<Duration>, mut runnable: impl FnMut(GRef)) {
    // A plain load and store suffice, since only one thread at a time has the guard.
    POLLS.store(count().wrapping_add(1), Ordering::Relaxed);
    guard.poll(timeout, |token, ready| {
        record::report(token, ready, |waker| match waker.goroutine() {
            Some(g) => {
                ready::mark_runnable(g);
                runnable(g);
            }
            // SAFETY: the thread published itself in its commit step, and was taken once (I2 of
            // `poll_word`).
            None => unsafe { waker.wake() },
        });
    });
}

/// Returns the right to poll in passing, if polling is worthwhile and no other thread holds that
/// right.
fn try_guard() -> Option<PollGuard> {
    if ROLE.is_worth_a_look() { poller::get()?.try_lock() } else { None }
}

/// Polls in passing and queues the goroutines that have become runnable on `p`; returns `true` if
/// there were any.
///
/// The goroutines are queued `ahead` of those that wait on `p`, or behind them. The caller runs the
/// first `own` of them soon.
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

/// Polls in passing for an M that searches.
///
/// The caller [queues](queue_polled) the result when its search has ended.
pub(crate) fn while_searching() -> Vec<GRef> {
    let mut found = Vec::new();
    if let Some(mut guard) = try_guard() {
        poll(&mut guard, Some(Duration::ZERO), |g| found.push(g));
    }
    found
}

/// Queues the goroutines that have become runnable on `p`, except for the first, which the caller
/// runs at once.
///
/// The caller's M has ended its search: an M that ends a search wakes another one for everything
/// that is queued.
pub(crate) fn queue_polled(p: &mut Inside<'_>, found: Vec<GRef>) -> Option<GRef> {
    let others = found.len().saturating_sub(1);
    let mut found = found.into_iter();
    let first = found.next()?;
    found.for_each(|g| p.push(g));
    begin_batch(p, others);
    Some(first)
}

/// Begins to run a batch, of which `others` goroutines are in the queue.
fn begin_batch(p: &mut Inside<'_>, others: usize) {
    let dispatches = p.dispatches();
    let pace = &mut p.owned_mut().pace;
    pace.begin(clock::now(), dispatches);
    if pace.is_batch_worth_a_wake(others) {
        let sched = sched();
        sched.idle.wake_one(&sched);
    }
}

/// Polls in passing on a thread without a P.
pub(crate) fn without_p() {
    let Some(mut guard) = try_guard() else { return };
    let mut found = Vec::new();
    poll(&mut guard, Some(Duration::ZERO), |g| found.push(g));
    drop(guard);
    ready::push_polled(found);
}

/// Blocks `m`, which is about to sleep, in the poll, if it is to be the poller.
///
/// It returns when there is news, when `timeout` has passed, or when the M is [woken](M::wake). The
/// result contains the goroutines that have become runnable, for the caller to queue, or is `None`
/// if `m` is not the poller.
pub(crate) fn until_woken(m: &'static M, timeout: Option<Duration>) -> Option<Vec<GRef>> {
    // A waiter has registered a descriptor, so there is a poller.
    let poller = poller::get()?;
    if !ROLE.claim(|| sched().idle.counts().0 > 0) {
        return None;
    }
    let mut found = Vec::new();
    let mut guard = poller.lock();
    m.bell.arm();
    // The token means that there is something to do, whether it was left before the sleep or during
    // it.
    if !m.parker.take() {
        poll(&mut guard, timeout, |g| found.push(g));
        m.parker.take();
    }
    m.bell.disarm();
    ROLE.release();
    Some(found)
}
