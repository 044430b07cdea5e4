//! Sysmon's check of the Ps: which P is retaken, which chain is demoted, and which P needs a
//! searcher.

use std::sync::atomic::Ordering;

use super::{BLOCKED_NS, CALM, CLOSE_NS, SLICE_NS, TICK_NS};
use super::{chaos, handoff, procs, ties};
use crate::diag::stats;
use crate::gmp::scheduler::Sched;
use crate::gmp::{M, OwnerFlags, P};
use crate::sched::hogs::{self, HogsWithoutP};

/// In chaos mode, one check in this many takes the P.
const CHAOS_RETAKE: u64 = 4;

/// What sysmon remembers about a P.
#[derive(Clone, Copy, Default)]
struct PRecord {
    slices: u32,
    dispatches: u32,
    /// When the slice count and the dispatch count were first seen at their current values.
    slice_since: u64,
    dispatch_since: u64,
    /// The M's CPU time at the last check.
    cpu: u64,
    /// Whether sysmon has noted that the M's goroutine keeps its thread.
    noted: bool,
    /// The address of the goroutine in the runnext slot.
    runnext: usize,
    /// The M that had the P.
    m: u32,
    /// The dispatches, the M, and the CPU time at the last check for threads that block.
    close: (u32, u32, u64),
}

impl PRecord {
    /// Returns `true` if `m` still runs the goroutine that it ran at the last check.
    ///
    /// Goroutines that another M has run on the P during a loan do not count.
    fn is_stuck(&mut self, p: &P, m: &M) -> bool {
        if p.is_returned() && m.id == self.m {
            self.dispatches = p.dispatches();
        }
        p.dispatches() == self.dispatches && m.id == self.m
    }

    /// Records that the M runs another goroutine.
    fn begin(&mut self, look: &Look) {
        (self.dispatches, self.m, self.dispatch_since) = (look.p.dispatches(), look.m.id, look.now);
        self.cpu = look.m.cpu_time();
        self.noted = false;
    }
}

/// What sysmon remembers about all Ps.
pub(super) struct Retaker {
    records: Vec<PRecord>,
    /// When sysmon last checked everything, and not only for threads that block.
    full_at: u64,
    pacer: Pacer,
    hogs: HogsWithoutP,
    cpus: usize,
    /// Whether this check has already lent a P for the goroutines in the global queue.
    ///
    /// One P is enough until the next check.
    lent: bool,
}

impl Retaker {
    pub(super) fn new() -> Self {
        Self {
            records: Vec::new(),
            full_at: 0,
            pacer: Pacer::new(),
            hogs: HogsWithoutP::new(),
            cpus: procs::num_cpu(),
            lent: false,
        }
    }

    pub(super) fn set_cpus(&mut self, cpus: usize) {
        self.cpus = cpus;
    }

    /// Returns how long to wait until the next check, in ns.
    pub(super) fn pause(&self) -> u64 {
        self.pacer.pause
    }

    /// Checks all Ps.
    pub(super) fn look(&mut self, sched: &'static Sched, now: u64) {
        // Ps that are made from now on are looked at the next time.
        let ps = sched.all_ps().count();
        self.records.resize(ps, PRecord::default());
        let full = chaos::is_on() || now - self.full_at >= TICK_NS - TICK_NS / 8;
        if full {
            self.full_at = now;
            self.hogs.update();
        }
        self.pacer.count_look();
        self.lent = false;
        for (at, p) in sched.all_ps().take(ps).enumerate() {
            // SAFETY: Ms are never freed (I1 of `gmp::m`).
            let Some(m) = (unsafe { p.m().as_ref() }) else { continue };
            let look = Look { sched, p, m, now };
            if full {
                p.raise(OwnerFlags::LOOK_AROUND);
                self.look_at(at, &look);
            } else if look.finds_blocked(&mut self.records[at]) {
                self.retake_blocked(&look);
            }
        }
    }

