//! Sysmon: a thread without a P that retakes Ps which are held for too long.
//!
//! # What it looks for
//! Every [`TICK_NS`], for each P that an M has:
//! * **A hog**: the M has not been back in the scheduler for [`SLICE_NS`] (its dispatch count
//!   stands still), and others wait: goroutines in the P's queues or the global one, or timers of
//!   the P. The P is taken by the lease ([`crate::protocol::lease`]) and handed on; the hog keeps
//!   its thread and will ask for a P when it comes back. If as many hogs as there are CPUs compute
//!   without a P already, the P is only lent ([`crate::sched::hogs`]).
//! * **A thread that blocks** in a system call: the same, but after [`BLOCKED_NS`], and always for
//!   good, since it takes no CPU. Its CPU clock stands still, and the system does not call it
//!   runnable. (One that merely waits for a CPU would only be joined by another thread that waits
//!   for one too.)
//! * **A chain** through runnext that has kept its time slice for [`SLICE_NS`]: it is demoted.
//! * **A forgotten runnext**, or an overdue timer, or a queue behind a goroutine that keeps busy,
//!   beside an idle P: a searcher is woken (R7 of [`crate::sched::wake_policy`]). That a queue is
//!   left to its owner (R3) holds until the next look.
//!
//! And it asks each P to look around before it runs the next goroutine ([`crate::sched::turns`]).
//!
//! # Crowds that block
//! Goroutines that call into code which does not know the runtime often block one after the other:
//! a pool of connections behind a lock of `std`, a driver with its own sockets. At one look in 2 ms
//! each of them would keep its P for 2 to 4 ms. So when sysmon has found one, it looks for more
//! after [`CLOSE_NS`] (at all Ps), and takes the P of a thread that has slept since the look
//! before; after each [`CALM`] looks without any it waits twice as long, until it is back at
//! [`TICK_NS`].
//!
//! Two Ps, two CPUs, 500 goroutines that wait for `std`'s channels: 1040 ms until others had a turn
//! with a look in 2 ms, 21 with closer looks; 500 that sleep for 20 ms on their threads: 1090 and
//! 123; a pool on `std`'s `Condvar`, with 200 users, 20 times each: 3850 to 7530, and 270.
//!
//! It also polls for I/O, if a goroutine waits for that and no M has polled for a [`TICK_NS`]: then
//! all Ms are in long calls or loops, or the one that would block in the poller has found work and
//! the others sleep.
//!
//! Besides, it follows the number of CPUs that the process may use, has unused stack pages given
//! back, prints GODEBUG's schedtrace, and obeys SIGQUIT.
//!
//! # Sleeping
//! While all Ps are idle, sysmon need not tick. After [`LINGER_NS`] of that it checks whether it
//! will ever be needed again ([`crate::diag::deadlock`]), and sleeps until an M takes a P
//! ([`Sched::wake_sysmon`](crate::gmp::scheduler::Sched::wake_sysmon)), until stacks are due to be
//! trimmed, or until a thread ends without which there would be a deadlock.
//!
//! # Rejected
//! * Go's period of 20 us whenever something runs: that makes sysmon itself the busiest thread of a
//!   quiet program.
//! * To remember the lines that spawn goroutines which block, and to watch these more closely: the
//!   crowd is found out after its first one anyhow, and one alone costs 2 ms.
//! * To interrupt the hog with a signal: see the lease.

mod retake;

use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use crate::api::procs;
use crate::diag::deadlock;
use crate::diag::exhaustion;
use crate::diag::quit;
use crate::diag::trace::Trace;
use crate::gmp::scheduler::{Sched, Sysmon, sched};
use crate::machine::stack;
use crate::machine::sys::thread_end::ThreadEnd;
use crate::netpoll::poll;
use crate::sched::affinity::ties;
use crate::sched::handoff;
use crate::sched::threads;
use crate::testing::chaos;
use crate::testing::mechanism::Mechanism;
use crate::time::clock;
use retake::Retaker;

const MS: u64 = 1_000_000;

/// How often sysmon looks while any P is in use. A hog is found at most this much late.
const TICK_NS: u64 = 2 * MS;

/// How long a goroutine may keep its P while others wait (Go's forcePreemptNS).
const SLICE_NS: u64 = 10 * MS;

/// How often sysmon looks for threads that block, as long as it finds some.
const CLOSE_NS: u64 = 75_000;

/// After this many looks that found none it looks half as often.
const CALM: u32 = 16;

/// How long a thread may sit in a system call while others wait.
const BLOCKED_NS: u64 = TICK_NS;

/// How long all Ps must have been idle before sysmon sleeps for good.
const LINGER_NS: u64 = 50 * MS;

/// How often the number of usable CPUs is asked for.
const FOLLOW_CPUS_NS: u64 = 1000 * MS;

