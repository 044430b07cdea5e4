//! Which M gets which P: handing Ps to Ms, giving Ps up, getting one back. How Ms come to be is
//! told in [`crate::sched::threads`].
//!
//! Every path by which a P changes hands is here:
//!
//! | from | to | by |
//! | --- | --- | --- |
//! | idle list | a searching M | [`Scheduler::start_searcher`], after a push ([`crate::protocol::idle`]) |
//! | idle list | a new M, which will poll | [`ensure_poller`], if no M rests |
//! | idle list | the M that needs one | [`acquire_p`], after it was away for long or in `blocking` |
//! | an M with nothing to do | idle list | [`give_up_p`], then [`reclaim_p`] if work came in between |
//! | an M that blocks, or was retaken ([`retake`], [`lend`]) | another M, or the idle list | [`hand_off`] |
//! | the M that borrowed it | the M that it was taken from | [`give_back`] |
//! | the table | nowhere | [`retire_p`], when GOMAXPROCS shrinks |

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use crate::gmp::scheduler::{IdleP, Lists, Sched, sched};
use crate::gmp::{GRef, Inside, M, P};
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
            // One that needs no thread is better than one that does.
            let watched = lists.idle.iter().rposition(|idle| idle.watcher.is_some());
            let Some(at) = watched.or(lists.idle.len().checked_sub(1)) else { return false };
            self.idle.p_taken();
            lists.idle.remove(at)
        };
        self.wake_sysmon();
        match watcher {
            Some(m) => m.hand_p(p, true),
            None if start_m(p, true) => {}
            None => not_started(p, true),
        }
        true
    }
}

/// Starts the threads of the Ms that were ordered. For the monitor, and where there is none for
/// whoever has ordered one.
pub(crate) fn start_ordered() {
    threads::start_ordered(not_started);
    let sched = sched();
    // What has found no thread a moment ago may have one now.
    let has_thread = sched.lists().standby.is_some();
    if has_thread && (&sched).work_waits() {
        sched.idle.wake_one(&sched);
    }
}

/// Tries to start an M on an idle P, for the monitor.
pub(crate) fn start_one() {
    let taken = pop_idle(&mut sched().lists());
    let Some(p) = taken else { return };
    if !start_m(p, false) {
        not_started(p, false);
    }
    start_ordered();
}

/// Gives `p` to an M without one: a spare one, or one that is ordered. False if there may be no
/// more; `p` is then still the caller's.
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

/// Gives `p` to an M that has run nothing, to run `first` there. As [`start_m`].
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

/// There is no thread for `p`, which is the caller's: it waits, with what it has, until an M comes
/// to rest, which looks after it.
pub(crate) fn not_started(p: &'static P, search: bool) {
    let sched = sched();
    if search {
        sched.idle.abandon_search();
    }
    lay_open(p);
    let mut lists = sched.lists();
    if p.is_retired() {
        drop(lists);
        return retire_p(p);
    }
    let rested = lists.spare.pop().or_else(|| lists.standby.take());
    if let Some(m) = rested {
        // It has come to rest meanwhile.
        drop(lists);
        return m.hand_p(p, false);
    }
    let sleeper = lists.idle.iter().find_map(|idle| idle.watcher);
    put_idle(&mut lists, p, None);
    let Some(m) = sleeper else { return };
    // It looks after the timers of this P too, and polls.
    m.wake();
    drop(lists);
    if (&sched).work_waits() {
        sched.idle.wake_one(&sched);
    }
}

/// Makes all that `p` has visible to searchers, who leave the runnext of an idle P alone. Nobody
/// has it but the caller.
fn lay_open(p: &'static P) {
    if let Some(g) = p.runnext().take() {
        // SAFETY: nobody else has the P, says the caller.
        unsafe { Inside::new(p) }.push(g);
    }
}

/// Adds a watcher whose P was taken to the spare Ms. It is not told before [`wake_displaced`].
pub(crate) fn displace(lists: &mut Lists, watcher: Option<&'static M>) {
    lists.spare.extend(watcher);
}

