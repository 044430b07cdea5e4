//! Looking at the scheduler: counters, Go's schedtrace lines, and a dump of all goroutines.
//!
//! What is read here is read while everything runs: each number is right for some moment, not all for the same one.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;
use crate::fatal;
use crate::gmp::{GRef, State};
use crate::machine::stack;
use crate::netpoll::{REGISTERED, ROLE};
use crate::sched::{Sched, sched, try_sched};

/// Events since the start.
pub(crate) struct Counters {
    /// Ps taken from an M that did not come back.
    pub(crate) retakes: AtomicU64,
}

pub(crate) static COUNTERS: Counters = Counters { retakes: AtomicU64::new(0) };

/// What [`stats`] tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Goroutines spawned and not ended.
    pub goroutines: u64,
    /// Ps in use (GOMAXPROCS).
    pub procs: u32,
    /// Ps that no M runs.
    pub idle_procs: u32,
    /// OS threads of the runtime that run goroutines or wait to.
    pub threads: usize,
    /// Of these, the ones that wait without a P.
    pub spare_threads: usize,
    /// Ps taken from an M whose goroutine did not come back for too long.
    pub retakes: u64,
    /// Pending timers.
    pub timers: usize,
    /// Descriptors that are registered for I/O.
    pub io_descriptors: usize,
    /// Goroutines and threads that wait for I/O.
    pub io_waiters: usize,
    /// Stacks in use.
    pub stacks_in_use: usize,
    /// Stacks that were ever made.
    pub stacks_reserved: usize,
}

/// A look at the scheduler's numbers. All zero before the first goroutine.
pub fn stats() -> Stats {
    let Some(sched) = try_sched() else { return Stats::default() };
    let (idle_procs, _) = sched.idle.counts();
    let stacks = stack::POOL.stats();
    let timers = timers(sched).iter().sum();
    let lists = sched.lists();
    Stats {
        procs: sched.procs(),
        idle_procs,
        threads: lists.threads,
        spare_threads: lists.spare.len(),
        retakes: COUNTERS.retakes.load(Ordering::Relaxed),
        timers,
        io_descriptors: REGISTERED.load(Ordering::Relaxed),
        io_waiters: ROLE.waiters(),
        stacks_in_use: stacks.in_use,
        stacks_reserved: stacks.reserved,
        goroutines: {
            drop(lists);
            sched.alive()
        },
    }
}

/// How many timers are pending on each P, by id. Asked for without the lock of the lists: a timer that fires takes that lock
/// under the lock of its heap.
fn timers(sched: &Sched) -> Vec<usize> {
    let ps = sched.lists().all_ps.clone();
    ps.iter().map(|p| p.timers.len()).collect()
}

/// GODEBUG's schedtrace: prints a line, or a page, at an interval.
pub(crate) struct Trace {
    interval: u64,
    detail: bool,
    started: u64,
    due: u64,
}

impl Trace {
    pub(crate) fn new(interval: Duration, detail: bool) -> Self {
        let (interval, started) = (clock::nanos(interval).max(1_000_000), clock::now());
        Self { interval, detail, started, due: started + interval }
    }

    /// Prints if it is time; returns when it is next.
    pub(crate) fn print_if_due(&mut self, now: u64) -> u64 {
        if now >= self.due {
            self.due = now + self.interval;
            let mut text = String::new();
            write_trace(&mut text, sched(), (now - self.started) / 1_000_000, self.detail);
            fatal::print(&text);
        }
        self.due
    }
}

/// Go's format; what has no meaning here (stop-the-world, mallocing) is left out or constant.
fn write_trace(out: &mut String, sched: &Sched, ms: u64, detail: bool) {
    let (idle, searching) = sched.idle.counts();
    let timers = timers(sched);
    let lists = sched.lists();
    let ps = &lists.all_ps[..sched.procs() as usize];
    let _ = write!(
        out,
        "SCHED {ms}ms: gomaxprocs={} idleprocs={idle} threads={} spinningthreads={searching} needspinning=0 \
         idlethreads={} runqueue={}",
        ps.len(),
        lists.threads,
        lists.spare.len() + lists.idle.iter().filter(|i| i.watcher.is_some()).count(),
        sched.global.len()
    );
    if !detail {
        let lengths: Vec<String> = ps.iter().map(|p| p.queued().to_string()).collect();
        let ticks: String = ps.iter().map(|p| format!("{} ", p.slices())).collect();
        let _ = writeln!(out, " [{}] schedticks=[ {ticks}]", lengths.join(" "));
        return;
    }
    let _ = writeln!(out, " gcwaiting=false nmidlelocked=0 stopwait=0 sysmonwait=false");
    for p in ps {
        // SAFETY: Ms are never freed.
        let m = unsafe { p.m().as_ref() };
        let _ = writeln!(
            out,
            "  P{}: status={} schedtick={} syscalltick=0 m={} runqsize={} gfreecnt=0 timerslen={}",
            p.id,
            u8::from(m.is_some()),
            p.slices(),
            m.map_or("nil".into(), |m| m.id.to_string()),
            p.queued(),
            timers.get(p.id as usize).unwrap_or(&0)
        );
    }
    for m in &lists.all_ms {
        let _ = writeln!(
            out,
            "  M{}: p={} curg={} mallocing=0 throwing=0 preemptoff= locks=0 dying=0 spinning=false blocked={} lockedg=nil",
            m.id,
            m.p().map_or("nil".into(), |p| p.id.to_string()),
            m.current().map_or("nil".into(), |g| g.id.to_string()),
            m.p().is_none()
        );
    }
    drop(lists);
    for_each_started(|g| {
        let _ = writeln!(out, "  G{}: status={}({}) m=nil lockedm=nil", g.id, g.state() as u8, g.reason());
    });
}

/// Calls `f` with every goroutine that has a stack. What it reads may be out of date, or of a goroutine that has
/// just taken the other's place.
pub(crate) fn for_each_started(mut f: impl FnMut(GRef)) {
    stack::POOL.for_each_owner(|owner| {
        // SAFETY: owners are goroutines, whose memory is never unmapped.
        if let Some(g) = unsafe { GRef::from_ptr(owner.cast()) }
            && g.state() != State::Dead
        {
            f(g);
        }
    });
}

/// All goroutines that have begun, one line each, in Go's words, with the scheduler's state on top.
pub fn dump() -> String {
    let mut out = String::new();
    let Some(sched) = try_sched() else { return "no goroutine was ever started\n".into() };
    write_trace(&mut out, sched, clock::now() / 1_000_000, true);
    let mut begun = 0;
    for_each_started(|g| {
        begun += 1;
        let what = match g.state() {
            State::Waiting => g.reason().as_str(),
            State::Running => "running",
            State::Runnable => "runnable",
            State::Dead => "dead",
        };
        // Not its name: that is memory of its own, which goes when the goroutine does.
        let _ = writeln!(out, "goroutine {} [{what}]: spawned at {}", g.id, g.site);
    });
    let waiting = sched.alive().saturating_sub(begun);
    let _ = writeln!(out, "{waiting} more goroutines have not begun");
    out
}
