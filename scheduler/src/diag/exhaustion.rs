//! Go's "thread exhaustion": work is pending, and there will never be a thread to do it.
//!
//! When a process reaches its own or the system's limit of threads, it waits until a thread becomes
//! free, which usually happens. The process is *stuck* if two conditions hold. Each M with a thread
//! is locked to a parked goroutine, or is out of use ([`crate::sched::threads`]). And goroutines
//! are runnable, timers are pending, or goroutines or threads wait for I/O. None of those Ms may
//! run anything before it is handed a P, and there is no M to hand one off, to fire a timer, or to
//! poll. A pinned goroutine also waits forever if no thread may be added and no existing thread
//! belongs to a pinned goroutine, because only threads of pinned goroutines end.
//!
//! # Why it is never false
//! Sysmon checks while it holds the lock of the lists. All Ps are idle then, so no P is on its way
//! to an M. No M is on its way back from a call either, because such Ms are counted as threads but
//! not as blocked. A thread that is not an M can make goroutines runnable, and can remove an idle P
//! from the list to give it to an M. But it finds no M, like the threads before it, so the finding
//! stays true. If the system has refused a thread, a thread of another process may have ended since
//! then, so one more thread is requested first.
//!
//! If nothing can continue, for whatever reason, the state is a deadlock
//! ([`crate::diag::deadlock`]). That is true even if pinned goroutines wait for the threads of
//! other pinned goroutines that also wait.

use std::sync::atomic::Ordering;

use crate::diag::dump::dump;
use crate::diag::fatal;
use crate::gmp::P;
use crate::gmp::scheduler::{Lists, Sched};
use crate::netpoll::ROLE;
use crate::sched::handoff;

/// Ends the process if it is stuck.
///
/// Called by sysmon when all Ps have been idle for a while.
pub(crate) fn check(sched: &'static Sched) {
    let stuck = || is_stuck(sched, &sched.lists());
    if !stuck() {
        return;
    }
    handoff::start_one();
    if stuck() {
        let lists = sched.lists();
        let (threads, refused) = (lists.threads, lists.refusal.as_ref().map(|refusal| refusal.error.clone()));
        let why = lists.shortage().or(refused.map(|error| format!("the system refuses to start more ({error})")));
        drop(lists);
        if let Some(why) = why {
            end(&format!("each of the {threads} threads is locked to a goroutine that waits, and {why}"));
        }
    }
}

/// Ends the process if pinned goroutines wait for threads that they will never get.
///
/// Called by sysmon after it has tried to start the threads.
pub(crate) fn check_pinned(sched: &Sched) {
    let lists = sched.lists();
    let (waiting, threads) = (lists.pinned_waiting.len(), lists.threads);
    if waiting == 0 || lists.pinned > 0 {
        return;
    }
    if let Some(why) = lists.shortage() {
        drop(lists);
        end(&format!(
            "pinned goroutines that wait for a thread: {waiting}; none of the {threads} existing threads will end, and {why}"
        ));
    }
}

fn is_stuck(sched: &Sched, lists: &Lists) -> bool {
    // ORDERING P1 of `deadlock`: SeqCst.
    let blocked = sched.blocked_ms.load(Ordering::SeqCst);
    let standby = usize::from(lists.standby.is_some());
    blocked + standby == lists.threads
        && lists.idle_ms() == standby
        && lists.idle.len() + lists.retired_ps.len() == sched.all_ps().count()
        && (!sched.global.is_empty() || ROLE.waiters() > 0 || sched.all_ps().any(needs_thread))
}

fn needs_thread(p: &P) -> bool {
    p.has_work() || p.timers.any()
}

fn end(why: &str) -> ! {
    fatal::fatal_with_report(&format!("thread exhaustion: {why}"), dump);
}
