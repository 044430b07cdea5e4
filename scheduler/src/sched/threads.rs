//! The life of an M and its thread: who starts it, what it may run, and when it ends.
//!
//! # States
//! An M that has a thread, or is to have one, is in one of these states:
//!
//! | state | P | where it is found | what comes next |
//! | --- | --- | --- | --- |
//! | *ordered* | in hand | `Lists::orders` | the monitor starts its thread: running |
//! | *standby* | none | `Lists::standby` | it is handed its first P: running; or a pinned goroutine: pinned |
//! | *running* | its own | [`P::m`] | it looks for goroutines and runs them |
//! | *away* | none | `Lists::threads` counts it | its goroutine is in a long call or loop; back from there it takes a P or queues |
//! | *watcher* | none | `Lists::idle`, beside the P that it gave up | it gets that P back, handed or for a timer |
//! | *spare* | none | `Lists::spare` | it is handed any P |
//! | *poller* | none | as a watcher or spare M, and by its [`M::bell`] | as these, or it polls something, and takes a P |
//! | *locked* | none | its [`M::inbox`]; `Sched::blocked_ms` counts it | it is handed a P for its goroutine, which is parked |
//! | *pinned* | as if running, away, or locked | as these; `Lists::pinned` counts it | its one goroutine ends: ended |
//! | *out of use* | none | as if locked; `Lists::out_of_use` counts it | it is handed a P for what must run on its thread |
//! | *ended* | none | `Lists::threadless_ms` | it is the M of another thread |
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
//! # Who starts threads
//! A new thread inherits what its starter's thread has at that moment: the signal mask, the nice
//! value, affinity, capabilities, namespaces and, after `unshare`, the working directory.
//! Goroutines may change these; some lock themselves to a thread in order to do so. So a thread
//! that has run user code never starts the thread of an M. Three others do:
//!
//! * the thread that boots, which is the first that uses the runtime, starts the first M: there is
//!   no monitor yet;
//! * an M that is about to run its first goroutine starts one to stand by ([`refill_standby`]). Ms
//!   are needed in a row, mostly: the next one then takes a wake-up, and no more. The first M does
//!   not, since it may stay the only one;
//! * the monitor starts those that are ordered when none stands by. It was started at boot, and
//!   runs no user code.
//!
//! Whoever orders an M leaves it a P, wakes the monitor and goes on. If the system refuses the
//! thread, the monitor puts the P where Ms that come to rest look after it.
//!
//! *Rejected:* cloning from any thread without a locked goroutine, as Go does: one that was
//! unlocked may have left its changes behind. Waiting for the monitor's answer: who orders may hold
//! the lock of a timer heap, which the monitor may want. Orders without a standby: a crowd of 200
//! blocking calls took four times as long to begin on a busy machine, since each had to wait until
//! the monitor got a CPU, and then until the new thread did.
//!
//! # Why threads stay
//! From inside of `LocalKey::with`, a goroutine may lend its thread's value to a goroutine of a
//! scope. The borrower has the address on its stack, or in the heap, on whatever thread it runs,
//! and no search finds all borrowers. So a thread that has run goroutines never ends: it parks,
//! without a timeout. Of a thousand such threads each took 13 KiB of the process's memory. It also
//! spares children that asked for a signal at their parent's end (`PR_SET_PDEATHSIG`): the system
//! means the thread that started them.
//!
//! There are as many as were needed at once: a P with work needs one, and so does each goroutine
//! that is away, locked or pinned. `GREENTHREAD_MAXTHREADS` limits them, and `Stats::peak_threads`
//! tells the most. They are used again before another is started, the one that parked last first:
//! its memory is most likely in the cache.
//!
//! A watcher whose P is taken for another M becomes spare in its sleep. If it sleeps until a timer
//! of that P, it is told when all Ps are idle ([`crate::sched::handoff::wake_displaced`]), and not
//! before: mostly it is needed sooner.
//!
//! # Pinned goroutines
//! A pinned goroutine gets a thread that has run no other, and that ends with it. Nobody can have a
//! borrow of the thread's locals then: what was lent from inside of a `with` is given back before
//! the goroutine ends. The M that finds such a goroutine in a queue gives it to the M on standby,
//! or leaves it with the monitor ([`order_pinned`]), and goes on. The goroutine belongs to its M
//! from then on ([`crate::sched::affinity::delivery`]), which takes an idle P, or queues it to be
//! brought home with one.
//!
//! # Out of use
//! A goroutine may end while it is locked, if its guard was forgotten. Whatever it has changed
//! stays with its thread, which must not end. So the M stays locked, to nobody, and no goroutine
//! runs there any more but those that must: the migration guard ([`crate::sched::affinity::guard`])
//! sends them. For everything else another M is started when one is needed.
//!
//! # Running out
//! At the limit, or if the system refuses threads, goroutines wait until a thread comes free, after
//! one warning. If none can come free, the process says so and ends ([`crate::diag::exhaustion`]).

use std::io;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::diag::fatal;
use crate::gmp::scheduler::{Lists, Refusal, sched};
use crate::gmp::{GRef, M, P};
use crate::time::clock;

/// Scheduler threads run only our own code, besides goroutines, which have their own stacks.
const M_STACK: usize = 512 << 10;

/// How long the monitor waits before it tries again to start the thread of a pinned goroutine.
const RETRY: u64 = 10_000_000;

