//! The monitor: a thread without a P that sees to it that nobody keeps one for too long.
//!
//! # What it looks for
//! Every [`TICK`], for each P that an M has:
//! * **A hog**: the M has not been back in the scheduler for [`SLICE`] (its dispatch count stands
//!   still), and others wait: goroutines in the P's queues or the global one, or timers of the P.
//!   The P is taken by the lease ([`crate::protocol::lease`]) and handed on; the hog keeps its
//!   thread and will ask for a P when it comes back. If as many hogs as there are CPUs compute
//!   without a P already, the P is only lent ([`crate::sched::hogs`]).
//! * **A thread that blocks** in a system call: the same, but after [`BLOCKED`], and always for
//!   good, since it takes no CPU. Its CPU clock stands still, and the system does not call it
//!   runnable. (One that is merely waiting for a CPU would only be joined by another thread that
//!   waits for one too.)
//! * **A chain** through runnext that has kept its time slice for [`SLICE`]: it is demoted.
//! * **A forgotten runnext**, or an overdue timer, or a queue behind one that keeps busy, beside an
//!   idle P: a searcher is woken. That a P was found swift ([`crate::sched::search`]) holds until
//!   the next look.
//!
//! And it asks each P to look around before it runs the next goroutine ([`crate::sched::turns`]).
//!
//! # Crowds that block
//! Goroutines that call into code which knows nothing of us often block one after the other: a pool
//! of connections behind a lock of `std`, a driver with its own sockets. At one look in 2 ms each
//! of them would keep its P for 2 to 4 ms. So when the monitor has found one, it looks for more
//! after [`CLOSE`] (at all Ps), and takes the P of a thread that has slept since the look before;
//! after each [`CALM`] looks without any it waits twice as long, until it is back at [`TICK`].
//!
//! Two Ps, two CPUs, 500 goroutines that wait for `std`'s channels: 1040 ms until others had a turn
//! with a look in 2 ms, 21 so; 500 that sleep for 20 ms on their threads: 1090 and 123; a pool on
//! `std`'s `Condvar`, with 200 users, 20 times each: 3850 to 7530, and 270.
//!
//! It also polls for I/O, if somebody waits for that and nobody else has polled for a [`TICK`]: all
//! Ms are then away in long calls or loops, or the one that would block in the poller has found
//! work and the others sleep.
//!
//! Besides, it follows the number of CPUs that the process may use, has unused stack pages given
//! back, prints GODEBUG's schedtrace, and obeys SIGQUIT.
//!
//! # Sleeping
//! While all Ps are idle it needs nothing from the clock. After [`LINGER`] of that it looks whether
//! it will ever be needed again ([`crate::diag::deadlock`]), and sleeps until an M takes a P
//! ([`Sched::wake_sysmon`](crate::gmp::scheduler::Sched::wake_sysmon)), until stacks are due to be
//! trimmed, or until a thread ends without which there would be a deadlock.
//!
//! # Rejected
//! * Go's period of 20 us whenever something runs: that makes the monitor itself the busiest thread
//!   of a quiet program.
//! * To remember the lines that spawn goroutines which block, and to watch these more closely: the
//!   crowd is found out after its first one anyhow, and one alone costs 2 ms.
//! * Interrupting the hog with a signal: see the lease.

use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use crate::api::procs;
use crate::diag::deadlock;
use crate::diag::exhaustion;
use crate::diag::quit;
use crate::diag::stats;
use crate::diag::trace::Trace;
use crate::gmp::scheduler::{Sched, Sysmon, sched};
use crate::gmp::{M, OwnerFlags, P};
use crate::machine::stack;
use crate::machine::sys::thread_end::ThreadEnd;
use crate::netpoll::poll;
use crate::sched::affinity::ties;
use crate::sched::handoff;
use crate::sched::hogs::{self, HogsWithoutP};
use crate::sched::threads;
use crate::testing::chaos;
use crate::testing::mechanism::Mechanism;
use crate::time::clock;

const MS: u64 = 1_000_000;

/// How often the monitor looks while any P is in use. A hog is found at most this much late.
const TICK: u64 = 2 * MS;

/// How long a goroutine may keep its P while others wait (Go's forcePreemptNS).
const SLICE: u64 = 10 * MS;

/// How often it looks for threads that block, as long as it finds some.
const CLOSE: u64 = 75_000;

/// After so many looks that found none it looks half as often.
const CALM: u32 = 16;

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
    /// Whether it was noted that the M's goroutine keeps its thread.
    noted: bool,
    runnext: usize,
    /// The M that had it.
    m: u32,
    /// What the last look for threads that block showed: dispatches, M, CPU time.
    close: (u32, u32, u64),
}

impl Seen {
    /// Whether `m` still runs the goroutine that it ran at the last look, borrowers of its P not
    /// counted.
    fn is_stuck(&mut self, p: &P, m: &M) -> bool {
        if p.is_returned() && m.id == self.m {
            self.dispatches = p.dispatches();
        }
        p.dispatches() == self.dispatches && m.id == self.m
    }

