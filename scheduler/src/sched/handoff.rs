//! Hand-off: which M gets which P. [`crate::sched::threads`] describes how Ms are created.
//!
//! This module contains every way in which a P changes hands:
//!
//! * From the idle list:
//!   * to a searching M, after a push ([`crate::protocol::idle`]): [`Scheduler::start_searcher`];
//!   * to a new M, which will poll, if no M is idle: [`ensure_poller`];
//!   * to an M that was away for a long time or in `blocking`: [`acquire_p`].
//! * From an M with nothing to do, to the idle list: [`give_up_p`], then [`reclaim_p`] if work
//!   arrived in between.
//! * From an M that blocks, or whose P was retaken ([`retake`], [`lend`]), to another M or to the
//!   idle list: [`hand_off`].
//! * From the M that borrowed it to the M that it was taken from: [`give_back`].
//! * From the table to nowhere, when GOMAXPROCS shrinks: [`retire_p`].

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use crate::gmp::scheduler::{IdleP, Lists, Sched, sched};
use crate::gmp::{GRef, Inside, M, P};
use crate::machine::stack;
use crate::netpoll::ROLE;
use crate::protocol::idle::Scheduler;
use crate::sched::entry;
use crate::sched::threads;

impl Scheduler for &'static Sched {
    fn work_waits(&self) -> bool {
        !self.global.is_empty() || self.ps().any(P::wants_thief)
    }

    fn start_searcher(&self) -> bool {
        let IdleP { p, watcher } = {
            let mut lists = self.lists();
            // A P whose watcher already has a thread is better than a P that needs one.
            let watched = lists.idle.iter().rposition(|idle| idle.watcher.is_some());
            let Some(at) = watched.or(lists.idle.len().checked_sub(1)) else { return false };
            self.idle.p_taken();
            lists.idle.remove(at)
        };
        self.wake_sysmon();
        match watcher {
            Some(m) => m.hand_p(p, true),
            None if start_m(p, true) => {}
            None => idle_without_m(p, true),
        }
        true
    }
}

/// Starts the threads of the Ms that were ordered.
///
/// Sysmon calls this. If sysmon does not run, the thread that ordered an M does.
pub(crate) fn start_ordered() {
    threads::start_ordered(idle_without_m);
    let sched = sched();
    // If no thread was found a moment ago, one may be available now.
    let has_thread = sched.lists().standby.is_some();
    if has_thread && (&sched).work_waits() {
        sched.idle.wake_one(&sched);
    }
}

/// Tries to start an M on an idle P. For sysmon.
pub(crate) fn start_one() {
    let taken = pop_idle(&mut sched().lists());
    let Some(p) = taken else { return };
    if !start_m(p, false) {
        idle_without_m(p, false);
    }
    start_ordered();
}

/// Gives `p` to an M without a P: a spare M, or a newly ordered one.
///
/// Returns `false` if there may be no more Ms. The caller then still owns `p`.
#[must_use]
pub(crate) fn start_m(p: &'static P, search: bool) -> bool {
    let mut lists = sched().lists();
    match lists.spare.pop() {
        Some(m) => {
            drop(lists);
            m.hand_p(p, search);
            true
        }
        None => order(lists, p, search, None),
    }
}

/// Gives `p` to an M that has run nothing yet, to run `first` there.
///
/// Returns `false` if there is no such M, as [`start_m`] does.
#[must_use]
pub(crate) fn start_fresh(p: &'static P, first: GRef) -> bool {
    order(sched().lists(), p, false, Some(first))
}

fn order(lists: MutexGuard<'_, Lists>, p: &'static P, search: bool, first: Option<GRef>) -> bool {
    let ordered = threads::order(lists, p, search, first);
    if ordered && !threads::has_starter() {
        start_ordered();
    }
    ordered
}

/// Puts `p`, for which no thread is free, among the idle Ps.
///
/// There `p` waits, with its goroutines, until an M goes to sleep and finds it.
pub(crate) fn idle_without_m(p: &'static P, search: bool) {
    let sched = sched();
    if search {
        sched.idle.abandon_search();
    }
    expose_runnext(p);
    let mut lists = sched.lists();
    if p.is_retired() {
        drop(lists);
        return retire_p(p);
    }
    let rested = lists.spare.pop().or_else(|| lists.standby.take());
    if let Some(m) = rested {
        // The M has gone to sleep since then.
        drop(lists);
        return m.hand_p(p, false);
    }
    let sleeper = lists.idle.iter().find_map(|idle| idle.watcher);
    put_idle(&mut lists, p, None);
    let Some(m) = sleeper else { return };
    // The M also watches the timers of this P, and polls.
    m.wake();
    drop(lists);
    if (&sched).work_waits() {
        sched.idle.wake_one(&sched);
    }
}

