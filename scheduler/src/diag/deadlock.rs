//! The deadlock report: Go's "all goroutines are asleep".
//!
//! When every goroutine is parked and nobody is left who could wake one, the process would sleep for ever and say
//! nothing. It prints Go's words and all goroutines instead, and ends with status 2. Two promises: **never false**, a
//! program that could still go on is left alone; and **idle costs nothing**, nobody wakes up now and then to look.
//!
//! # Vocabulary
//! A thread is *asleep* if it can do nothing before it is woken, and only the process itself can wake it: the monitor,
//! which decides; an M that stands in a list of the scheduler; an M that blocks until it is handed a P for the one
//! goroutine that it may run; a *sleeper*, which is a foreign thread in one of our primitives ([`crate::wait::foreign`]). All
//! other threads of the process are *awake*, whatever they do: an M in user code, in a blocking call or in a loop; a
//! foreign thread in its own code, or blocked where we do not see it. The system knows how many threads there are, so
//! none is overlooked.
//!
//! # Who decides
//! A thread that is about to block without a limit starts the runtime if nobody has ([`crate::api::entry_points`]): so there is
//! a monitor, also where no goroutine was ever spawned.
//!
//! The monitor decides, when it is about to sleep for good ([`crate::sched::sysmon`]): all Ps have been idle for a while. It has said
//! that it sleeps, so that whoever changes something from here on wakes it. Then it looks, with the lock of the
//! scheduler's lists and that of the sleepers held:
//!
//! 1. Is every P idle, or out of use? Is every M with a thread asleep? Is no goroutine in any queue
//!    or inbox, and none that waits for a thread which may be started? Is no timer in any heap, does nobody wait for I/O, has no sleeper been woken? If not, there is no deadlock.
//! 2. How many threads has the process? If more than are asleep, there is no deadlock as long as the others live.
//! 3. The questions of 1 once more. If the answers are the same, there is a deadlock, and it is for ever.
//!
//! # Why it is never false
//! *Nothing moves while the locks are held.* An M leaves its list, and a P its place, under the first lock. An M that
//! blocks elsewhere goes on only with a P, which must come out of the idle ones. A sleeper goes on only when it has
//! taken itself out, under the second lock. So the threads that were asleep at 1 run no user code until the locks are
//! given back, whatever tokens they have been left.
//!
//! *Nobody is overlooked.* Linux counts threads under the lock under which they come and go, a new one before its maker
//! goes on. So the number is that of one moment, in which all that are asleep exist. If it is theirs, no other thread
//! was there in that moment, and since threads that are asleep start none, none has come since.
//!
//! *No late waker.* Threads that were awake at 1 and have ended before 2 may have left something behind: a token for a
//! sleeper, a runnable goroutine, a timer. Therefore 3. From then on only threads that are asleep exist, and of these
//! none can go on first: a sleeper has no token, an M finds no P to take and no goroutine to run, no clock runs, and
//! nothing is waited for that comes from outside. An M between a list and its sleep still looks at the queues and the
//! heaps, which are empty.
//!
//! *Runnable, and yet stuck.* A goroutine that must resume on a thread which another one blocks in
//! place while it unwinds ([`crate::sched::affinity::delivery`]) runs after that one, and not before. If that one waits
//! for it, both wait for ever; so an inbox whose owner is blocked in place counts as empty.
//!
//! # When it looks again
//! An answer of "no" stays true until something happens, and what happens wakes the monitor:
//!
//! | it kept the hope up | who wakes the monitor |
//! | --- | --- |
//! | a P in use; a timer; a wait for I/O | whoever takes a P, also to fire the timer or to run who has waited |
//! | an M in a long call, without a P | it takes a P, or it goes to rest ([`Sched::wake_sysmon`]) |
//! | a foreign thread that comes to sleep here | itself ([`crate::wait::foreign`]) |
//! | a foreign thread that ends, knowing nothing of us | the system: the monitor sleeps on that thread's end ([`crate::machine::sys::thread_end`]) |
//!
//! One thread that is awake is enough to watch: while it lives there is no deadlock, and if it ends or sleeps the
//! monitor looks for another. Which one that may be is found in the list of the process's threads. A kernel that has no
//! such descriptors (before Linux 6.9), or no descriptor left, makes the last row void: a deadlock that comes about by
//! nothing but the end of a foreign thread is then seen when something else happens.
//!
//! # Limits
//! * Systems without Linux's `/proc`, or a `/proc` that belongs to another namespace: no report, ever.
//! * Any foreign thread that lives and is not in one of our primitives keeps it off: a logger's, an allocator's, the
//!   test harness's. Go's detection is off with cgo for the same reason. [`crate::blocked_for`] is for those, and for
//!   deadlocks among some of the goroutines.
//! * Memory shared with other processes is not seen: no primitive of ours is made for it.
//!
//! # Rejected
//! * Counting (Go's `checkdead` at each change of a count): each park and each wake would pay. Here nobody pays but
//!   threads that sleep for long.
//! * Listing the threads instead of counting them, to find one that is awake. The list is not of one moment: if a
//!   thread ends just when the kernel comes to it, the list ends there, and the one that it has started is missing. The
//!   test that hands over from thread to thread finds that within seconds.
//! * Looking every few seconds while foreign threads live: a program that does nothing would never rest.
//! * Destructors of thread-locals as the sign that a thread ends: threads that have never called us have none.
//!
//! # Orderings
//! * P1: an M counts itself as blocked, then loads `asleep` <-> the monitor stores `asleep`, fences, and loads the
//!   count: all SeqCst. Everything else that is looked at was written under one of the two locks, by a thread that has
//!   passed through one of them since, or by one that has ended.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use crate::api::config;
use crate::diag::dump::dump;
use crate::diag::fatal;
use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::{Lists, Sched};
use crate::machine::sys::thread;
use crate::netpoll::ROLE;
use crate::testing::mechanism::Mechanism;
use crate::wait::foreign::{self, Sleeper};

