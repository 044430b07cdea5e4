//! The monitor: a thread without a P that sees to it that nobody keeps one for too long.
//!
//! # What it looks for
//! Every [`TICK`], for each P that an M has:
//! * **A hog**: the M has not been back in the scheduler for [`SLICE`] (its dispatch count stands still), be it
//!   computing or blocked in a system call, and others wait: goroutines in the P's queue or the global one, or timers
//!   of the P. The P is taken by the lease ([`crate::protocol::lease`]) and handed on; the hog keeps its thread and
//!   will ask for a P when it comes back. A blocked thread is recognised earlier, after [`BLOCKED`]: its CPU clock
//!   stands still, and the system does not call it runnable. (One that is merely waiting for a CPU would only be joined
//!   by another thread that waits for one too.)
//! * **A chain** through runnext that has kept its time slice for [`SLICE`]: it is demoted.
//! * **A forgotten runnext**, or an overdue timer, or a queue behind one that keeps busy, beside an idle P: a searcher is woken.
//!   That a P was found swift ([`crate::search`]) holds until the next look.
//!
//! It also polls for I/O, if somebody waits for that and nobody else has polled for a [`TICK`]: all Ms are then away in
//! long calls or loops, or the one that would block in the poller has found work and the others sleep.
//!
//! Besides, it follows the number of CPUs that the process may use, has unused stack pages given back, prints
//! GODEBUG's schedtrace, and obeys SIGQUIT.
//!
//! # Sleeping
//! While all Ps are idle it needs nothing from the clock. After [`LINGER`] of that it looks whether it will ever be
//! needed again ([`crate::deadlock`]), and sleeps until an M takes a P
//! ([`Sched::wake_monitor`](crate::sched::Sched::wake_monitor)), until stacks are due to be trimmed, or until a thread
//! ends without which there would be a deadlock.
//!
//! # Rejected
//! * Go's period of 20 us: that makes the monitor itself the busiest thread of a quiet program.
//! * Interrupting the hog with a signal: see the lease.

use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use crate::chaos;
use crate::clock;
use crate::deadlock;
use crate::gmp::{M, P};
use crate::handoff;
use crate::machine::stack;
use crate::machine::sys::thread_end::ThreadEnd;
use crate::mechanism::Mechanism;
use crate::netpoll::poll;
use crate::procs;
use crate::quit;
use crate::sched::{Monitor, Sched, sched};
use crate::stats;
use crate::ties;
use crate::trace::Trace;

const MS: u64 = 1_000_000;

/// How often the monitor looks while any P is in use. A hog is found at most this much late.
const TICK: u64 = 2 * MS;

/// How long a goroutine may keep its P while others wait (Go's forcePreemptNS).
const SLICE: u64 = 10 * MS;

/// How long a thread may sit in a system call while others wait.
const BLOCKED: u64 = TICK;

/// How long all Ps must have been idle before the monitor sleeps for good.
const LINGER: u64 = 50 * MS;

/// How often the number of usable CPUs is asked for.
const FOLLOW_CPUS: u64 = 1000 * MS;

/// In chaos, of so many looks at a P, one takes it.
const AT_ONCE: u64 = 4;

/// What the monitor remembers of a P.
#[derive(Clone, Copy, Default)]
struct Seen {
    slices: u32,
    dispatches: u32,
    /// When the slice count, and the dispatch count, were first seen with their values.
    slice_since: u64,
    dispatch_since: u64,
    /// What the M's CPU clock showed at the last look.
    cpu: u64,
    runnext: usize,
}

/// The monitor thread's loop.
pub(crate) fn main(trace: Option<Trace>) -> ! {
    let sched = sched();
    let mut seen: Vec<Seen> = Vec::new();
    let mut busy_at = clock::now();
    let mut cpus_at = busy_at;
    let mut trace = trace;
    let mut ties = ties::Watch::new(busy_at);
    let mut polls = Polls { count: 0, since: busy_at };
    loop {
        let now = clock::now();
        clock::advance_coarse(now);
        quit::obey();
        if sched.idle.counts().0 < sched.procs() {
            busy_at = now;
        }
        polls.look(now);
        look_at_ps(sched, &mut seen, now);
        if now - cpus_at >= FOLLOW_CPUS {
            cpus_at = now;
            procs::follow_cpus(sched);
        }
        let sweep_at = stack::sweep(now);
        let ties_at = ties.look(sched, now);
        let trace_at = trace.as_mut().map(|trace| trace.print_if_due(now));
        let wake_at = [sweep_at, ties_at, trace_at].into_iter().flatten().min();
        let linger = if Mechanism::Linger.is_on() { LINGER } else { 0 };
        if rest(sched, now, now - busy_at >= linger, wake_at) {
            busy_at = clock::now();
        }
    }
}

/// What the monitor remembers of the poller.
struct Polls {
    count: u32,
    /// When it was first seen with this count.
    since: u64,
}