/// Makes all goroutines of `p` visible to searchers, which do not take from the runnext slot of an
/// idle P.
///
/// Only the caller has the P.
fn expose_runnext(p: &'static P) {
    if let Some(g) = p.runnext().take() {
        // SAFETY: only the caller has the P, so this thread stands for an M that has it (I1 of
        // `gmp::inside`).
        unsafe { Inside::new(p) }.push(g);
    }
}

/// Moves a watcher whose P was taken to the spare Ms.
///
/// The watcher is not woken before [`wake_displaced`].
pub(crate) fn spare_watcher(lists: &mut Lists, watcher: Option<&'static M>) {
    lists.spare.extend(watcher);
}

/// Takes an idle P for an M that does not watch one, preferably a P without a watcher.
pub(crate) fn pop_idle(lists: &mut Lists) -> Option<&'static P> {
    let unwatched = lists.idle.iter().rposition(|idle| idle.watcher.is_none());
    let IdleP { p, watcher } = match unwatched {
        Some(at) => lists.idle.remove(at),
        None => lists.idle.pop()?,
    };
    spare_watcher(lists, watcher);
    sched().idle.p_taken();
    Some(p)
}

/// Wakes the spare Ms that sleep with a timeout for the timers of a P that they no longer watch, so
/// that they sleep without a timeout.
///
/// Sysmon calls this when all Ps are idle.
pub(crate) fn wake_displaced() {
    let lists = sched().lists();
    if lists.idle.iter().any(|idle| idle.watcher.is_none() && idle.p.timers.any()) {
        // These Ms watch that P.
        return;
    }
    lists.spare.iter().filter(|m| m.sleeps_until.load(Ordering::Relaxed) != u64::MAX).for_each(|m| m.wake());
}

/// Returns the free stacks of all idle Ps to the pool.
pub(crate) fn flush_idle_stacks() {
    let lists = sched().lists();
    for idle in &lists.idle {
        // SAFETY: an idle P belongs to the thread that holds the lock of the lists, which stands
        // for an M that has it (I1 of `gmp::inside`).
        unsafe { Inside::new(idle.p) }.owned_mut().stacks.flush();
    }
}

/// Puts `p`, which the caller has, among the idle Ps.
pub(crate) fn put_idle(lists: &mut Lists, p: &'static P, watcher: Option<&'static M>) {
    if stack::demand() > 0 {
        // SAFETY: only the caller has the P, so this thread stands for an M that has it (I1 of
        // `gmp::inside`).
        unsafe { Inside::new(p) }.owned_mut().stacks.flush();
    }
    lists.idle.push(IdleP { p, watcher });
    sched().idle.p_idle();
}