    /// Remembers that the M runs another one.
    fn begin(&mut self, look: &Look) {
        (self.dispatches, self.m, self.dispatch_since) = (look.p.dispatches(), look.m.id, look.now);
        self.cpu = look.m.cpu_time();
        self.noted = false;
    }
}

/// The monitor thread's loop.
pub(crate) fn main(trace: Option<Trace>) -> ! {
    let sched = sched();
    let mut watch = Watch::new();
    let mut busy_at = clock::now();
    let mut cpus_at = busy_at;
    let mut trace = trace;
    let mut ties = ties::Watch::new(busy_at);
    let mut start_at = None;
    let mut polls = Polls { count: 0, since: busy_at };
    loop {
        let now = clock::now();
        clock::advance_coarse(now);
        quit::obey();
        start_threads(sched, &mut start_at, now);
        if sched.idle.counts().0 < sched.procs() {
            busy_at = now;
        }
        polls.look(now);
        watch.look(sched, now);
        start_threads(sched, &mut start_at, now);
        if now - cpus_at >= FOLLOW_CPUS {
            cpus_at = now;
            watch.cpus = procs::num_cpu();
            procs::follow_cpus(sched);
        }
        let sweep_at = stack::sweep(now);
        let ties_at = ties.look(sched, now);
        let trace_at = trace.as_mut().map(|trace| trace.print_if_due(now));
        let wake_at = [start_at, sweep_at, ties_at, trace_at].into_iter().flatten().min();
        let linger = if Mechanism::Linger.is_on() { LINGER } else { 0 };
        if rest(sched, now, watch.pulse.pause, now - busy_at >= linger, wake_at) {
            busy_at = clock::now();
        }
    }
}

