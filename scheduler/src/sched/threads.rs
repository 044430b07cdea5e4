//! The life of an M and its thread: which thread starts it, what it may run, and when it ends.
//!
//! # States
//! An M that has a thread, or is to have one, is in one of these states:
//!
//! * *Ordered*: has a P in hand, and stands in `Lists::orders`. It becomes *running* when sysmon
//!   starts its thread.
//! * *Standby*: without a P, in `Lists::standby`. It becomes *running* when it is handed its first
//!   P, or *pinned* when it is handed a pinned goroutine.
//! * *Running*: the M of its P ([`P::m`]). It finds goroutines and runs them.
//! * *Away*: without a P; only `Lists::threads` counts it. When its goroutine returns from a long
//!   call or loop, it takes a P or queues.
//! * *Watcher*: without a P, in `Lists::idle` next to the P that it released. It gets that P back,
//!   either handed over or because a timer is due.
//! * *Spare*: without a P, in `Lists::spare`. It can be handed any P.
//! * *Poller*: a watcher or spare M that polls in its sleep, found by its [`M::bell`]. It continues
//!   like any watcher or spare M, or polls something and takes a P.
//! * *Locked*: without a P, found by its [`M::inbox`]; `Sched::blocked_ms` counts it. It is handed
//!   a P for its parked goroutine.
//! * *Pinned*: like running, away or locked; `Lists::pinned` counts it. It becomes *ended* when its
//!   one goroutine ends.
//! * *Out of use*: like locked; `Lists::out_of_use` counts it. It is handed a P for goroutines that
//!   are bound to it.
//! * *Ended*: in `Lists::threadless_ms`. It becomes the M of another thread.
//!
//! ```text
//!   ordered ──┐                 ┌───► away ────► spare
//!             ▼                 │                  ▲
//!   standby ──► running ◄───────┼───► watcher ─────┤  (all of these run again when they get a P)
//!        │                      │     poller       │
//!        │                      └───► locked ──► out of use
//!        └─────► pinned ──► ended
//! ```
//!
//! # Which threads start threads
//! A new thread inherits the following from the thread that starts it, in their current state: the
//! signal mask, the nice value, affinity, capabilities, namespaces and, after `unshare`, the
//! working directory. Goroutines may change these; some lock themselves to a thread in order to do
//! so. So a thread that has run user code never starts the thread of an M. Three other kinds of
//! thread do:
//!
//! * The thread that boots the runtime, which is the first to use it, starts the first M, since
//!   sysmon does not run yet.
//! * An M that is about to run its first goroutine starts another M to stand by
//!   ([`refill_standby`]). Ms are usually needed in a row, and the next one then costs only a
//!   wake-up. The first M does not do so, since it may remain the only one.
//! * Sysmon starts those that are ordered when none stands by. It was started at boot, and runs no
//!   user code.
//!
//! A thread that orders an M leaves it a P, wakes sysmon and continues. If the system refuses the
//! thread, sysmon puts the P among the idle Ps, which Ms check when they go to sleep.
//!
//! *Rejected:* Cloning from any thread without a locked goroutine, as Go does: a goroutine that has
//! unlocked itself may have left its changes behind. Waiting for sysmon's answer: a thread that
//! orders may hold the lock of a timer heap, which sysmon may want. Ordering Ms without one on
//! standby: on a busy machine a crowd of 200 blocking calls took four times as long to begin, since
//! each had to wait until sysmon got a CPU, and then until the new thread did.
//!
//! # Why threads stay
//! Inside `LocalKey::with`, a goroutine may lend its thread's value to a goroutine of a scope. The
//! borrower has the address on its stack or in the heap, whatever thread it runs on, and no search
//! finds all borrowers. So a thread that has run goroutines never ends; it parks without a timeout.
//! In a measurement with a thousand such threads, each took 13 KiB of the process's memory. Keeping
//! threads also protects children that asked for a signal at their parent's end
//! (`PR_SET_PDEATHSIG`), because for the system their parent is the thread that started them.
//!
//! There are as many threads as were needed at once: a P with work needs one, and so does each
//! goroutine that is away, locked or pinned. `GREENTHREAD_MAXTHREADS` limits their number, and
//! `Stats::peak_threads` reports the largest number so far. Existing threads are reused before
//! another is started. The thread that parked last is used first, since its memory is most likely
//! in the cache.
//!
//! A watcher whose P is taken for another M becomes spare in its sleep. If it sleeps until a timer
//! of that P, it is woken when all Ps are idle ([`crate::sched::handoff::wake_displaced`]), and not
//! before, since it is usually needed sooner.
//!
//! # Pinned goroutines
//! A pinned goroutine gets a thread that has run no other goroutine, and that ends with it. No
//! goroutine can then have a borrow of the thread's locals, because whatever was lent inside a
//! `with` is returned before the goroutine ends. The M that finds such a goroutine in a queue gives
//! it to the M on standby, or leaves it to sysmon ([`order_pinned`]), and continues. From then on
//! the goroutine is bound to its M ([`crate::sched::affinity::delivery`]). That M takes an idle P,
//! or queues the goroutine to be delivered with one.
//!
//! # Out of use
//! A goroutine may end while it is locked, if its guard was forgotten. Whatever it has changed
//! stays with its thread, which must not end. So the M stays locked, but to no goroutine, and runs
//! only goroutines that are bound to it. The migration guard ([`crate::sched::affinity::guard`])
//! sends them there. For everything else another M is started when one is needed.
//!
//! # Running out
//! At the limit, or if the system refuses threads, goroutines wait until a thread becomes free,
//! after one warning. If none can become free, the process reports this and ends
//! ([`crate::diag::exhaustion`]).

