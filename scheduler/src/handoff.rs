//! Which M gets which P: starting Ms, giving Ps up, getting one back.
//!
//! Every path by which a P changes hands is here:
//!
//! | from | to | by |
//! | --- | --- | --- |
//! | idle list | a searching M | [`Scheduler::start_searcher`], after a push ([`crate::protocol::idle`]) |
//! | idle list | a new M, which will poll | [`call_poller`], if no M rests |
//! | idle list | the M that needs one | [`acquire_p`], after it was away for long or in `blocking` |
//! | an M with nothing to do | idle list | [`give_up_p`], then [`reclaim_p`] if work came in between |
//! | an M that blocks, or was retaken ([`retake`], [`lend`]) | another M, or the idle list | [`hand_off`] |
//! | the M that borrowed it | the M that it was taken from | [`give_back`] |
//! | the table | nowhere | [`retire_p`], when GOMAXPROCS shrinks |

use std::sync::atomic::{AtomicBool, Ordering};

use crate::fatal;
use crate::gmp::{GRef, M, P};
use crate::netpoll::ROLE;
use crate::protocol::idle::Scheduler;
use crate::sched::{IdleP, Lists, Sched, sched};

/// Scheduler threads run only our own code, besides goroutines, which have their own stacks.
const M_STACK: usize = 512 << 10;

impl Scheduler for &'static Sched {
    fn work_waits(&self) -> bool {
        !self.global.is_empty() || self.ps().any(P::wants_thief)
    }

    fn start_searcher(&self) -> bool {
        let IdleP { p, watcher } = {
            let mut lists = self.lists();
            let Some(idle) = lists.idle.pop() else { return false };
            self.idle.p_taken();
            idle
        };
        self.wake_monitor();
        match watcher {
            Some(m) => m.hand(p, true),
            None => {
                if !start_m(p, true) {
                    put_idle(&mut self.lists(), p, None);
                    self.idle.abandon_search();
                    call_poller();
                }
            }
        }
        true
    }
}

/// Starts an M on `p`: a spare one, or a new thread. False, with a warning the first time, if no thread can be had; `p` is
/// then still the caller's. Ends the process if there is no M at all.
#[must_use]
pub(crate) fn start_m(p: &'static P, search: bool) -> bool {
    let spare = sched().lists().spare.pop();
    match spare {
        Some(m) => {
            m.hand(p, search);
            true
        }
        None => start_thread(p, search, None),
    }
}

/// Starts a new thread on `p`, to run `first` there. As [`start_m`].
#[must_use]
pub(crate) fn start_thread(p: &'static P, search: bool, first: Option<GRef>) -> bool {
    let sched = sched();
    let m = {
        let mut lists = sched.lists();
        if lists.threads >= sched.max_threads {
            drop(lists);
            warn_no_thread(&format!("the limit of {} threads is reached (GREENTHREAD_MAXTHREADS)", sched.max_threads));
            return false;
        }
        lists.threads += 1;
        lists.retired.pop().unwrap_or_else(|| {
            let m: &'static M = Box::leak(Box::new(M::new(lists.all_ms.len() as u32)));
            lists.all_ms.push(m);
            m
        })
    };
    // The M is not asleep, and gets its P below.
    let _ = first.is_some_and(|g| m.inbox.leave(g));
    m.hand(p, search);
    let thread = std::thread::Builder::new().name(format!("greenthread-m{}", m.id)).stack_size(M_STACK);
    let life = move || {
        let _abort = fatal::AbortOnPanic;
        (sched.worker)(m);
    };
    match thread.spawn(life) {
        Ok(_) => true,
        Err(error) => {
            let _ = m.take_handed();
            // What it was to run first stays the caller's.
            m.inbox.take_all();
            let mut lists = sched.lists();
            lists.threads -= 1;
            lists.retired.push(m);
            let last = lists.threads == 0;
            drop(lists);
            if last {
                // None will come free: the goroutines would wait for ever.
                fatal::fatal(&format!("the system gives no thread to run goroutines on: {error}"));
            }
            warn_no_thread(&format!("the system gives no thread: {error}"));
            false
        }
    }
}

fn warn_no_thread(why: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        fatal::warn(&format!("{why}; goroutines wait until one comes free"));
    }
}

/// Puts `p` among the idle ones.
pub(crate) fn put_idle(lists: &mut Lists, p: &'static P, watcher: Option<&'static M>) {
    lists.idle.push(IdleP { p, watcher });
    sched().idle.p_idle();
}

/// The calling M gives its P up, to watch it asleep. Follow with [`reclaim_p`] if `IdleWord::go_idle` says so.
pub(crate) fn give_up_p(m: &'static M, p: &'static P) {
    let mut lists = sched().lists();
    m.set_p(None);
    if p.is_retired() {
        lists.spare.push(m);
        drop(lists);
        retire_p(p);
    } else {
        put_idle(&mut lists, p, Some(m));
    }
}

/// The calling M, which stands in a list without a P, takes an idle one: the one that it watches, or any if it
/// watches none. `None` if somebody is handing it one, or none is idle.
pub(crate) fn reclaim_p(m: &'static M) -> Option<&'static P> {
    let sched = sched();
    let mut lists = sched.lists();
    let p = if let Some(own) = lists.idle.iter().position(|i| i.watcher.is_some_and(|w| w.id == m.id)) {
        lists.idle.remove(own).p
    } else {
        let spare = lists.spare.iter().position(|s| s.id == m.id)?;
        let IdleP { p, watcher } = lists.idle.pop()?;
        lists.spare.swap_remove(spare);
        lists.spare.extend(watcher);
        p
    };
    sched.idle.p_taken();
    drop(lists);
    sched.wake_monitor();
    Some(p)
}

/// The calling M, which runs a goroutine and stands in no list, takes an idle P if there is one.
pub(crate) fn acquire_p() -> Option<&'static P> {
    let sched = sched();
    if sched.idle.counts().0 == 0 {
        return None;
    }
    let mut lists = sched.lists();
    let IdleP { p, watcher } = lists.idle.pop()?;
    lists.spare.extend(watcher);
    sched.idle.p_taken();
    drop(lists);
    sched.wake_monitor();
    Some(p)
}

