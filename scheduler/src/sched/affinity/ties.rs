//! Ties: which goroutines can run on only one thread, and how others are kept away from that
//! thread.
//!
//! # Vocabulary
//! A parked goroutine is *tied* to an M if its stack has an address of the thread's own memory, so
//! that the migration guard ([`crate::sched::affinity::guard`]) resumes it there and nowhere else.
//! An M is *tied* once such a goroutine was seen on it. A goroutine *keeps* its thread if its P had
//! to be taken from it: it computes, or blocks in a call, and does not return to the scheduler.
//!
//! # The hazard
//! While a goroutine keeps its thread, other goroutines run elsewhere, but a tied goroutine cannot.
//! And innocent code creates ties. In a release build the compiler computes the address of a
//! thread-local once for a whole loop, so that the park in each iteration finds the address in a
//! register:
//!
//! ```text
//!     loop { SEEN.with(|seen| seen.borrow_mut().push(1)); time::sleep(ms) }
//!     // while this also runs:
//!     stdin.read_line(..)
//! ```
//!
//! If both run on one M, the loop gets no turn until a line is typed.
//!
//! # What is done
//! A live borrow cannot be distinguished from a computation that the compiler has moved (see
//! below), so a tied goroutine stays where it is. The scheduler can only choose *what else* runs
//! there:
//!
//! * **Goroutines that have kept a thread** run on Ms that are not tied, for their next
//!   [`G::DISTRUST`] runs. The same holds for the first run of a goroutine whose spawn site
//!   ([`crate::sched::sites`]) has had a goroutine that kept its thread. The main goroutine is
//!   treated as one that will keep its thread, since it blocks in calls to std more often than
//!   others.
//! * **The first goroutine of a spawn site** begins on an M that is not tied. Other goroutines of
//!   the site do the same until one of them has returned to the scheduler or ended. This holds
//!   while fewer Ms than Ps are tied, since each tied M may then have a P of its own. Beyond that
//!   it holds only for Ms that have been tied for [`BURST_NS`], so that goroutines which are
//!   started together stay together, and only while at most [`MOST_SCATTERED`] more Ms than Ps are
//!   tied.
//! * **A call in [`blocking`](crate::api::blocking())** leaves a tied M first.
//! * A tied goroutine in its thread's inbox takes turns with the M's other work. So it waits for
//!   one time slice, or for the goroutine that keeps the thread.
//! * An inbox that has waited for [`PATIENCE_NS`] behind one goroutine is reported on stderr, once.
//!
//! When an M finds a goroutine that should run on another M, it passes the goroutine on together
//! with its P, to an idle M that is not tied or to a new one ([`pass_on`]). That costs two wake-ups
//! of threads, 20 to 40 us, whereas a kept thread costs 2 ms or more. An M that is not tied never
//! makes this check.
//!
//! *Finding ties* must cost nothing where no goroutine is tied. A stack is searched in three cases:
//! when the first goroutine of a site suspends for the first time, when another goroutine of a site
//! with a tied goroutine does, and after one in [`SAMPLE_RATE`] dispatches of a P. The stack has
//! just been used at that point, so the search takes 50 ns. The guard adds the goroutines that it
//! sends back. All of this is a hint: if a tie is missed, the tied goroutine may have to wait, as
//! it would have without this mechanism.
//!
//! # What remains
//! Goroutines that are tied to a thread still wait for as long as one of the following keeps the
//! thread: a goroutine that has returned to the scheduler before and keeps its thread for the first
//! time; a goroutine that is tied there itself; or the first goroutine of its site, if it was
//! started together with them and no P was available for another thread. `#[inline(never)]` around
//! the use of the thread-local avoids a tie. A goroutine that never returns to the scheduler
//! belongs on a thread of its own (`Builder::pinned`).
//!
//! # Rejected
//! * *Correcting the addresses*, since each thread's block has the same layout: this is right for a
//!   computation that was moved, and undefined behavior for a borrow in an open `with`. The two
//!   look alike, since both are the address of the variable. The frame of an open `with` would show
//!   the difference, but it is inlined in the builds that make ties. The tables of inlined calls
//!   are debug information, which release builds do not have by default. C code that keeps such an
//!   address has no tables either way.
//! * *Interrupting a thread that is blocked in a system call* and running its tied goroutines
//!   there, on top of the call: the blocked goroutine may be in the middle of a `with_borrow_mut`
//!   (reading into a buffer of the thread), may hold `stdout`'s re-entrant lock, or may be in the
//!   allocator.
//! * *Exchanging the thread pointer* with that of the blocked thread: two threads would have one
//!   `errno`, one allocator cache and one identity as soon as the call returns.
//! * *Searching each stack when it is left*: 50 to 100 ns for every park.
//! * *Keeping each spawn site's first goroutine apart without a limit*: the stages of a pipeline,
//!   each of which uses a thread-local, would each be tied to a separate thread. With five of them
//!   on one P a value took 50 to 125 us through unbuffered channels, and 0.3 us with all of them on
//!   one thread.

