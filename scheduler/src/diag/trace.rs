//! GODEBUG's schedtrace and scheddetail: the scheduler's state at an interval, in Go's format.
//!
//! The state is read while everything keeps running: each number was correct at some point in time,
//! but not all at the same point.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::diag::fatal;
use crate::diag::stats::timers;
use crate::gmp::scheduler::{Sched, sched};
use crate::gmp::{GRef, State};
use crate::machine::stack;
use crate::machine::sys::fallback::Fallbacks;
use crate::time::clock;

/// Prints a line, or a page, of the scheduler's state at an interval.
pub(crate) struct Trace {
    interval_ns: u64,
    detail: bool,
    started_ns: u64,
    due_ns: u64,
}

impl Trace {
    pub(crate) fn new(interval: Duration, detail: bool) -> Self {
        let (interval_ns, started_ns) = (clock::nanos(interval).max(1_000_000), clock::now());
        Self { interval_ns, detail, started_ns, due_ns: started_ns }
    }

    /// Prints if it is time, and returns the time of the next print.
    pub(crate) fn print_if_due(&mut self, now: u64) -> u64 {
        if now >= self.due_ns {
            self.due_ns = now + self.interval_ns;
            let mut text = String::new();
            write_trace(&mut text, sched(), (now - self.started_ns) / 1_000_000, self.detail);
            fatal::print(&text);
        }
        self.due_ns
    }
}

/// Writes the state in Go's format.
///
/// Fields that have no meaning here (stop-the-world, mallocing) are left out or constant.
fn write_trace(out: &mut String, sched: &Sched, ms: u64, detail: bool) {
    let (idle, searching) = sched.idle.counts();
    let timers = timers(sched);
    let lists = sched.lists();
    let ps = sched.ps();
    let _ = write!(
        out,
        "SCHED {ms}ms: gomaxprocs={} idleprocs={idle} threads={} spinningthreads={searching} needspinning=0 \
         idlethreads={} guards={} runqueue={}",
        ps.clone().count(),
        lists.threads,
        lists.idle_ms(),
        stack::POOL.guards(),
        sched.global.len()
    );
    if stack::demand() > 0 {
        let _ = write!(out, " stackwaiters={}", stack::demand());
    }
    for (n, fallback) in Fallbacks::so_far().iter().enumerate() {
        let _ = write!(out, "{}{fallback:?}", if n == 0 { " fallbacks=" } else { "," });
    }
    if !detail {
        let lengths: String = ps.clone().map(|p| format!("{} ", p.queued())).collect();
        let ticks: String = ps.map(|p| format!("{} ", p.slices())).collect();
        let _ = writeln!(out, " [ {lengths}] schedticks=[ {ticks}]");
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
            or_nil(m.map(|m| m.id)),
            p.queued(),
            timers.get(p.id as usize).unwrap_or(&0)
        );
    }
    let mut on: HashMap<u64, u32> = HashMap::new();
    for m in lists.all_ms.iter().rev() {
        let current = m.current().map(|g| g.id_and_site().0);
        on.extend(current.map(|g| (g, m.id)));
        let _ = writeln!(
            out,
            "  M{}: p={} curg={} mallocing=0 throwing=0 preemptoff= locks=0 dying=0 spinning=false blocked={} lockedg={}",
            m.id,
            or_nil(m.p().map(|p| p.id)),
            or_nil(current),
            m.p().is_none() && current.is_none(),
            or_nil(current.filter(|_| m.current().is_some_and(|g| g.bound_m().is_some())))
        );
    }
    drop(lists);
    for (id, g) in begun() {
        let (status, reason) = status(g);
        let (m, locked) = (or_nil(on.get(&id)), or_nil(g.bound_m().map(|m| m.id)));
        let _ = writeln!(out, "  G{id}: status={status}({reason}) m={m} lockedm={locked}");
    }
}

/// Returns the goroutines that have a stack, by id.
///
/// The data read from a goroutine may be out of date, or may belong to another goroutine that has
/// just replaced it.
fn begun() -> BTreeMap<u64, GRef> {
    // SAFETY: owners are goroutines, whose memory is never unmapped.
    let owners = stack::POOL.owned().filter_map(|(_, owner)| unsafe { GRef::from_ptr(owner.cast()) });
    owners.filter(|g| g.state() != State::Dead).map(|g| (g.id_and_site().0, g)).collect()
}

fn or_nil(number: Option<impl Display>) -> String {
    number.map_or("nil".into(), |number| number.to_string())
}

/// Returns Go's number for the state of a goroutine, and the reason for its wait.
fn status(g: GRef) -> (u8, &'static str) {
    match g.state() {
        State::Runnable => (1, ""),
        State::Running => (2, ""),
        State::Waiting => (4, g.reason().as_str()),
        State::Dead => (6, ""),
    }
}