/// Puts the P of the calling M among the idle Ps, with the M as its watcher. The caller follows
/// with [`reclaim_p`] if `IdleWord::go_idle` says so.
pub(crate) fn give_up_p(m: &'static M, p: Inside<'_>) {
    m.lease.release();
    let p = p.into_p();
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

/// Takes an idle P for the calling M, which stands in a list: the P that it watches, or any P if it
/// watches none.
///
/// Returns `None` if another thread is currently handing the M a P, or if none is idle.
pub(crate) fn reclaim_p(m: &'static M) -> Option<&'static P> {
    let sched = sched();
    let mut lists = sched.lists();
    let p = if let Some(own) = lists.idle.iter().position(|i| i.watcher.is_some_and(|w| w.id == m.id)) {
        lists.idle.remove(own).p
    } else {
        let spare = lists.spare.iter().rposition(|s| s.id == m.id)?;
        let p = pop_idle(&mut lists)?;
        lists.spare.remove(spare);
        drop(lists);
        sched.wake_sysmon();
        return Some(p);
    };
    sched.idle.p_taken();
    drop(lists);
    sched.wake_sysmon();
    Some(p)
}

/// Takes an idle P, if there is one, for the calling M, which runs a goroutine and stands in no
/// list.
pub(crate) fn acquire_p() -> Option<&'static P> {
    let sched = sched();
    if sched.idle.counts().0 == 0 {
        return None;
    }
    let mut lists = sched.lists();
    let p = pop_idle(&mut lists)?;
    drop(lists);
    sched.wake_sysmon();
    Some(p)
}

/// Retakes the P of `m` and passes it on, if `m` has one, is not in the scheduler, and `agrees`
/// accepts the P.
///
/// Returns `true` if it was passed on.
pub(crate) fn retake(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    take_p(m, agrees).map(hand_off).is_some()
}

/// Retakes the P of `m` for a while, under the conditions of [`retake`].
///
/// The M that gets the P returns it ([`give_back`]) when it has run the waiting goroutines.
pub(crate) fn lend(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    let taken = take_p(m, agrees);
    taken
        .map(|p| {
            // SAFETY: the P has just been taken, so this thread stands for an M that has it (I1 of
            // `gmp::inside`).
            unsafe { Inside::new(p) }.set_lender(m);
            hand_off(p);
        })
        .is_some()
}

fn take_p(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> Option<&'static P> {
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

/// Returns the P of the calling M to the M from which it was taken, if that M still runs the same
/// goroutine.
///
/// Returns `true` if the P was returned. Otherwise the calling M owns the P from now on.
pub(crate) fn give_back(m: &'static M, p: Inside<'_>) -> bool {
    let Some(lender) = p.take_lender() else { return false };
    let p = entry::give_up(m, p);
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

/// Passes on a P whose M blocks, or was found not to need it.
///
/// Only the caller has the P.
pub(crate) fn hand_off(p: &'static P) {
    let sched = sched();
    if p.is_retired() {
        return retire_p(p);
    }
    // Timers of the P need an M that watches them, and work needs an M at once (R8 of the wake
    // policy).
    if (p.has_work() || !sched.global.is_empty() || p.timers.any()) && start_m(p, false) {
        return;
    }
    expose_runnext(p);
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
    // A timer may have been added before the P was idle, when `wake_watcher_of` found nothing to
    // do.
    if p.timers.any() {
        wake_watcher_of(p);
    }
    ensure_poller();
}

/// Empties a P that GOMAXPROCS has taken out of use.
///
/// Only the caller has the P.
pub(crate) fn retire_p(p: &'static P) {
    let sched = sched();
    // SAFETY: only the caller has the P, so this thread stands for an M that has it (I1 of
    // `gmp::inside`).
    let mut inside = unsafe { Inside::new(p) };
    inside.take_lender();
    while let Some(g) = inside.runnext().take().or_else(|| inside.pop()) {
        sched.global.push(g);
    }
    inside.owned_mut().stacks.flush();
    let first = sched.first_p();
    if p.timers.move_to(&first.timers) {
        wake_watcher_of(first);
    }
    let mut lists = sched.lists();
    if p.is_retired() {
        lists.retired_ps.push(p);
    } else {
        // GOMAXPROCS has grown again since then.
        put_idle(&mut lists, p, None);
    }
    drop(lists);
    sched.idle.wake_one(&sched);
}

/// Wakes the watcher of `p`, if the P is idle and another thread has added a timer to it.
///
/// The watcher must then check the clock again.
pub(crate) fn wake_watcher_of(p: &'static P) {
    let sched = sched();
    let mut lists = sched.lists();
    let Some(at) = lists.idle.iter().position(|i| i.p.id == p.id) else { return };
    match lists.idle[at].watcher {
        Some(m) => m.wake(),
        None => {
            lists.idle.remove(at);
            sched.idle.p_taken();
            drop(lists);
            sched.wake_sysmon();
            if !start_m(p, false) {
                idle_without_m(p, false);
            }
        }
    }
}

/// Makes an M poll if a goroutine or thread waits for I/O and no M polls.
///
/// That M either sleeps already or is started for this purpose.
///
/// This is for callers that do not cause an M to go to sleep in the worker's loop: foreign threads
/// that wait, Ms that block elsewhere, and threads that make a P idle for another thread.
pub(crate) fn ensure_poller() {
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
    // If no M is idle, a new M gets the P. It finds nothing to run and goes to sleep.
    let Some(IdleP { p, .. }) = lists.idle.pop() else { return };
    sched.idle.p_taken();
    drop(lists);
    sched.wake_sysmon();
    if !start_m(p, false) {
        idle_without_m(p, false);
    }
}