/// For how long it tries.
const PATIENCE: u64 = 1_000_000_000;

/// Has an M begin that has run nothing, or orders one, for `p`, and to run `first` before others.
/// False, with a warning the first time, if there may be no more; `p` is then still the caller's.
#[must_use]
pub(crate) fn order(mut lists: MutexGuard<'_, Lists>, p: &'static P, search: bool, first: Option<GRef>) -> bool {
    let give = |m: &'static M| {
        // It does not sleep for its inbox, and gets its P here.
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
    call_starter();
    true
}

/// Has an M begin that has run nothing, or orders one, for the pinned goroutine `g`, which has not
/// begun and is the caller's.
#[cold]
pub(crate) fn order_pinned(g: GRef) {
    let mut lists = sched().lists();
    if let Some(m) = lists.standby.take() {
        return lists.pin(m, g);
    }
    lists.pinned_waiting.push_back(g);
    lists.thread_wanted = true;
    drop(lists);
    call_starter();
}

/// Whether there is a monitor. The system may have given no thread for it.
pub(crate) fn has_starter() -> bool {
    sched().sysmon.runs.load(Ordering::Relaxed)
}

fn call_starter() {
    let monitor = &sched().sysmon;
    if has_starter() {
        monitor.orders.store(true, Ordering::Release);
        return monitor.wake();
    }
    start_pinned();
    let is_stuck = {
        let lists = sched().lists();
        !lists.pinned_waiting.is_empty() && lists.pinned == 0
    };
    if is_stuck {
        // There is nothing that would try again.
        fatal::fatal("thread exhaustion: the system gives no thread for a pinned goroutine");
    }
}

/// Starts the threads of the Ms that were ordered; hands those that cannot be started back. For the
/// monitor.
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
            // None will come free: the goroutines would wait for ever.
            fatal::fatal(&format!("the system gives no thread to run goroutines on: {error}"));
        }
        warn_no_thread(&format!("the system gives no thread: {error}"));
        if let Some((p, search)) = handed {
            failed(p, search);
        }
    }
}

/// The calling M is about to run its first goroutine, so that another is started to stand by: the
/// next ones are needed in a row, mostly. Not for the first M, which may stay the only one.
pub(crate) fn refill_standby() {
    let sched = sched();
    let lists = sched.lists();
    let has_one = lists.standby.is_some() || lists.refilling;
    // Where threads are short, they are for those that are needed now.
    if !has_one && lists.refusal.is_none() && (2..sched.max_threads).contains(&lists.threads) {
        start_standby(lists);
    }
}

/// Starts an M that waits until it is needed, if the system allows.
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
        call_starter();
    }
}

/// Starts threads for the pinned goroutines that wait for one, as many as may be. When to try
/// again, if the system has refused. For the monitor.
pub(crate) fn start_pinned() -> Option<u64> {
    let sched = sched();
    loop {
        let mut lists = sched.lists();
        let retry_at = lists.refusal.as_ref().map_or(0, |refusal| refusal.last + RETRY);
        if lists.pinned_waiting.is_empty() {
            return None;
        }
        if let Some(m) = lists.standby.take() {
            let g = lists.pinned_waiting.pop_front()?;
            lists.pin(m, g);
            continue;
        }
        if lists.threads >= sched.max_threads {
            // When one ends, the monitor is called again.
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
            warn_no_thread(&format!("the system gives no thread: {error}"));
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
    // A refusal is over when a thread has been started since.
    sched().lists().refusal = None;
    Ok(())
}

/// A goroutine has ended while it was locked to `m`, the calling M: no other goroutine runs there
/// that need not.
#[cold]
pub(crate) fn end_locked(m: &'static M) {
    m.locked_g_ended.set(true);
    if m.pinned_g().is_none() {
        sched().lists().out_of_use += 1;
    }
}

/// The calling M's pinned goroutine has ended, and its P is gone: its thread is about to end. The M
/// is another thread's from here on.
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
        call_starter();
    }
}

fn warn_of_limit() {
    warn_no_thread(&format!("the limit of {} threads is reached (GREENTHREAD_MAXTHREADS)", sched().max_threads));
}

fn warn_no_thread(why: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        fatal::warn(&format!("{why}; goroutines wait until one comes free"));
    }
}

impl Lists {
    /// An M that is to have a thread.
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

    /// `m` has no thread any more, or got none.
    fn give_up(&mut self, m: &'static M) {
        self.threads -= 1;
        self.threadless_ms.push(m);
    }

    /// Why there may be no more threads, if that is so: at the limit, or after the system has
    /// refused for long.
    pub(crate) fn shortage(&self) -> Option<String> {
        let most = sched().max_threads;
        if self.threads >= most {
            return Some(format!("the limit of {most} is reached (GREENTHREAD_MAXTHREADS)"));
        }
        let refusal = self.refusal.as_ref().filter(|refusal| clock::now() - refusal.since >= PATIENCE);
        refusal.map(|refusal| format!("the system gives no more ({})", refusal.error))
    }

    fn note_refusal(&mut self, error: &io::Error) {
        let now = clock::now();
        let since = self.refusal.as_ref().map_or(now, |before| before.since);
        self.refusal = Some(Refusal { since, last: now, error: error.to_string() });
    }
}
