//! How an M without work sleeps, and what ends its sleep.
//!
//! It sleeps in one of the scheduler's lists, as the watcher of the P that it released or as a
//! spare M. If it is locked to a goroutine, it sleeps outside of the lists until that goroutine is
//! delivered.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{adopt, delivery, handoff, ready, sched, threads};
use crate::gmp::{Dispatch, GRef, Inside, M, P};
use crate::netpoll::poll;
use crate::sched::entry;
use crate::time::clock;
use crate::wait::park;

/// Releases the M's P and sleeps as the watcher of the P.
///
/// Returns `true` if the M is to search.
pub(super) fn with_p(m: &'static M, p: Inside<'_>, searching: bool) -> bool {
    handoff::give_up_p(m, p);
    in_list(m, searching)
}

/// Sleeps as a spare M, after a check for another P.
///
/// Returns `true` if the M is to search.
pub(super) fn without_p(m: &'static M) -> bool {
    let sched = sched();
    sched.lists().spare.push(m);
    // No P has changed hands, so sysmon has not seen this M.
    sched.wake_sysmon();
    in_list(m, false)
}

/// Checks for work once more, by the recipe "go idle", and sleeps.
///
/// The M stands in a list.
fn in_list(m: &'static M, searching: bool) -> bool {
    let sched = sched();
    let search = sched.idle.go_idle(searching, &sched);
    if search || !m.inbox.is_empty() {
        if let Some(p) = handoff::reclaim_p(m) {
            adopt(m, p);
            return search;
        }
        delivery::return_undelivered(m);
        if search && sched.idle.abandon_search() {
            sched.idle.wake_one(&sched);
        }
    }
    wait_in_list(m)
}

/// Sleeps until another thread hands over a P, until a timer of the watched P is due, or until the
/// M, as the poller, has found work.
///
/// Returns `true` if the M is to search with the P that was handed over.
fn wait_in_list(m: &'static M) -> bool {
    loop {
        if let Some((p, search)) = m.take_handed_p() {
            adopt(m, p);
            m.inbox.serve_first();
            return search;
        }
        let timeout = match plan_sleep(m) {
            SleepPlan::TimerIsDue(p) => {
                adopt(m, p);
                return false;
            }
            SleepPlan::UntilTimer(timeout) => Some(timeout),
            SleepPlan::UntilHandedP => None,
        };
        if let Some(runnable) = poll::until_woken(m, timeout) {
            if adopt_polled(m, runnable) {
                return false;
            }
            continue;
        }
        match timeout {
            Some(timeout) => drop(m.parker.park_timeout(timeout)),
            None => m.parker.park(),
        }
    }
}

/// Acquires a P for goroutines that the M has polled in its sleep, and returns `true`.
///
/// If no P is available, leaves the goroutines to the Ms that have one.
fn adopt_polled(m: &'static M, runnable: Vec<GRef>) -> bool {
    if runnable.is_empty() {
        return false;
    }
    let Some(p) = handoff::reclaim_p(m) else {
        ready::push_polled(runnable);
        return false;
    };
    // SAFETY: the M has just taken the P, and had none. The token ends with this call.
    let mut p = unsafe { entry::adopt(m, p) };
    m.next_g.set(poll::queue_polled(&mut p, runnable).map(Dispatch::new_slice));
    true
}

/// What a sleeping M waits for.
enum SleepPlan {
    /// Nothing: a timer of its P is already due, and the M has taken that P.
    TimerIsDue(&'static P),
    /// The first timer of its P.
    UntilTimer(Duration),
    /// A P that another thread hands over.
    UntilHandedP,
}

fn plan_sleep(m: &'static M) -> SleepPlan {
    let sched = sched();
    let mut lists = sched.lists();
    m.sleeps_until.store(u64::MAX, Ordering::Relaxed);
    let own = lists.idle.iter().position(|i| i.watcher.is_some_and(|w| w.id == m.id));
    let spare = lists.spare.iter().rposition(|s| s.id == m.id);
    if own.is_none() && spare.is_none() {
        return SleepPlan::UntilHandedP;
    }
    // At the limit of threads, a P with timers may be idle without a watcher. Any M that sleeps
    // watches such a P as well.
    let watched = lists.idle.iter().enumerate().filter(|(at, i)| own == Some(*at) || i.watcher.is_none());
    let first = watched.map(|(at, i)| (i.p.timers.next_when(), at)).min().filter(|(when, _)| *when != u64::MAX);
    let Some((when, at)) = first else { return SleepPlan::UntilHandedP };
    let now = clock::now();
    if when > now {
        m.sleeps_until.store(when, Ordering::Relaxed);
        return SleepPlan::UntilTimer(Duration::from_nanos(when - now));
    }
    if let Some(own) = own {
        lists.idle[own].watcher = None;
    } else if let Some(spare) = spare {
        lists.spare.remove(spare);
    }
    let p = lists.idle.remove(at).p;
    sched.idle.p_taken();
    drop(lists);
    sched.wake_sysmon();
    SleepPlan::TimerIsDue(p)
}

/// Waits, on an M that is locked to a goroutine which has just switched away, until that goroutine
/// or another that is bound to the M is to run.
///
/// Passes the P on until then. Returns `None` if a pinned goroutine has ended: its thread then ends
/// too.
#[cold]
pub(super) fn wait_for_locked_g(m: &'static M) -> Option<Dispatch> {
    if m.locked_g_ended.get() && m.pinned_g().is_some() {
        if m.p().is_some() {
            park::pass_p_on(m);
        }
        threads::end_pinned(m);
        return None;
    }
    if let Some(chosen) = m.next_g.take() {
        return Some(chosen);
    }
    loop {
        if m.p().is_some() {
            if let Some(g) = m.inbox.take() {
                return Some(Dispatch::new_slice(g));
            }
            park::pass_p_on(m);
        }
        // Goroutines that were delivered while the M still had a P go to the global queue. Each of
        // them then gets a P like any other goroutine, and brings the P here.
        ready::push_global_all(m.inbox.sleep_for_any());
        park::wait_for_p(m);
    }
}