/// Starts the threads that are wanted, also again if the system has refused one and it is time.
fn start_threads(sched: &Sched, again_at: &mut Option<u64>, now: u64) {
    if sched.sysmon.orders.swap(false, Ordering::Acquire) || again_at.is_some_and(|at| at <= now) {
        handoff::start_ordered();
        *again_at = threads::start_pinned();
        exhaustion::look_at_pinned(sched);
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

/// Sleeps until the next tick; if all Ps have been idle for long, until `wake_at` or until
/// something has happened (true).
fn rest(sched: &'static Sched, now: u64, pause: u64, quiet: bool, wake_at: Option<u64>) -> bool {
    let monitor = &sched.sysmon;
    if !quiet {
        let pause = if chaos::is_on() { pause.min(TICK / 8) } else { pause };
        return monitor.parker.park_timeout(Duration::from_nanos(pause));
    }
    handoff::wake_displaced();
    monitor.asleep.store(true, Ordering::SeqCst);
    // Whoever takes a P counts it as taken and then looks at `asleep`; this is the other half of
    // that pair.
    fence(Ordering::SeqCst);
    let timeout = wake_at.map(|at| Duration::from_nanos(at.saturating_sub(now).max(TICK)));
    let woken = sched.idle.counts().0 < sched.procs() || sleep(sched, timeout);
    monitor.asleep.store(false, Ordering::SeqCst);
    woken
}

/// Sleeps until something has happened (true), or until `timeout` has passed.
fn sleep(sched: &'static Sched, timeout: Option<Duration>) -> bool {
    let monitor = &sched.sysmon;
    exhaustion::look(sched);
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
fn sleep_beside(monitor: &Sysmon, thread: i32, timeout: Option<Duration>) -> Option<bool> {
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

/// What the monitor remembers of the Ps.
struct Watch {
    seen: Vec<Seen>,
    /// When it last looked at everything, not only for threads that block.
    full_at: u64,
    pulse: Pulse,
    away: HogsWithoutP,
    cpus: usize,
    /// At this look a P has been lent for what is in the global queue. One is enough until the
    /// next.
    lent: bool,
}

impl Watch {
    fn new() -> Self {
        let (seen, pulse, away) = (Vec::new(), Pulse::new(), HogsWithoutP::new());
        Self { seen, full_at: 0, pulse, away, cpus: procs::num_cpu(), lent: false }
    }

    fn look(&mut self, sched: &'static Sched, now: u64) {
        self.seen.resize(sched.all_ps().count(), Seen::default());
        let full = chaos::is_on() || now - self.full_at >= TICK - TICK / 8;
        if full {
            self.full_at = now;
            self.away.update();
        }
        self.pulse.beat();
        self.lent = false;
        for (at, p) in sched.all_ps().enumerate() {
            // SAFETY: Ms are never freed.
            let Some(m) = (unsafe { p.m().as_ref() }) else { continue };
            let look = Look { sched, p, m, now };
            if full {
                p.raise(OwnerFlags::LOOK_AROUND);
                self.look_at(at, &look);
            } else if look.blocks(&mut self.seen[at]) {
                self.retake_blocked(&look);
            }
        }
    }

    fn look_at(&mut self, at: usize, look: &Look) {
        let Look { sched, p, m, now } = *look;
        let seen = &mut self.seen[at];
        if chaos::strikes(AT_ONCE) {
            let _taken = if chaos::strikes(2) { handoff::lend(m, &|_| true) } else { handoff::retake(m, &|_| true) };
            return;
        }
        if p.slices() != seen.slices {
            (seen.slices, seen.slice_since) = (p.slices(), now);
        }
        let runnext = p.runnext().peek().addr();
        let forgotten = runnext != 0 && runnext == seen.runnext;
        seen.runnext = runnext;
        p.set_leave_to_owner(false);
        let stuck = seen.is_stuck(p, m);
        m.note_busy_since(if stuck { seen.dispatch_since } else { 0 });
        if !stuck {
            seen.begin(look);
            if now - seen.slice_since >= SLICE {
                p.raise(OwnerFlags::DEMOTE);
            }
            return;
        }
        let next_timer = p.timers.next_when();
        if forgotten || next_timer <= now || p.has_queued() {
            sched.idle.wake_one(&sched);
        }
        let kept = now - seen.dispatch_since;
        if kept >= SLICE && !std::mem::replace(&mut seen.noted, true) {
            // Even if nobody waits at the moment: next time somebody may.
            look.take(keep, |m| m.current().into_iter().for_each(ties::note_kept));
        }
        if !look.others_wait() && !sched.global.has_deferred() {
            return;
        }
        // Less than the value before: the P has gone to another M.
        let cpu = m.cpu_time();
        let blocked = kept >= BLOCKED && cpu.checked_sub(seen.cpu).is_some_and(|used| cpu != 0 && used < kept / 8);
        if blocked && !m.is_runnable() {
            self.retake_blocked(look);
        } else if kept >= SLICE {
            self.retake_hog(look);
        }
    }

    /// Takes the P from an M whose thread sleeps in the kernel. Others will probably do the same.
    fn retake_blocked(&mut self, look: &Look) {
        if look.take(handoff::retake, |m| m.current().into_iter().for_each(ties::note_kept)) {
            self.pulse.quicken();
        }
    }

    /// Takes the P from an M that computes, for good or for a while.
    fn retake_hog(&mut self, look: &Look) {
        let Look { sched, p, m, now } = *look;
        let hogged = |m: &'static M| {
            m.set_hogged(true);
            m.current().into_iter().for_each(hogs::note);
        };
        let taken = if self.away.has_room(self.cpus, sched.global.has_deferred(), now) || p.is_retired() {
            look.take(handoff::retake, hogged)
        } else {
            let lends = look.others_wait_here() || (!self.lent && sched.global.has_urgent());
            let lent = lends && look.take(handoff::lend, hogged);
            self.lent |= lent;
            lent
        };
        if taken {
            self.away.add(m);
        }
    }
}

/// Asks as [`handoff::retake`] does, and leaves the P where it is.
fn keep(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    handoff::retake(m, &|own| {
        agrees(own);
        false
    })
}

/// A look at one P, and at the M that has it.
#[derive(Clone, Copy)]
struct Look {
    sched: &'static Sched,
    p: &'static P,
    m: &'static M,
    now: u64,
}

impl Look {
    /// Whether anybody waits for the P, or will by the next look, but for those who are late.
    fn others_wait(&self) -> bool {
        self.others_wait_here() || self.sched.global.has_urgent()
    }

    /// As above, for this P alone.
    fn others_wait_here(&self) -> bool {
        let Self { p, now, .. } = self;
        p.has_work() || p.timers.next_when() <= now + TICK || p.is_retired()
    }

    /// Whether the M's thread sleeps in the kernel, and has since the last look, while others wait.
    fn blocks(&self, seen: &mut Seen) -> bool {
        let Self { p, m, .. } = self;
        let (dispatches, cpu) = (p.dispatches(), m.cpu_time());
        let slept = (dispatches, m.id, cpu) == seen.close;
        seen.close = (dispatches, m.id, cpu);
        slept && cpu != 0 && self.others_wait() && !m.is_runnable()
    }

    /// Takes the P from the M if it still runs the goroutine that was seen, and is not in the
    /// scheduler. `record` runs while the M cannot come back.
    fn take(&self, take: fn(&'static M, &dyn Fn(&'static P) -> bool) -> bool, record: impl Fn(&'static M)) -> bool {
        let (p, m, dispatches) = (self.p, self.m, self.p.dispatches());
        let agrees = |own: &'static P| {
            let same = own.id == p.id && p.dispatches() == dispatches;
            if same {
                record(m);
            }
            same
        };
        let taken = take(m, &agrees);
        if taken {
            stats::COUNTERS.retakes.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

/// How often the monitor looks for threads that block: the sooner, the later it has found one.
struct Pulse {
    pause: u64,
    /// Looks since the last one that it found, or since the pause grew.
    calm: u32,
}

impl Pulse {
    fn new() -> Self {
        Self { pause: TICK, calm: 0 }
    }

    fn quicken(&mut self) {
        *self = Self { pause: CLOSE, calm: 0 };
    }

    fn beat(&mut self) {
        self.calm += 1;
        if self.calm == CALM && self.pause < TICK {
            *self = Self { pause: (2 * self.pause).min(TICK), calm: 0 };
        }
    }
}
