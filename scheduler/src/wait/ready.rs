//! Makes goroutines runnable.
//!
//! # Where a readied goroutine goes
//! * *To the runnext slot* of the current P if that slot is empty. The waker probably parks soon.
//!   The woken goroutine then runs next, with the data still in the cache and within the rest of
//!   the waker's time slice.
//! * *To the tail of the local queue* otherwise. If the goroutine has never run, it may go to the
//!   tail of the backlog instead.
//! * *A goroutine that a timer wakes* goes to runnext if no other goroutine waits on the P,
//!   otherwise to the arrivals ([`crate::sched::turns`]).
//! * *A goroutine readied by a thread without a P* goes to the global queue.
//!
//! # When another M is woken for it
//! A push to a queue is *published*: it follows the submit recipe of [`crate::protocol::idle`]. A
//! goroutine in the runnext slot is not published, unless its waker is known to stay busy
//! ([`learn_if_busy`]). All rules and their numbers are in [`crate::sched::wake_policy`].
//!
//! A chain of goroutines that run through runnext inherits one time slice and could run forever.
//! After 10 ms, sysmon requests the chain's *demotion*: its next goroutine goes to the tail of the
//! queue like any other.

use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside, OwnerFlags, State};
use crate::primitive::light_fence;
use crate::sched::entry::{self, NoP};
use crate::sched::global::Global;
use crate::sched::wake_policy;
use crate::testing::chaos;
use crate::time::clock;
use crate::wait::park;

/// Chaos mode: of the goroutines that become runnable, one in this many is put into another queue.
const CHAOS_MISPLACE: u64 = 4;

/// Makes a parked goroutine runnable.
///
/// The caller holds no lock. If the caller is a goroutine that has lost its P, others may run
/// before it continues.
#[inline]
pub(crate) fn ready(g: GRef) {
    mark_runnable(g);
    match entry::with_p(|m, p| push_next(&p, g, m.current())) {
        Ok(()) => {}
        Err(missing) => ready_without_p(g, missing),
    }
}

/// Makes a parked goroutine runnable like [`ready`], but behind all others.
pub(crate) fn ready_last(g: GRef) {
    mark_runnable(g);
    match entry::with_p(|_, p| push_last(&p, g)) {
        Ok(()) => {}
        Err(missing) => ready_without_p(g, missing),
    }
}

#[cold]
fn ready_without_p(g: GRef, missing: NoP) {
    push_global(g);
    park::reacquire_p(missing);
}

/// Makes a parked goroutine runnable on `p`, the P that has fired its timer.
///
/// The caller owns `g`.
pub(crate) fn ready_on(p: &Inside<'_>, g: GRef) {
    mark_runnable(g);
    push_arrival(p, g);
}

/// Queues a goroutine that a timer has made runnable so that it runs soon, before the goroutines
/// that are queued on `p`.
///
/// The caller owns `g`.
pub(crate) fn push_arrival(p: &Inside<'_>, g: GRef) {
    if chaos::one_in(CHAOS_MISPLACE) {
        return push_global(g);
    }
    // If others wait, runnext is not used. Otherwise goroutines that repeatedly sleep for a moment
    // would never let the others run.
    if p.has_others() || !try_runnext(p, g, None) {
        p.push_arrival(g);
        if !p.is_queue_left_to_owner() {
            wake_searcher();
        }
    }
}

/// Queues a runnable goroutine to run soon on `p`.
///
/// `waker` is the calling goroutine, if the caller is a goroutine and runs on `p`. The caller owns
/// `g`.
#[inline]
pub(crate) fn push_next(p: &Inside<'_>, g: GRef, waker: Option<GRef>) {
    if chaos::one_in(CHAOS_MISPLACE) {
        return push_global(g);
    }
    if !try_runnext(p, g, waker) {
        push_last(p, g);
    }
}

/// Queues a goroutine that has never run, like [`push_next`].
#[inline]
pub(crate) fn push_fresh(p: &Inside<'_>, g: GRef, spawner: Option<GRef>) {
    if chaos::one_in(CHAOS_MISPLACE) {
        return push_global(g);
    }
    if !try_runnext(p, g, spawner) {
        p.push_fresh(g);
        wake_searcher();
    }
}

/// Puts `g` into the runnext slot if that slot is empty, and returns `true` if it did.
#[inline]
fn try_runnext(p: &Inside<'_>, g: GRef, waker: Option<GRef>) -> bool {
    if chaos::one_in(CHAOS_MISPLACE) || p.flags().has(OwnerFlags::DEMOTE) || !p.runnext().is_empty() {
        return false;
    }
    // Prefetched while `g` still belongs to the caller: once it is in the slot, a thief may run it.
    g.prefetch();
    let filled = p.fill_runnext(g);
    debug_assert!(filled, "ready: only the owner fills the slot, and it was empty");
    if let Some(waker) = waker {
        if p.was_runnext_stolen() {
            waker.set_keeps_busy(true);
        }
        let busy = waker.keeps_busy();
        if busy {
            let sched = sched();
            sched.idle.wake_one(&sched);
        }
        if busy || waker.count_wake() {
            waker.set_woke_at(clock::now());
        }
    }
    true
}

/// Learns from a goroutine that parks whether it stays busy after it has woken another.
///
/// `waits` is `true` if the woken goroutine is still in the runnext slot. In that case only the
/// elapsed time counts, since a searcher may have been late.
#[inline]
pub(crate) fn learn_if_busy(g: GRef, waits: bool) {
    if g.woke_at() != 0 {
        g.set_keeps_busy(wake_policy::keeps_busy(waits, || clock::now() - g.woke_at()));
        g.set_woke_at(0);
    }
}

/// Queues a runnable goroutine behind all others on `p`.
///
/// The caller owns `g`.
#[inline]
pub(crate) fn push_last(p: &Inside<'_>, g: GRef) {
    p.push(g);
    if !p.is_queue_left_to_owner() {
        wake_searcher();
    }
}

/// Completes the submit recipe after a goroutine was pushed to a place where thieves will find it.
#[inline]
fn wake_searcher() {
    let sched = sched();
    // If there is only one P, the caller holds it, so no P is idle. ORDERING P1: the light fence
    // pairs with the heavy one in `procs::resize`.
    light_fence();
    if sched.procs() > 1 {
        sched.idle.wake_one(&sched);
    }
}

/// Marks a parked goroutine as runnable, for a caller that queues it.
#[inline]
pub(crate) fn mark_runnable(g: GRef) {
    g.transition(State::Waiting, State::Runnable);
}

/// Queues runnable goroutines for any P, and wakes one searcher for all of them.
pub(crate) fn push_global_all(gs: Vec<GRef>) {
    push_all(gs, Global::push);
}

/// Queues goroutines that waited for I/O like [`push_global_all`], but ahead of all others.
pub(crate) fn push_polled(gs: Vec<GRef>) {
    push_all(gs, Global::push_polled);
}

fn push_all(gs: Vec<GRef>, push: fn(&Global<GRef>, GRef)) {
    if gs.is_empty() {
        return;
    }
    let sched = sched();
    gs.into_iter().for_each(|g| push(&sched.global, g));
    sched.idle.wake_one(&sched);
}

/// Queues a goroutine that has computed for a long time, behind all goroutines that have not.
pub(crate) fn push_deferred(g: GRef) {
    let sched = sched();
    sched.global.push_deferred(g);
    sched.idle.wake_one(&sched);
}

/// Queues a runnable goroutine for any P.
pub(crate) fn push_global(g: GRef) {
    let sched = sched();
    sched.global.push(g);
    sched.idle.wake_one(&sched);
}