/// Takes the P from `m` and passes it on, if `m` has one, is not in the scheduler, and `agrees` says so of the P. True if it did.
pub(crate) fn retake(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    take(m, agrees).map(hand_off).is_some()
}

/// As [`retake`], for a while: whoever gets the P gives it back ([`give_back`]) when it has run what waits.
pub(crate) fn lend(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    let taken = take(m, agrees);
    taken
        .map(|p| {
            // SAFETY: it has just been taken, so nobody else has it.
            unsafe { p.set_lender(m) };
            hand_off(p);
        })
        .is_some()
}

fn take(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> Option<&'static P> {
    let mut taken = None;
    m.lease.try_take(|| {
        taken = m.p().filter(|p| agrees(p));
        if taken.is_some() {
            m.set_p(None);
        }
        taken.is_some()
    });
    taken
}

/// The calling M, inside, gives its P back to the M that it was taken from, if that runs the same goroutine still; it
/// then has none (true). Else the P is its own from now on.
pub(crate) fn give_back(m: &'static M, p: &'static P) -> bool {
    let Some(lender) = p.take_lender() else { return false };
    m.lease.release();
    m.set_p(None);
    let record = || {
        lender.set_p(Some(p));
        p.note_returned();
    };
    let returned = lender.lease.give_back(record);
    if !returned {
        m.set_p(Some(p));
        m.lease.renew();
    }
    returned
}

/// Passes on a P whose M blocks, or was found not to need it. Nobody has `p` now but the caller.
pub(crate) fn hand_off(p: &'static P) {
    let sched = sched();
    if p.is_retired() {
        return retire_p(p);
    }
    // Timers need an M that watches them; work needs one at once.
    if (p.has_work() || !sched.global.is_empty() || p.timers.any()) && start_m(p, false) {
        return;
    }
    // Without a thread for it, its work waits where searchers look: they leave the runnext of an idle P alone.
    if let Some(g) = p.runnext().take() {
        // SAFETY: nobody else has the P, says the caller.
        unsafe { p.push(g) };
    }
    {
        let mut lists = sched.lists();
        if p.is_retired() {
            drop(lists);
            return retire_p(p);
        }
        put_idle(&mut lists, p, None);
    }
    if sched.idle.go_idle(false, &sched) && (!sched.start_searcher() && sched.idle.abandon_search()) {
        sched.idle.wake_one(&sched);
    }
    // A timer may have come before it was idle, so that its `poke` found nothing to do.
    if p.timers.any() {
        poke(p);
    }
    call_poller();
}

/// Empties a P that GOMAXPROCS has taken out of use. Nobody has it now but the caller.
pub(crate) fn retire_p(p: &'static P) {
    let sched = sched();
    p.take_lender();
    // SAFETY: nobody else has the P, says the caller: this thread stands for its M, inside.
    unsafe {
        while let Some(g) = p.runnext().take().or_else(|| p.pop()) {
            sched.global.push(g);
        }
        p.own().stacks.flush();
    }
    let heir = sched.first_p();
    if p.timers.move_to(&heir.timers) {
        poke(heir);
    }
    let mut lists = sched.lists();
    if p.is_retired() {
        lists.vacant.push(p);
    } else {
        // GOMAXPROCS has grown again meanwhile.
        put_idle(&mut lists, p, None);
    }
    drop(lists);
    sched.idle.wake_one(&sched);
}

/// A timer was added to a P from elsewhere: if it is idle, its watcher must look at the clock again.
pub(crate) fn poke(p: &'static P) {
    let sched = sched();
    let mut lists = sched.lists();
    let Some(at) = lists.idle.iter().position(|i| i.p.id == p.id) else { return };
    match lists.idle[at].watcher {
        Some(m) => m.wake(),
        None => {
            lists.idle.remove(at);
            sched.idle.p_taken();
            drop(lists);
            sched.wake_monitor();
            if !start_m(p, false) {
                let mut lists = sched.lists();
                put_idle(&mut lists, p, None);
                // Somebody who sleeps beside another P looks after this one too.
                if let Some(m) = lists.idle.iter().find_map(|i| i.watcher).or(lists.spare.last().copied()) {
                    m.wake();
                }
                drop(lists);
                call_poller();
            }
        }
    }
}

/// Has an M poll that sleeps, or that is started for it, if somebody waits for I/O and nobody polls. For those by whom no M
/// goes to rest: foreign threads that wait, Ms that block outside of the worker's loop, and whoever makes a P idle for another.
pub(crate) fn call_poller() {
    if !ROLE.is_wanted() {
        return;
    }
    let sched = sched();
    let mut lists = sched.lists();
    if lists.idle.is_empty() {
        return;
    }
    if let Some(m) = lists.idle.iter().find_map(|i| i.watcher).or(lists.spare.last().copied()) {
        return m.wake();
    }
    // With no M at rest, a new one gets the P: it finds nothing to run, and rests.
    let Some(IdleP { p, .. }) = lists.idle.pop() else { return };
    sched.idle.p_taken();
    drop(lists);
    sched.wake_monitor();
    if !start_m(p, false) {
        put_idle(&mut sched.lists(), p, None);
    }
}
