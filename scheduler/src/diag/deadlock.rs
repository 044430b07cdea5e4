//! The deadlock report: Go's "all goroutines are asleep".
//!
//! When every goroutine is parked and nothing is left that could wake one, the process would sleep
//! forever in silence. Instead, it prints Go's message and all goroutines, and ends with status 2.
//! The report makes two promises. It is **never false**, so a program that could still continue is
//! left alone. And **idle costs nothing**, so no thread wakes up now and then to check.
//!
//! # Vocabulary
//! A thread is *asleep* if it can do nothing before it is woken, and only the process itself can
//! wake it. Four kinds of threads are asleep:
//!
//! * sysmon, which decides;
//! * an M in a list of the scheduler;
//! * an M that blocks until it is handed a P for the one goroutine that it may run;
//! * a *sleeper*: a foreign thread blocked in one of our primitives ([`crate::wait::foreign`]).
//!
//! All other threads of the process are *awake*, whatever they do: an M in user code, in a blocking
//! call or in a loop; a foreign thread in its own code, or blocked where we do not see it. The
//! system knows the number of threads, so none is missed.
//!
//! # Which thread decides
//! A thread that is about to block without a time limit starts the runtime if it was not started
//! yet ([`crate::api::entry_points`]). So sysmon exists even if no goroutine was ever spawned.
//!
//! Sysmon decides when it is about to sleep without a time limit ([`crate::sched::sysmon`]), after
//! all Ps have been idle for a while. It has announced its sleep, so any thread that changes
//! something from here on wakes it. Then it checks, while it holds two locks: the lock of the
//! scheduler's lists and the lock of the sleepers.
//!
//! 1. Is every P idle, or out of use? Is every M with a thread asleep? Are all queues and inboxes
//!    empty, and does no goroutine wait for a thread that may be started? Are all timer heaps
//!    empty, does no goroutine or thread wait for I/O, and was no sleeper woken? One "no" rules out
//!    a deadlock.
//! 2. How many threads does the process have? If more exist than are asleep, the others rule out a
//!    deadlock as long as they live.
//! 3. It asks the questions of step 1 once more. If the answers are the same, there is a deadlock,
//!    and it will last.
//!
//! # Why it is never false
//! *Nothing moves while the locks are held.* An M leaves its list, and a P its place, only under
//! the first lock. An M that blocks elsewhere continues only with a P, which must be one of the
//! idle Ps. A sleeper continues only after it has removed itself, under the second lock. So the
//! threads that were asleep in step 1 run no user code until the locks are released, whatever
//! tokens they were left.
//!
//! *No thread is missed.* Linux counts threads under the lock that it takes to create and remove
//! them, and counts a new thread before its creator continues. So the count describes a single
//! instant, at which all threads that are asleep exist. If the count equals the number of threads
//! that are asleep, no other thread existed at that instant. Threads that are asleep start none, so
//! none has appeared since.
//!
//! *No late waker.* Threads that were awake in step 1 and have ended before step 2 may have left
//! something behind: a token for a sleeper, a runnable goroutine, a timer. That is the reason for
//! step 3. From then on only threads that are asleep exist, and none of them can continue first. A
//! sleeper has no token. An M finds no P to take and no goroutine to run. No timer is pending, and
//! nothing waits for anything outside the process. An M between a list and its sleep still checks
//! the queues and the heaps, which are empty.
//!
//! *Runnable, and yet stuck.* A goroutine may have to resume on a thread that another goroutine
//! blocks in place while it unwinds ([`crate::sched::affinity::delivery`]). It cannot run until
//! that other goroutine is done. If the unwinding goroutine waits for it, both wait forever, so an
//! inbox whose owner is blocked in place counts as empty. And a goroutine may have no stack, and be
//! unable to get one until another goroutine ends ([`crate::sched::stack_queue`]). Before the
//! check, sysmon tries once more to create one. Then only other processes could provide it.
//!
//! # When it checks again
//! An answer of "no" stays true until an event changes it, and every such event wakes sysmon:
//!
//! | reason that it is not a deadlock | what wakes sysmon |
//! | --- | --- |
//! | a P in use; a timer; a wait for I/O | the thread that takes a P, also for timer or waiter |
//! | an M in a long call, without a P | its taking a P, or its sleep ([`Sched::wake_sysmon`]) |
//! | a foreign thread that begins to sleep here | that thread ([`crate::wait::foreign`]) |
//! | a foreign thread that ends in its own code | the system, on which sysmon sleeps |
//!
//! One thread that is awake is enough to watch. As long as it lives, it rules out a deadlock. If it
//! ends or sleeps, sysmon looks for another one in the list of the process's threads. Sysmon waits
//! for the end of the thread with [`crate::machine::sys::thread_end`]. On a kernel without such
//! descriptors (before Linux 6.9), or if descriptors run out, sysmon looks again after a second,
//! then after two, and so on up to 64: a deadlock that arises only from the end of a foreign thread
//! is reported that much later.
//!
//! # Limits
//! * Systems without Linux's `/proc`, or with a `/proc` that belongs to another namespace, never
//!   produce a report.
//! * Any live foreign thread that is not in one of our primitives prevents the report: a logger's,
//!   an allocator's, the test harness's. Go's detection is off with cgo for the same reason.
//!   [`crate::blocked_for`] is for such programs, and for deadlocks among only some of the
//!   goroutines.
//! * Memory shared with other processes is not taken into account: none of our primitives is
//!   designed for such memory.
//!
//! # Rejected
//! * Counting (Go's `checkdead` at each change of a count): each park and each wake would pay the
//!   cost. Here only threads that sleep for a long time pay.
//! * Listing the threads instead of counting them, to find one that is awake. The list does not
//!   describe a single instant. If a thread ends just when the kernel reaches it, the list ends
//!   there, and the thread that it has started is missing. A test in which each thread starts the
//!   next one and ends finds this within seconds.
//! * Checking every few seconds while foreign threads live, where the system reports their end: a
//!   program that does nothing would never be quiet.
//! * Destructors of thread-locals as the sign that a thread ends: threads that have never called us
//!   have none.
//!
//! # Orderings
//! * P1: an M counts itself as blocked, then loads `asleep` <-> sysmon stores `asleep`, fences, and
//!   loads the count: all SeqCst. Everything else that is checked was written under one of the two
//!   locks, by a thread that has since passed through one of them or that has ended.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use crate::api::config;
use crate::diag::dump::dump;
use crate::diag::fatal;
use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::{Lists, Sched};
use crate::machine::sys::thread;
use crate::netpoll::ROLE;
use crate::sched::stack_queue::{self, Shortage};
use crate::testing::mechanism::Mechanism;
use crate::wait::foreign::{self, Sleeper};