    fn look_at(&mut self, at: usize, look: &Look) {
        let Look { sched, p, m, now } = *look;
        let record = &mut self.records[at];
        if chaos::one_in(CHAOS_RETAKE) {
            let _taken = if chaos::one_in(2) { handoff::lend(m, &|_| true) } else { handoff::retake(m, &|_| true) };
            return;
        }
        if p.slices() != record.slices {
            (record.slices, record.slice_since) = (p.slices(), now);
        }
        let runnext = p.runnext().peek().addr();
        let forgotten = runnext != 0 && runnext == record.runnext;
        record.runnext = runnext;
        p.set_leave_to_owner(false);
        let stuck = record.is_stuck(p, m);
        m.note_busy_since(if stuck { record.dispatch_since } else { 0 });
        if !stuck {
            record.begin(look);
            if now - record.slice_since >= SLICE_NS {
                p.raise(OwnerFlags::DEMOTE);
            }
            return;
        }
        if forgotten || p.timers.next_when() <= now || p.has_queued() {
            // R7 of the wake policy.
            sched.idle.wake_one(&sched);
        }
        let kept = now - record.dispatch_since;
        if kept >= SLICE_NS && !std::mem::replace(&mut record.noted, true) {
            // Sysmon notes this even if no goroutine currently waits, because one may wait next
            // time.
            look.take(note_only, |m| m.current().into_iter().for_each(ties::note_kept));
        }
        if !look.others_wait() && !sched.global.has_deferred() {
            return;
        }
        // If it is less than the previous value, the P has moved to another M.
        let cpu = m.cpu_time();
        let blocked = kept >= BLOCKED_NS && cpu.checked_sub(record.cpu).is_some_and(|used| cpu != 0 && used < kept / 8);
        if blocked && !m.is_runnable() {
            self.retake_blocked(look);
        } else if kept >= SLICE_NS {
            // On a busy machine, a thread may have waited for a CPU all the time.
            let computed = cpu == 0 || cpu.saturating_sub(record.cpu) >= SLICE_NS / 8;
            self.retake_hog(look, computed);
        }
    }

    /// Takes the P from an M whose thread sleeps in the kernel.
    ///
    /// Checks more often from now on, since other threads will probably block in the same way.
    fn retake_blocked(&mut self, look: &Look) {
        if look.take(handoff::retake, |m| m.current().into_iter().for_each(ties::note_kept)) {
            self.pacer.quicken();
        }
    }

    /// Takes the P from an M that computes or waits for a CPU, either for good or as a loan.
    ///
    /// `computed` says whether its goroutine has had enough CPU time to be called a hog.
    fn retake_hog(&mut self, look: &Look, computed: bool) {
        let Look { sched, p, m, now } = *look;
        let hogged = |m: &'static M| {
            if computed {
                m.set_hogged(true);
                m.current().into_iter().for_each(hogs::note);
            }
        };
        let taken = if self.hogs.has_room(self.cpus, sched.global.has_deferred(), now) || p.is_retired() {
            look.take(handoff::retake, hogged)
        } else {
            let lends = look.others_wait_here() || (!self.lent && sched.global.has_urgent());
            let lent = lends && look.take(handoff::lend, hogged);
            self.lent |= lent;
            lent
        };
        if taken {
            self.hogs.add(m);
        }
    }
}

/// Asks under the conditions of [`handoff::retake`], but leaves the P where it is.
fn note_only(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    handoff::retake(m, &|own| {
        agrees(own);
        false
    })
}

/// A check of one P and of the M that has it.
#[derive(Clone, Copy)]
struct Look {
    sched: &'static Sched,
    p: &'static P,
    m: &'static M,
    now: u64,
}

impl Look {
    /// Returns `true` if goroutines wait for the P or will wait by the next check.
    ///
    /// Deferred goroutines do not count.
    fn others_wait(&self) -> bool {
        self.others_wait_here() || self.sched.global.has_urgent()
    }

    /// Returns `true` if goroutines wait for this P alone, or will wait by the next check.
    fn others_wait_here(&self) -> bool {
        let Self { p, now, .. } = self;
        p.has_work() || p.timers.next_when() <= now + TICK_NS || p.is_retired()
    }

    /// Returns `true` if the M's thread sleeps in the kernel, and has slept since the last check,
    /// while others wait.
    fn finds_blocked(&self, record: &mut PRecord) -> bool {
        let Self { p, m, .. } = self;
        let (dispatches, cpu) = (p.dispatches(), m.cpu_time());
        let slept = (dispatches, m.id, cpu) == record.close;
        record.close = (dispatches, m.id, cpu);
        slept && cpu != 0 && self.others_wait() && !m.is_runnable()
    }

    /// Takes the P by calling `take`, if the M still runs the goroutine that was seen and is not in
    /// the scheduler.
    ///
    /// `note` runs while the M cannot return to the scheduler.
    fn take(&self, take: fn(&'static M, &dyn Fn(&'static P) -> bool) -> bool, note: impl Fn(&'static M)) -> bool {
        let (p, m, dispatches) = (self.p, self.m, self.p.dispatches());
        let agrees = |own: &'static P| {
            let same = own.id == p.id && p.dispatches() == dispatches;
            if same {
                note(m);
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

/// The pace of sysmon's checks for blocked threads: the more it finds, the sooner it checks again.
struct Pacer {
    pause: u64,
    /// The number of checks since the last one that found a blocked thread, or since the pause
    /// grew.
    calm: u32,
}

impl Pacer {
    fn new() -> Self {
        Self { pause: TICK_NS, calm: 0 }
    }

    /// Shortens the pause between checks from now on.
    fn quicken(&mut self) {
        *self = Self { pause: CLOSE_NS, calm: 0 };
    }

    fn count_look(&mut self) {
        self.calm += 1;
        if self.calm == CALM && self.pause < TICK_NS {
            *self = Self { pause: (2 * self.pause).min(TICK_NS), calm: 0 };
        }
    }
}