use std::ptr;
use std::sync::atomic::Ordering;

use crate::diag::fatal;
use crate::gmp::scheduler::{Sched, sched};
use crate::gmp::{G, GRef, Inside, M};
use crate::sched::entry;
use crate::sched::handoff;
use crate::sched::sites::{SITES, Verdict};
use crate::task::coroutine::StackHead;
use crate::testing::mechanism::Mechanism;
use crate::time::clock;

/// After one dispatch in this many, the goroutine that suspends is searched for ties.
const SAMPLE_RATE: u32 = 1024;

/// The limit up to which first goroutines of their sites are kept apart: this many more Ms than Ps
/// may be tied.
const MOST_SCATTERED: usize = 3;

/// How long an M must have been tied before first goroutines avoid it, if there are as many tied Ms
/// as Ps.
///
/// Goroutines that are spawned together tend to communicate with each other.
const BURST_NS: u64 = 10_000_000;

/// The limit up to which goroutines of a distrusted site begin apart: this many more Ms than Ps may
/// be tied.
const MOST_APART: usize = 8;

/// How long a goroutine waits for its thread before that is reported, and how often sysmon checks.
const PATIENCE_NS: u64 = 1_000_000_000;
const LOOK_NS: u64 = 250_000_000;

/// Returns `true` if the goroutine that has just suspended on `m` is to be searched for ties,
/// regardless of what is known about it.
#[inline]
pub(crate) fn is_sampled(m: &M) -> bool {
    !m.is_tied() && m.p().is_some_and(|p| p.dispatches().is_multiple_of(SAMPLE_RATE))
}

/// Learns from `g`, which `m`, the calling M, has just run.
///
/// The goroutine is suspended, and the caller still owns it.
#[cold]
pub(crate) fn note_left(m: &'static M, g: GRef) {
    let (record, distrust) = (g.record(), g.record() & G::DISTRUST);
    g.set_record(G::SEEN | distrust.saturating_sub(1));
    let seen = record & G::SEEN != 0;
    let may_be_tied = if seen || distrust > 0 { is_sampled(m) } else { SITES.note_came_back(g.site) };
    if may_be_tied && !m.is_tied() && is_tied_to(g, m) {
        note_tied(g, m);
    }
}

/// Learns from `g`, which runs on the calling M and is about to end.
#[inline]
pub(crate) fn note_end(g: GRef) {
    if g.record() & (G::ON_PROBATION | G::DISTRUST) == G::ON_PROBATION {
        SITES.note_came_back(g.site);
    }
}

/// Notes that `g` is tied to `m`.
#[cold]
pub(crate) fn note_tied(g: GRef, m: &'static M) {
    SITES.note_ties(g.site);
    // The thread of a pinned goroutine runs no other goroutine that would have to avoid it.
    if m.pinned_g().is_none() && m.note_tied(clock::now()) {
        sched().tied_ms.fetch_add(1, Ordering::Relaxed);
    }
}

/// Notes that `g` keeps its thread.
///
/// Sysmon calls this while `g` cannot return to the scheduler, and so does the owner of its handle.
/// If `g` suspends at the same time, one of the two notes may be lost, which is acceptable since
/// they are hints.
pub(crate) fn note_kept(g: GRef) {
    if g.record() & G::DISTRUST != G::DISTRUST {
        g.set_record(g.record() | G::DISTRUST);
        SITES.note_kept(g.site);
    }
}

/// Notes that `g`, the calling goroutine, will keep its thread at its next run.
pub(crate) fn note_will_keep(g: GRef) {
    // One unit is subtracted when the goroutine suspends.
    g.set_record((g.record() & !G::DISTRUST) | 2.max(g.record() & G::DISTRUST));
}

/// Returns `true` if `g`, which `m`, a tied M, is about to run, should rather run on an M that is
/// not tied.
#[cold]
pub(crate) fn belongs_elsewhere(m: &'static M, g: GRef) -> bool {
    if !Mechanism::KeepApart.is_on() || m.locked_gs.get() > 0 || g.bound_m().is_some() || g.is_pinned() {
        return false;
    }
    if !g.stack.get().is_null() {
        let stays = || g.m().is_some_and(|last| ptr::eq(last, m)) && is_tied_to(g, m);
        return g.record() & G::DISTRUST > 0 && !stays();
    }
    let (tied, procs) = (sched().tied_ms.load(Ordering::Relaxed), sched().procs() as usize);
    match SITES.verdict(g.site) {
        Verdict::Trusted => false,
        Verdict::Unknown if tied < procs => true,
        Verdict::Unknown => tied < procs + MOST_SCATTERED && clock::now() - m.tied_since() >= BURST_NS,
        Verdict::Distrusted => tied < procs + MOST_APART,
    }
}

