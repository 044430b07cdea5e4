//! Sysmon: a thread without a P that retakes Ps held for too long.
//!
//! # What it looks for
//! Every [`TICK_NS`], sysmon checks each P that an M has for the following:
//! * **A hog**: the M has not returned to the scheduler for [`SLICE_NS`] (its dispatch count has
//!   not changed) while others wait: goroutines in the P's queues or the global queue, or timers of
//!   the P. Sysmon takes the P through the lease ([`crate::protocol::lease`]) and hands it on. The
//!   hog keeps its thread and asks for a P when it returns. If as many hogs as there are CPUs
//!   already compute without a P, the P is only lent ([`crate::sched::hogs`]).
//! * **A thread that blocks** in a system call: sysmon takes its P in the same way, but after
//!   [`BLOCKED_NS`] and always for good, since the thread uses no CPU. The CPU clock of such a
//!   thread stands still, and the system does not report it as runnable. (If the thread merely
//!   waited for a CPU, taking its P would only add another thread that waits for one.)
//! * **A chain** through runnext that has kept its time slice for [`SLICE_NS`]: sysmon demotes it.
//! * **A forgotten runnext**, an overdue timer, or a queue behind a goroutine that keeps busy,
//!   while another P is idle: sysmon wakes a searcher (R7 of [`crate::sched::wake_policy`]). A
//!   queue that is left to its owner (R3) stays so only until sysmon's next check.
//!
//! Sysmon also asks each P to look around before it runs the next goroutine
//! ([`crate::sched::turns`]).
//!
//! # Crowds that block
//! Goroutines that call into code which does not know the runtime often block one after the other.
//! Examples are a pool of connections behind a lock of `std`, or a driver with its own sockets. If
//! sysmon checked only every 2 ms, each of them would keep its P for 2 to 4 ms. So when sysmon has
//! found one blocked thread, it checks for more after [`CLOSE_NS`], at all Ps, and takes the P of
//! any thread that has slept since the previous check. After each [`CALM`] checks that find none,
//! it doubles the pause, until the pause is back at [`TICK_NS`].
//!
//! Measured with two Ps and two CPUs, first with a check every 2 ms and then with the closer
//! checks:
//! * 500 goroutines that wait for `std`'s channels: others had a turn after 1040 ms, and after 21
//!   ms.
//! * 500 goroutines that sleep for 20 ms on their threads: 1090 ms, and 123 ms.
//! * A pool on `std`'s `Condvar`, with 200 users, 20 times each: 3850 to 7530 ms, and 270 ms.
//!
//! Sysmon also polls for I/O, if a goroutine waits for I/O and no M has polled for a [`TICK_NS`].
//! In that situation all Ms are in long calls or loops, or the M that would block in the poller has
//! found work and the others sleep.
//!
//! In addition, sysmon follows the number of CPUs that the process may use, returns unused stack
//! pages to the system, prints GODEBUG's schedtrace, and responds to SIGQUIT.
//!
//! # Sleeping
//! While all Ps are idle, sysmon need not tick. After all Ps have been idle for [`LINGER_NS`], it
//! checks whether it will ever be needed again ([`crate::diag::deadlock`]). It then sleeps until an
//! M takes a P ([`Sched::wake_sysmon`](crate::gmp::scheduler::Sched::wake_sysmon)), until stacks
//! are due to be trimmed, or until the end of a thread whose existence alone rules out a deadlock.
//! If it cannot wait for that end, it looks again after [`UNWATCHED_NS`].
//!
//! # Rejected
//! * Go's period of 20 us whenever something runs: that would make sysmon itself the busiest thread
//!   of a quiet program.
//! * Remembering the lines that spawn goroutines which block, and watching those goroutines more
//!   closely. Sysmon detects a crowd after its first member anyway, and a single blocking goroutine
//!   costs only 2 ms.
//! * Interrupting the hog with a signal: see the lease.

mod retake;

use std::ops::RangeInclusive;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use crate::api::procs;
use crate::diag::deadlock;
use crate::diag::exhaustion;
use crate::diag::overflow_calls;
use crate::diag::quit;
use crate::diag::trace::Trace;
use crate::gmp::scheduler::{Sched, Sysmon, sched};
use crate::machine::stack;
use crate::machine::sys::thread_end::ThreadEnd;
use crate::netpoll::poll;
use crate::sched::affinity::ties;
use crate::sched::handoff;
use crate::sched::stack_queue;
use crate::sched::threads;
use crate::testing::chaos;
use crate::testing::mechanism::Mechanism;
use crate::time::clock;
use retake::Retaker;

const MS: u64 = 1_000_000;

/// How often sysmon checks the Ps while any P is in use.
///
/// Sysmon detects a hog with at most this much delay.
const TICK_NS: u64 = 2 * MS;

/// How long a goroutine may keep its P while others wait (Go's forcePreemptNS).
const SLICE_NS: u64 = 10 * MS;

/// How often sysmon checks for threads that block, as long as it finds some.
const CLOSE_NS: u64 = 75_000;

/// After this many consecutive checks that find no blocked thread, sysmon checks half as often.
const CALM: u32 = 16;

/// How long a thread may stay in a system call while others wait.
const BLOCKED_NS: u64 = TICK_NS;

