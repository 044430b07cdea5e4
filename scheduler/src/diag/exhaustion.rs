//! Go's "thread exhaustion": work is pending, and there will never be a thread to do it.
//!
//! A process at its limit of threads, or at the system's, waits until a thread comes free, and
//! usually one does. The process is *stuck* if each M with a thread is locked to a goroutine that
//! is parked, or is out of use ([`crate::sched::threads`]), while goroutines are runnable, timers
//! are pending, or goroutines or threads wait for I/O. None of those Ms may run anything before it
//! is handed a P, and there is no M to hand one off, to fire a timer, or to poll. A pinned
//! goroutine, too, waits forever if no thread may be added and no existing thread belongs to a
//! pinned goroutine: only those threads end.
//!
//! # Why it is never false
//! Sysmon checks with the lock of the lists held. All Ps are idle then, so none is on its way to an
//! M, and no M is on its way back from a call: those are counted as threads, but not as blocked. A
//! thread that is not an M can make goroutines runnable, and can take an idle P out to give it to
//! an M; it finds no M, like the threads before it. So the finding stays true. If the system has
//! refused a thread, another process's thread may have ended since, so one more thread is requested
//! first.
//!
//! If nothing can continue, for whatever reason, it is a deadlock ([`crate::diag::deadlock`]): also
//! if pinned goroutines wait for threads of others that wait, too.

use std::sync::atomic::Ordering;

use crate::diag::dump::dump;
use crate::diag::fatal;
use crate::gmp::P;
use crate::gmp::scheduler::{Lists, Sched};
use crate::netpoll::ROLE;
use crate::sched::handoff;

/// Ends the process if it is stuck.
///
/// For sysmon, when all Ps have been idle for a while.
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
/// For sysmon, after it has tried to start the threads.
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