/// Ends the process if there is a deadlock.
///
/// Otherwise, if there is a thread whose life alone prevents a deadlock, returns that thread.
/// Called by sysmon.
pub(crate) fn check(sched: &Sched) -> Option<i32> {
    if !config::settings().deadlock_report || !Mechanism::DeadlockReport.is_on() {
        return None;
    }
    let shortage = stack_queue::shortage();
    let lists = sched.lists();
    let guard = foreign::sleepers();
    if !nothing_moves(sched, &lists, &guard) {
        return None;
    }
    match find_others(&asleep(&lists, &guard)) {
        OtherThreads::One(thread) => Some(thread),
        OtherThreads::None if nothing_moves(sched, &lists, &guard) => {
            let sleepers = guard.iter().map(|sleeper| (sleeper.thread, sleeper.reason)).collect();
            let waiting = lists.pinned_waiting.len();
            let unstarted = lists.shortage().filter(|_| waiting > 0).map(|why| (waiting, why));
            drop((lists, guard));
            report(sched, sleepers, unstarted, shortage)
        }
        OtherThreads::None | OtherThreads::Unknown => None,
    }
}

/// Returns `true` if no goroutine or M can continue, and no wake-up is under way.
fn nothing_moves(sched: &Sched, lists: &Lists, sleepers: &[Sleeper]) -> bool {
    // ORDERING P1: SeqCst.
    let blocked = sched.blocked_ms.load(Ordering::SeqCst);
    lists.idle.len() + lists.retired_ps.len() == sched.all_ps().count()
        && lists.idle_ms() + blocked == lists.threads
        && (lists.pinned_waiting.is_empty() || lists.threads >= sched.max_threads)
        && sched.global.is_empty()
        && !lists.all_ms.iter().any(|m| m.inbox.has_runnable())
        && sched.all_ps().all(|p| !p.has_work() && !p.timers.any())
        && ROLE.waiters() == 0
        && !sleepers.iter().any(Sleeper::is_woken)
}

/// Returns the threads that are asleep if nothing moves.
///
/// The system counts a main thread that has ended before the other threads as long as those threads
/// live.
fn asleep(lists: &Lists, sleepers: &[Sleeper]) -> Vec<i32> {
    let ms = lists.all_ms.iter().filter(|m| !lists.threadless_ms.iter().any(|vacant| vacant.id == m.id));
    let foreign = sleepers.iter().map(|sleeper| sleeper.thread);
    let dead = thread::ended_main();
    ms.map(|m| m.thread()).chain(foreign).chain([thread::id()]).chain(dead).collect()
}

/// The threads that are not asleep.
enum OtherThreads {
    None,
    /// This thread, and possibly others.
    One(i32),
    /// The system does not report them.
    Unknown,
}

fn find_others(asleep: &[i32]) -> OtherThreads {
    loop {
        let Some(count) = thread::count() else { return OtherThreads::Unknown };
        if count == asleep.len() {
            return OtherThreads::None;
        }
        let threads = thread::all().unwrap_or_default();
        if !threads.contains(&thread::id()) {
            return OtherThreads::Unknown;
        }
        if let Some(thread) = threads.into_iter().find(|thread| !asleep.contains(thread)) {
            return OtherThreads::One(thread);
        }
        // The thread has ended since, or the list was cut short, so try again.
    }
}

/// Reports the deadlock and ends the process.
///
/// Returns only if main waits for goroutines and none is left, because main reports that case
/// itself.
fn report(
    sched: &Sched,
    sleepers: Vec<(i32, WaitReason)>,
    unstarted: Option<(usize, String)>,
    shortage: Option<Shortage>,
) -> Option<i32> {
    if sched.alive() == 0 && sleepers.iter().all(|(_, reason)| *reason == WaitReason::MainExited) {
        return None;
    }
    let mut text = String::new();
    for (thread, reason) in sleepers {
        let _ = writeln!(text, "thread {thread} [{reason}]: not a goroutine");
    }
    if let Some((waiting, why)) = unstarted {
        let _ = writeln!(text, "pinned goroutines that wait for a thread: {waiting}; {why}\n");
    }
    if let Some(Shortage { waiters, why }) = shortage {
        let _ =
            writeln!(text, "goroutines that wait for a stack: {waiters}; no other will end and free one, and {why}\n");
    }
    fatal::fatal_with_report("all goroutines are asleep - deadlock!", || text + &dump());
}