/// Takes an idle P for an M that is no watcher: one without a watcher, if there is one.
pub(crate) fn pop_idle(lists: &mut Lists) -> Option<&'static P> {
    let unwatched = lists.idle.iter().rposition(|idle| idle.watcher.is_none());
    let IdleP { p, watcher } = match unwatched {
        Some(at) => lists.idle.remove(at),
        None => lists.idle.pop()?,
    };
    displace(lists, watcher);
    sched().idle.p_taken();
    Some(p)
}

/// Has spare Ms that sleep with a timeout, for the timers of a P that they do not watch any more,
/// sleep without. For the monitor, when all is quiet.
pub(crate) fn wake_displaced() {
    let lists = sched().lists();
    if lists.idle.iter().any(|idle| idle.watcher.is_none() && idle.p.timers.any()) {
        // They watch that.
        return;
    }
    lists.spare.iter().filter(|m| m.sleeps_until.load(Ordering::Relaxed) != u64::MAX).for_each(|m| m.wake());
}

/// Puts `p` among the idle ones.
pub(crate) fn put_idle(lists: &mut Lists, p: &'static P, watcher: Option<&'static M>) {
    lists.idle.push(IdleP { p, watcher });
    sched().idle.p_idle();
}

/// The calling M gives its P up, to watch it asleep. Follow with [`reclaim_p`] if
/// `IdleWord::go_idle` says so.
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

/// The calling M, which stands in a list without a P, takes an idle one: the one that it watches,
/// or any if it watches none. `None` if somebody is handing it one, or none is idle.
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

/// The calling M, which runs a goroutine and stands in no list, takes an idle P if there is one.
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

/// Takes the P from `m` and passes it on, if `m` has one, is not in the scheduler, and `agrees`
/// says so of the P. True if it did.
pub(crate) fn retake(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    take(m, agrees).map(hand_off).is_some()
}

/// As [`retake`], for a while: whoever gets the P gives it back ([`give_back`]) when it has run
/// what waits.
pub(crate) fn lend(m: &'static M, agrees: &dyn Fn(&'static P) -> bool) -> bool {
    let taken = take(m, agrees);
    taken
        .map(|p| {
            // SAFETY: it has just been taken, so nobody else has it.
            unsafe { Inside::new(p) }.set_lender(m);
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

/// The calling M, inside, gives its P back to the M that it was taken from, if that runs the same
/// goroutine still; it then has none (true). Else the P is its own from now on.
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
    lay_open(p);
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
    // A timer may have come before it was idle, so that its `wake_watcher_of` found nothing to do.
    if p.timers.any() {
        wake_watcher_of(p);
    }
    ensure_poller();
}

/// Empties a P that GOMAXPROCS has taken out of use. Nobody has it now but the caller.
pub(crate) fn retire_p(p: &'static P) {
    let sched = sched();
    // SAFETY: nobody else has the P, says the caller: this thread stands for its M, inside.
    let mut inside = unsafe { Inside::new(p) };
    inside.take_lender();
    while let Some(g) = inside.runnext().take().or_else(|| inside.pop()) {
        sched.global.push(g);
    }
    inside.owned_mut().stacks.flush();
    let heir = sched.first_p();
    if p.timers.move_to(&heir.timers) {
        wake_watcher_of(heir);
    }
    let mut lists = sched.lists();
    if p.is_retired() {
        lists.retired_ps.push(p);
    } else {
        // GOMAXPROCS has grown again meanwhile.
        put_idle(&mut lists, p, None);
    }
    drop(lists);
    sched.idle.wake_one(&sched);
}

/// A timer was added to a P from elsewhere: if it is idle, its watcher must look at the clock
/// again.
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
                not_started(p, false);
            }
        }
    }
}

/// Has an M poll that sleeps, or that is started for it, if somebody waits for I/O and nobody
/// polls. For those by whom no M goes to rest: foreign threads that wait, Ms that block outside of
/// the worker's loop, and whoever makes a P idle for another.
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
    // With no M at rest, a new one gets the P: it finds nothing to run, and rests.
    let Some(IdleP { p, .. }) = lists.idle.pop() else { return };
    sched.idle.p_taken();
    drop(lists);
    sched.wake_sysmon();
    if !start_m(p, false) {
        not_started(p, false);
    }
}