impl Polls {
    /// Polls, if somebody waits for I/O and nobody has polled for a tick.
    fn look(&mut self, now: u64) {
        let count = poll::count();
        if count != self.count {
            (self.count, self.since) = (count, now);
        } else if now - self.since >= TICK {
            poll::look_without_p();
        }
    }
}

/// Sleeps until the next tick; if all Ps have been idle for long, until `wake_at` or until something has happened (true).
fn rest(sched: &Sched, now: u64, quiet: bool, wake_at: Option<u64>) -> bool {
    let monitor = &sched.monitor;
    if !quiet {
        let tick = if chaos::is_on() { TICK / 8 } else { TICK };
        return monitor.parker.park_timeout(Duration::from_nanos(tick));
    }
    monitor.asleep.store(true, Ordering::SeqCst);
    // Whoever takes a P counts it as taken and then looks at `asleep`; this is the other half of that pair.
    fence(Ordering::SeqCst);
    let timeout = wake_at.map(|at| Duration::from_nanos(at.saturating_sub(now).max(TICK)));
    let woken = sched.idle.counts().0 < sched.procs() || sleep(sched, timeout);
    monitor.asleep.store(false, Ordering::SeqCst);
    woken
}

/// Sleeps until something has happened (true), or until `timeout` has passed.
fn sleep(sched: &Sched, timeout: Option<Duration>) -> bool {
    let monitor = &sched.monitor;
    let awake = deadlock::look(sched);
    if let Some(woken) = awake.and_then(|thread| sleep_beside(monitor, thread, timeout)) {
        return woken;
    }
    match timeout {
        Some(timeout) => monitor.parker.park_timeout(timeout),
        None => {
            monitor.parker.park();
            true
        }
    }
}

/// As [`sleep`], or until `thread` ends; `None` if that cannot be waited for.
fn sleep_beside(monitor: &Monitor, thread: i32, timeout: Option<Duration>) -> Option<bool> {
    if monitor.thread_end.get().is_none() {
        // Nobody else sets it.
        let _ = monitor.thread_end.set(ThreadEnd::new()?);
    }
    let place = monitor.thread_end.get()?;
    monitor.bell.hang_out();
    let woken = if monitor.parker.take() { Some(true) } else { place.wait(thread, timeout) };
    monitor.bell.take_in();
    // A token that has come meanwhile was for this sleep.
    woken.map(|woken| monitor.parker.take() || woken)
}

fn look_at_ps(sched: &'static Sched, seen: &mut Vec<Seen>, now: u64) {
    seen.resize(sched.all_ps().count(), Seen::default());
    for (p, seen) in sched.all_ps().zip(seen) {
        // SAFETY: Ms are never freed.
        if let Some(m) = unsafe { p.m().as_ref() } {
            look_at(sched, p, m, seen, now);
        }
    }
}

fn look_at(sched: &'static Sched, p: &'static P, m: &'static M, seen: &mut Seen, now: u64) {
    let (slices, dispatches) = (p.slices(), p.dispatches());
    if chaos::strikes(AT_ONCE) {
        handoff::retake(m, |_| true);
        return;
    }
    if slices != seen.slices {
        (seen.slices, seen.slice_since) = (slices, now);
    }
    let runnext = p.runnext().peek().addr();
    let stuck = dispatches == seen.dispatches;
    p.set_swift(false);
    let forgotten = stuck && runnext != 0 && runnext == seen.runnext;
    seen.runnext = runnext;
    m.note_busy_since(if stuck { seen.dispatch_since } else { 0 });
    if !stuck {
        (seen.dispatches, seen.dispatch_since) = (dispatches, now);
        seen.cpu = m.cpu_time();
        if now - seen.slice_since >= SLICE {
            p.request_demotion();
        }
        return;
    }
    let next_timer = p.timers.next_when();
    let overdue = next_timer <= now;
    if forgotten || overdue || p.has_queued() {
        sched.idle.wake_one(&sched);
    }
    // By the next look it would be late.
    let due = next_timer <= now + TICK;
    let others_wait = p.has_work() || !sched.global.is_empty() || due || p.is_retired();
    let kept = now - seen.dispatch_since;
    if kept >= SLICE {
        // Even if nobody waits at the moment: next time somebody may.
        m.current().into_iter().for_each(ties::note_kept);
    }
    if !others_wait {
        return;
    }
    // Less than the value before: the P has gone to another M.
    let cpu = m.cpu_time();
    let blocked = kept >= BLOCKED && cpu.checked_sub(seen.cpu).is_some_and(|used| cpu != 0 && used < kept / 8);
    if kept >= SLICE || (blocked && !m.is_runnable()) {
        m.current().into_iter().for_each(ties::note_kept);
        retake(p, m, dispatches);
    }
}

/// Takes the P from an M that is not in the scheduler, if it still runs the goroutine that was seen.
fn retake(p: &'static P, m: &'static M, dispatches: u32) {
    if handoff::retake(m, |own| own.id == p.id && p.dispatches() == dispatches) {
        stats::COUNTERS.retakes.fetch_add(1, Ordering::Relaxed);
    }
}