/// How long all Ps must have been idle before sysmon sleeps for good.
const LINGER_NS: u64 = 50 * MS;

/// How long sysmon sleeps at first, and at most, beside a thread whose end it cannot wait for.
///
/// The pauses double, so that an idle process soon wakes up about once a minute.
const UNWATCHED_NS: RangeInclusive<u64> = 1000 * MS..=64_000 * MS;

/// How often sysmon reads the number of usable CPUs.
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
    let mut unwatched_ns = *UNWATCHED_NS.start();
    loop {
        let now = clock::now();
        clock::advance_coarse(now);
        overflow_calls::write_if_requested();
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
        let stacks_at = stack_queue::look(now);
        let inboxes_at = inboxes.look(sched, now);
        let trace_at = trace.as_mut().map(|trace| trace.print_if_due(now));
        let wake_at = [start_at, sweep_at, stacks_at, inboxes_at, trace_at].into_iter().flatten().min();
        let linger = if Mechanism::Linger.is_on() { LINGER_NS } else { 0 };
        let pause = if now - busy_at < linger { Some(retaker.pause()) } else { None };
        if rest(sched, now, pause, wake_at, &mut unwatched_ns) {
            busy_at = clock::now();
            unwatched_ns = *UNWATCHED_NS.start();
        }
    }
}

/// Starts the threads that are needed.
///
/// If the system has refused a thread, retries at the time in `again_at`.
fn start_threads(sched: &Sched, again_at: &mut Option<u64>, now: u64) {
    if sched.sysmon.orders.swap(false, Ordering::Acquire) || again_at.is_some_and(|at| at <= now) {
        handoff::start_ordered();
        *again_at = threads::start_pinned();
        exhaustion::check_pinned(sched);
    }
}

/// What sysmon remembers about the poller.
struct PollWatch {
    count: u32,
    /// When `count` was first seen.
    since: u64,
}

impl PollWatch {
    /// Polls if a goroutine waits for I/O and no M has polled for a tick.
    fn look(&mut self, now: u64) {
        let count = poll::count();
        if count != self.count {
            (self.count, self.since) = (count, now);
        } else if now - self.since >= TICK_NS {
            poll::without_p();
        }
    }
}

/// Sleeps for `pause` or, if there is none since all Ps have been idle for a long time, until
/// `wake_at` or until sysmon is woken.
///
/// Returns `true` if sysmon was woken.
fn rest(sched: &'static Sched, now: u64, pause: Option<u64>, wake_at: Option<u64>, unwatched_ns: &mut u64) -> bool {
    let sysmon = &sched.sysmon;
    if let Some(pause) = pause {
        let pause = if chaos::is_on() { pause.min(TICK_NS / 8) } else { pause };
        return sysmon.parker.park_timeout(Duration::from_nanos(pause));
    }
    handoff::wake_displaced();
    sysmon.asleep.store(true, Ordering::SeqCst);
    // A thread that takes a P first counts it as taken and then reads `asleep`. This fence is the
    // other half of that pair.
    fence(Ordering::SeqCst);
    let timeout = wake_at.map(|at| Duration::from_nanos(at.saturating_sub(now).max(TICK_NS)));
    let woken = sched.idle.counts().0 < sched.procs() || sleep(sched, timeout, unwatched_ns);
    sysmon.asleep.store(false, Ordering::SeqCst);
    woken
}

/// Sleeps until sysmon is woken or `timeout` has passed.
///
/// Where the end of a thread matters but cannot be waited for, the sleep also ends after
/// `unwatched_ns`, which doubles. Returns `true` if sysmon was woken.
fn sleep(sched: &'static Sched, mut timeout: Option<Duration>, unwatched_ns: &mut u64) -> bool {
    let sysmon = &sched.sysmon;
    exhaustion::check(sched);
    if let Some(thread) = deadlock::check(sched) {
        let watches = Mechanism::ThreadEnd.is_on();
        if let Some(woken) = watches.then(|| sleep_beside(sysmon, thread, timeout)).flatten() {
            return woken;
        }
        let unwatched = Duration::from_nanos(*unwatched_ns);
        if timeout.is_none_or(|timeout| timeout >= unwatched) {
            timeout = Some(unwatched);
            *unwatched_ns = (*unwatched_ns * 2).min(*UNWATCHED_NS.end());
        }
    }
    match timeout {
        Some(timeout) => sysmon.parker.park_timeout(timeout),
        None => {
            sysmon.parker.park();
            true
        }
    }
}

/// Sleeps like [`sleep`], but also ends when `thread` does.
///
/// Returns `None` if the end of `thread` cannot be waited for.
fn sleep_beside(sysmon: &Sysmon, thread: i32, timeout: Option<Duration>) -> Option<bool> {
    if sysmon.thread_end.get().is_none() {
        // Only this thread sets it.
        let _ = sysmon.thread_end.set(ThreadEnd::new()?);
    }
    let place = sysmon.thread_end.get()?;
    sysmon.bell.arm();
    let woken = if sysmon.parker.take() { Some(true) } else { place.wait(thread, timeout) };
    sysmon.bell.disarm();
    // A token that has arrived since then was meant for this sleep.
    woken.map(|woken| sysmon.parker.take() || woken)
}