use std::io;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::diag::fatal;
use crate::gmp::scheduler::{Lists, Refusal, sched};
use crate::gmp::{GRef, M, P};
use crate::time::clock;

/// The stack of an M's thread. It runs only the scheduler's code: goroutines have their own stacks.
const M_STACK: usize = 512 << 10;

/// How long sysmon waits before it tries again to start the thread of a pinned goroutine.
const RETRY_NS: u64 = 10_000_000;

/// How long sysmon keeps trying before this counts as a shortage.
const PATIENCE_NS: u64 = 1_000_000_000;

/// Starts an M that has run nothing, or orders one, for `p`, to run `first` before other
/// goroutines.
///
/// Returns `false`, with a warning the first time, if there may be no more Ms. The caller then
/// still owns `p`.
#[must_use]
pub(crate) fn order(mut lists: MutexGuard<'_, Lists>, p: &'static P, search: bool, first: Option<GRef>) -> bool {
    let give = |m: &'static M| {
        // The M does not sleep for its inbox, and gets its P here.
        let _ = first.is_some_and(|g| m.inbox.deliver(g));
        m.hand_p(p, search);
    };
    if let Some(m) = lists.standby.take() {
        drop(lists);
        give(m);
        return true;
    }
    if lists.threads >= sched().max_threads {
        lists.thread_wanted = true;
        drop(lists);
        warn_of_limit();
        return false;
    }
    let m = lists.new_m();
    give(m);
    lists.orders.push(m);
    drop(lists);
    wake_starter();
    true
}

/// Starts an M that has run nothing, or orders one, for the pinned goroutine `g`.
///
/// The caller owns `g`, which has not begun.
#[cold]
pub(crate) fn order_pinned(g: GRef) {
    let mut lists = sched().lists();
    if let Some(m) = lists.standby.take() {
        return lists.pin(m, g);
    }
    lists.pinned_waiting.push_back(g);
    lists.thread_wanted = true;
    drop(lists);
    wake_starter();
}

/// Returns `true` if sysmon runs.
///
/// The system may have refused a thread for sysmon.
pub(crate) fn has_starter() -> bool {
    sched().sysmon.runs.load(Ordering::Relaxed)
}

fn wake_starter() {
    let sysmon = &sched().sysmon;
    if has_starter() {
        sysmon.orders.store(true, Ordering::Release);
        return sysmon.wake();
    }
    start_pinned();
    let is_stuck = {
        let lists = sched().lists();
        !lists.pinned_waiting.is_empty() && lists.pinned == 0
    };
    if is_stuck {
        // No other thread would try again.
        fatal::fatal(
            "thread exhaustion: the system refuses a thread for a pinned goroutine; raise the limit of threads (ulimit -u)",
        );
    }
}