/// Ends the process if there is a deadlock. Else returns the thread without which there would be one, if there is such
/// a thread. For the monitor.
pub(crate) fn check(sched: &Sched) -> Option<i32> {
    if !config::settings().deadlock_report || !Mechanism::DeadlockReport.is_on() {
        return None;
    }
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
            report(sched, sleepers, unstarted)
        }
        OtherThreads::None | OtherThreads::Unknown => None,
    }
}

/// Whether nothing of ours moves, and nothing is on its way to one who waits.
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

/// The threads that are asleep, if nothing moves. A main thread that has ended before the others counts for the system
/// as long as they live.
fn asleep(lists: &Lists, sleepers: &[Sleeper]) -> Vec<i32> {
    let ms = lists.all_ms.iter().filter(|m| !lists.threadless_ms.iter().any(|vacant| vacant.id == m.id));
    let foreign = sleepers.iter().map(|sleeper| sleeper.thread);
    let dead = thread::ended_main();
    ms.map(|m| m.thread()).chain(foreign).chain([thread::id()]).chain(dead).collect()
}

/// Which threads there are besides those that are asleep.
enum OtherThreads {
    None,
    /// This one, and perhaps more.
    One(i32),
    /// The system does not tell.
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
        // It has ended since, or the list was cut short: once more.
    }
}

/// Says so, and ends the process. Returns if it is main that waits for goroutines of which none is left: that is its
/// own to report.
fn report(sched: &Sched, sleepers: Vec<(i32, WaitReason)>, unstarted: Option<(usize, String)>) -> Option<i32> {
    if sched.alive() == 0 && sleepers.iter().all(|(_, reason)| *reason == WaitReason::MainExited) {
        return None;
    }
    let mut text = String::new();
    for (thread, reason) in sleepers {
        let _ = writeln!(text, "thread {thread} [{reason}]: not a goroutine");
    }
    if let Some((waiting, why)) = unstarted {
        let _ = writeln!(text, "{waiting} pinned goroutines wait for a thread, and {why}\n");
    }
    fatal::fatal_with_report("all goroutines are asleep - deadlock!", || text + &dump());
}