/// Returns `true` if `g` is tied to `m`, which ran it last.
///
/// The caller owns `g`, which is suspended.
fn is_tied_to(g: GRef, m: &'static M) -> bool {
    // SAFETY: the caller owns the goroutine, which is suspended.
    unsafe { StackHead::points_into(g.stack.get(), &m.thread_memory()) }
}

/// Passes `g`, which the calling M has taken from a queue, to an M that is not tied, together with
/// that M's idle P or with `p`.
///
/// Returns `p` if there is no such M. The caller then still owns `g`.
#[cold]
pub(crate) fn pass_on<'a>(m: &'static M, p: Inside<'a>, g: GRef) -> Result<(), Inside<'a>> {
    let sched = sched();
    let record = g.record();
    if g.stack.get().is_null() {
        g.set_record(record | G::ON_PROBATION);
        SITES.spend_distrust(g.site);
    }
    let mut lists = sched.lists();
    let is_free = |other: &M| !other.is_tied() && other.inbox.is_empty();
    let watcher = lists.idle.iter().position(|idle| idle.watcher.is_some_and(is_free));
    let spare = lists.spare.iter().rposition(|spare| is_free(spare));
    let other = match (watcher, spare) {
        (Some(at), _) => {
            let idle = lists.idle.remove(at);
            sched.idle.p_taken();
            idle.watcher.map(|other| (other, Some(idle.p)))
        }
        (None, Some(at)) => Some((lists.spare.remove(at), None)),
        (None, None) => None,
    };
    let Some((other, idle)) = other else {
        drop(lists);
        return give_to_new_m(m, p, g);
    };
    // The other M no longer stands in a list. So it does not sleep for its inbox, and gets a P
    // below.
    let _ = other.inbox.deliver(g);
    drop(lists);
    match idle {
        Some(idle) => {
            sched.wake_sysmon();
            other.hand_p(idle, false);
        }
        None => other.hand_p(entry::give_up(m, p), false),
    }
    Ok(())
}

fn give_to_new_m<'a>(m: &'static M, p: Inside<'a>, g: GRef) -> Result<(), Inside<'a>> {
    let p = entry::give_up(m, p);
    if handoff::start_fresh(p, g) {
        return Ok(());
    }
    // SAFETY: the M has the P that it released above, and is inside again.
    Err(unsafe { entry::adopt(m, p) })
}

/// Sysmon's watch over the inboxes of busy Ms.
pub(crate) struct InboxWatch {
    reported: bool,
    next: u64,
}

impl InboxWatch {
    pub(crate) fn new(now: u64) -> Self {
        Self { reported: false, next: now + LOOK_NS }
    }

    /// Reports, once per process, a goroutine that has waited for its thread for a long time.
    ///
    /// Returns when to check again, in ns, if a goroutine waits.
    pub(crate) fn look(&mut self, sched: &Sched, now: u64) -> Option<u64> {
        if self.reported || now < self.next {
            return (!self.reported && any_waits(sched)).then_some(self.next);
        }
        self.next = now + LOOK_NS;
        let waiting = |m: &&'static M| Some((*m, m.inbox.oldest()?, m.current()?));
        let waiting: Vec<_> = sched.lists().all_ms.iter().filter_map(waiting).collect();
        if let Some((m, (g, _), keeper)) =
            waiting.iter().find(|(_, (_, since), _)| now.saturating_sub(*since) > PATIENCE_NS)
        {
            self.reported = true;
            report(m, *g, *keeper);
        }
        (!waiting.is_empty() && !self.reported).then_some(self.next)
    }
}

fn any_waits(sched: &Sched) -> bool {
    sched.lists().all_ms.iter().any(|m| !m.inbox.is_empty())
}

fn report(m: &M, g: GRef, keeper: GRef) {
    let ((id, site), (keeper, keeper_site)) = (g.id_and_site(), keeper.id_and_site());
    fatal::warn(&format!(
        "goroutine {id}, spawned at {site}, has waited for its thread for a second: goroutine {keeper}, spawned at \
         {keeper_site}, keeps thread greenthread-m{} busy or blocked. The address of a thread-local is on the stack of \
         goroutine {id}, so it can run on that thread only; put the use of the thread-local into a function of its own \
         with #[inline(never)], or spawn goroutine {keeper} with Builder::pinned. Other cases are not reported.",
        m.id
    ));
}