/// Starts the threads of the Ms that were ordered, and passes the Ps of those that cannot be
/// started to `failed`.
///
/// Sysmon calls this.
pub(crate) fn start_ordered(failed: impl Fn(&'static P, bool)) {
    let sched = sched();
    let orders = std::mem::take(&mut sched.lists().orders);
    for m in orders {
        let Err(error) = start(m) else { continue };
        let handed = m.take_handed_p();
        m.inbox.take_all().into_iter().for_each(|g| sched.global.push(g));
        let last = {
            let mut lists = sched.lists();
            lists.give_up(m);
            lists.note_refusal(&error);
            lists.thread_wanted = true;
            lists.threads == 0
        };
        if last {
            // No thread will become free: the goroutines would wait forever.
            fatal::fatal(&format!(
                "cannot start a thread to run goroutines on ({error}); raise the limit of threads (ulimit -u)"
            ));
        }
        warn_no_thread(&format!("cannot start another thread ({error})"));
        if let Some((p, search)) = handed {
            failed(p, search);
        }
    }
}

/// Starts an M to stand by, since the calling M is about to run its first goroutine and Ms are
/// usually needed in a row.
///
/// The first M does not do so, since it may remain the only one.
pub(crate) fn refill_standby() {
    let sched = sched();
    let lists = sched.lists();
    let has_one = lists.standby.is_some() || lists.refilling;
    // If threads are short, they are reserved for the Ms that are needed now.
    if !has_one && lists.refusal.is_none() && (2..sched.max_threads).contains(&lists.threads) {
        start_standby(lists);
    }
}

/// Starts an M that waits until it is needed, if the system allows it.
fn start_standby(mut lists: MutexGuard<'_, Lists>) {
    let m = lists.new_m();
    lists.refilling = true;
    lists.thread_wanted = false;
    drop(lists);
    let started = start(m).is_ok();
    let mut lists = sched().lists();
    lists.refilling = false;
    if started {
        lists.standby = Some(m);
    } else {
        lists.give_up(m);
    }
    let missed = lists.thread_wanted;
    drop(lists);
    if missed {
        wake_starter();
    }
}

/// Starts as many threads as allowed for the pinned goroutines that wait for one.
///
/// Returns when to try again, if the system has refused. Sysmon calls this.
pub(crate) fn start_pinned() -> Option<u64> {
    let sched = sched();
    loop {
        let mut lists = sched.lists();
        let retry_at = lists.refusal.as_ref().map_or(0, |refusal| refusal.last + RETRY_NS);
        if lists.pinned_waiting.is_empty() {
            return None;
        }
        if let Some(m) = lists.standby.take() {
            let g = lists.pinned_waiting.pop_front()?;
            lists.pin(m, g);
            continue;
        }
        if lists.threads >= sched.max_threads {
            // When a thread ends, sysmon is called again.
            drop(lists);
            warn_of_limit();
            return None;
        }
        if retry_at > clock::now() {
            return Some(retry_at);
        }
        let g = lists.pinned_waiting.pop_front()?;
        let m = lists.new_m();
        lists.pin(m, g);
        drop(lists);
        if let Err(error) = start(m) {
            let mut lists = sched.lists();
            m.set_pinned_g(None);
            lists.pinned -= 1;
            lists.give_up(m);
            lists.note_refusal(&error);
            lists.pinned_waiting.push_front(g);
            drop(lists);
            warn_no_thread(&format!("cannot start another thread ({error})"));
        }
    }
}

/// Starts the thread of `m`.
fn start(m: &'static M) -> io::Result<()> {
    let worker = sched().worker;
    let life = move || {
        let _abort = fatal::AbortOnPanic;
        worker(m);
    };
    thread::Builder::new().name(format!("greenthread-m{}", m.id)).stack_size(M_STACK).spawn(life)?;
    // A refusal counts only until a thread has been started again.
    sched().lists().refusal = None;
    Ok(())
}

/// Notes that a goroutine has ended while it was locked to `m`, the calling M.
///
/// From now on only goroutines that are bound to `m` run there.
#[cold]
pub(crate) fn end_locked(m: &'static M) {
    m.locked_g_ended.set(true);
    if m.pinned_g().is_none() {
        sched().lists().out_of_use += 1;
    }
}

/// Retires the calling M: its pinned goroutine has ended, its P is gone, and its thread is about to
/// end.
///
/// From here on the M may belong to another thread.
pub(crate) fn end_pinned(m: &'static M) {
    m.locked_gs.set(0);
    m.locked_g_ended.set(false);
    m.set_pinned_g(None);
    let mut lists = sched().lists();
    lists.pinned -= 1;
    lists.give_up(m);
    let waits = !lists.pinned_waiting.is_empty();
    drop(lists);
    if waits {
        wake_starter();
    }
}

fn warn_of_limit() {
    warn_no_thread(&format!("the limit of {} threads is reached (GREENTHREAD_MAXTHREADS)", sched().max_threads));
}

fn warn_no_thread(why: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        fatal::warn(&format!("{why}; goroutines wait until a thread becomes free"));
    }
}

impl Lists {
    /// Returns an M that is to have a thread.
    fn new_m(&mut self) -> &'static M {
        self.threads += 1;
        self.peak = self.peak.max(self.threads);
        self.threadless_ms.pop().unwrap_or_else(|| {
            let m: &'static M = Box::leak(Box::new(M::new(self.all_ms.len() as u32)));
            self.all_ms.push(m);
            m
        })
    }

    /// Gives `m`, which has run nothing, to a pinned goroutine.
    fn pin(&mut self, m: &'static M, g: GRef) {
        self.pinned += 1;
        m.set_pinned_g(Some(g));
        m.wake();
    }

    /// Notes that `m` no longer has a thread, or got none.
    fn give_up(&mut self, m: &'static M) {
        self.threads -= 1;
        self.threadless_ms.push(m);
    }

    /// Returns the reason why there may be no more threads, if that is so: the limit is reached, or
    /// the system has refused for a long time.
    pub(crate) fn shortage(&self) -> Option<String> {
        let most = sched().max_threads;
        if self.threads >= most {
            return Some(format!("the limit of {most} is reached (GREENTHREAD_MAXTHREADS)"));
        }
        let refusal = self.refusal.as_ref().filter(|refusal| clock::now() - refusal.since >= PATIENCE_NS);
        refusal.map(|refusal| format!("the system refuses to start more ({})", refusal.error))
    }

    fn note_refusal(&mut self, error: &io::Error) {
        let now = clock::now();
        let since = self.refusal.as_ref().map_or(now, |before| before.since);
        self.refusal = Some(Refusal { since, last: now, error: error.to_string() });
    }
}