/// Runs sysmon's loop.
pub(crate) fn main(trace: Option<Trace>) -> ! {
    let sched = sched();
    let mut retaker = Retaker::new();
    let mut busy_at = clock::now();
    let mut cpus_at = busy_at;
    let mut trace = trace;
    let mut inboxes = ties::InboxWatch::new(busy_at);
    let mut start_at = None;
    let mut polls = PollWatch { count: 0, since: busy_at };
    loop {
        let now = clock::now();
        clock::advance_coarse(now);
        quit::dump_if_requested();
        start_threads(sched, &mut start_at, now);
        if sched.idle.counts().0 < sched.procs() {
            busy_at = now;
        }
        polls.look(now);
        retaker.look(sched, now);
        start_threads(sched, &mut start_at, now);
        if now - cpus_at >= FOLLOW_CPUS_NS {
            cpus_at = now;
            retaker.set_cpus(procs::num_cpu());
            procs::follow_cpus(sched);
        }
        let sweep_at = stack::sweep(now);
        let inboxes_at = inboxes.look(sched, now);
        let trace_at = trace.as_mut().map(|trace| trace.print_if_due(now));
        let wake_at = [start_at, sweep_at, inboxes_at, trace_at].into_iter().flatten().min();
        let linger = if Mechanism::Linger.is_on() { LINGER_NS } else { 0 };
        if rest(sched, now, retaker.pause(), now - busy_at >= linger, wake_at) {
            busy_at = clock::now();
        }
    }
}

/// Starts the threads that are wanted; again if the system has refused one and it is time to retry.
fn start_threads(sched: &Sched, again_at: &mut Option<u64>, now: u64) {
    if sched.sysmon.orders.swap(false, Ordering::Acquire) || again_at.is_some_and(|at| at <= now) {
        handoff::start_ordered();
        *again_at = threads::start_pinned();
        exhaustion::check_pinned(sched);
    }
}

/// What sysmon remembers of the poller.
struct PollWatch {
    count: u32,
    /// When `count` was first seen.
    since: u64,
}

impl PollWatch {
    /// Polls, if a goroutine waits for I/O and no M has polled for a tick.
    fn look(&mut self, now: u64) {
        let count = poll::count();
        if count != self.count {
            (self.count, self.since) = (count, now);
        } else if now - self.since >= TICK_NS {
            poll::without_p();
        }
    }
}

/// Sleeps until the next tick; or, if all Ps have been idle for long, until `wake_at` or until
/// something has happened. Returns `true` in the last case.
fn rest(sched: &'static Sched, now: u64, pause: u64, quiet: bool, wake_at: Option<u64>) -> bool {
    let sysmon = &sched.sysmon;
    if !quiet {
        let pause = if chaos::is_on() { pause.min(TICK_NS / 8) } else { pause };
        return sysmon.parker.park_timeout(Duration::from_nanos(pause));
    }
    handoff::wake_displaced();
    sysmon.asleep.store(true, Ordering::SeqCst);
    // A thread that takes a P counts it as taken and then looks at `asleep`; this is the other half
    // of that pair.
    fence(Ordering::SeqCst);
    let timeout = wake_at.map(|at| Duration::from_nanos(at.saturating_sub(now).max(TICK_NS)));
    let woken = sched.idle.counts().0 < sched.procs() || sleep(sched, timeout);
    sysmon.asleep.store(false, Ordering::SeqCst);
    woken
}

/// Sleeps until something has happened, which returns `true`, or until `timeout` has passed.
fn sleep(sched: &'static Sched, timeout: Option<Duration>) -> bool {
    let sysmon = &sched.sysmon;
    exhaustion::check(sched);
    let awake = deadlock::check(sched);
    if let Some(woken) = awake.and_then(|thread| sleep_beside(sysmon, thread, timeout)) {
        return woken;
    }
    match timeout {
        Some(timeout) => sysmon.parker.park_timeout(timeout),
        None => {
            sysmon.parker.park();
            true
        }
    }
}

/// Sleeps like [`sleep`], or until `thread` ends. Returns `None` if that cannot be waited for.
fn sleep_beside(sysmon: &Sysmon, thread: i32, timeout: Option<Duration>) -> Option<bool> {
    if sysmon.thread_end.get().is_none() {
        // Only this thread sets it.
        let _ = sysmon.thread_end.set(ThreadEnd::new()?);
    }
    let place = sysmon.thread_end.get()?;
    sysmon.bell.arm();
    let woken = if sysmon.parker.take() { Some(true) } else { place.wait(thread, timeout) };
    sysmon.bell.disarm();
    // A token that has come since then was for this sleep.
    woken.map(|woken| sysmon.parker.take() || woken)
}
