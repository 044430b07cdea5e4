//! What an M runs next.
//!
//! # The order
//! [`on_p`] checks the nearby sources in this order:
//! 1. due timers;
//! 2. what the P's flags ask for ([`mod@crate::sched::attend`]), above all arrivals;
//! 3. every 61st time slice, the global queue or the backlog, because two goroutines that ready
//!    each other forever would otherwise starve these;
//! 4. the runnext slot, whose goroutine inherits the time slice;
//! 5. the local queue, then the backlog;
//! 6. a batch of the global queue.
//!
//! Every 61st dispatch it also polls for I/O. Both numbers are meant for quick goroutines. Where
//! goroutines compute, sysmon's request to look around arrives sooner ([`crate::sched::turns`]).
//!
//! If all of these are empty, [`find`] continues: it polls, then searches the queues of other Ps,
//! and finally their runnext slots and timers ([`mod@crate::sched::search`]). If that also finds
//! nothing, the M sleeps, by the protocol of [`crate::protocol::idle`], on its parker or as the
//! poller ([`crate::protocol::poller`]).

use super::{handoff, ready, sched, sleep};
use crate::gmp::{Dispatch, GRef, Inside, M, OwnerFlags};
use crate::netpoll::poll;
use crate::sched::attend::{Attended, attend};
use crate::sched::entry;
use crate::sched::search::{SearchResult, search, steal, take_global};
use crate::sched::turns::GLOBAL_TICK;
use crate::testing::chaos;
use crate::time::clock;

/// One dispatch in this many polls for I/O, without blocking.
const POLL_TICK: u32 = 61;

/// In chaos mode, one choice in this many begins with another queue.
const CHAOS_OTHER_QUEUE: u64 = 8;

/// Returns what the M runs next, if it is nearby.
#[inline(always)]
pub(super) fn nearby(m: &'static M) -> Option<Dispatch> {
    // SAFETY: the worker is inside between two goroutines. The token ends with this call.
    let mut p = unsafe { entry::held(m) }.filter(|p| !p.is_retired())?;
    // Not in `on_p`, which goroutines also run when they end. Thieves enter an epoch of
    // crossbeam's, which leaves the address of a thread-local on the stack. The next goroutine on
    // that stack would then be bound to this thread.
    if chaos::one_in(CHAOS_OTHER_QUEUE)
        && m.next_g.get().is_none()
        && let Some(g) = steal(&mut p)
    {
        return Some(Dispatch::new_slice(g));
    }
    chosen_or_on_p(m, p)
}

/// Returns what the M has already chosen, or else what is bound to it or is on `p`.
#[inline(always)]
pub(super) fn chosen_or_on_p(m: &'static M, p: Inside<'_>) -> Option<Dispatch> {
    m.next_g.take().or_else(|| if m.inbox.is_empty() { on_p(p) } else { on_p_or_delivered(m, p) })
}

#[cold]
fn on_p_or_delivered(m: &'static M, p: Inside<'_>) -> Option<Dispatch> {
    let delivered = || m.inbox.take().map(Dispatch::new_slice);
    if m.inbox.is_its_turn() { delivered().or_else(|| on_p(p)) } else { on_p(p).or_else(delivered) }
}

/// Returns what `p` runs next, in the order above.
#[inline]
fn on_p(mut p: Inside<'_>) -> Option<Dispatch> {
    if p.timers.any() {
        p.reborrow().fire_own_timers(clock::now());
    }
    // This counts dispatches, not time slices: two goroutines that ready each other stay in one
    // slice for a long time.
    if p.dispatches().is_multiple_of(POLL_TICK) {
        poll::in_passing(p.reborrow(), 0, false);
    }
    if p.flags().any() { by_flags(p) } else { usual(p) }
}

/// Attends to the flags of `p` first.
///
/// This is a separate function so that the path without flags stays short.
#[inline(never)]
fn by_flags(mut p: Inside<'_>) -> Option<Dispatch> {
    match attend(&mut p) {
        Attended::Run(dispatch) => Some(dispatch),
        Attended::UsualOrder => usual(p),
        Attended::LoanIsOver => None,
    }
}

/// Returns what `p` runs next if there is nothing to attend to.
#[inline(always)]
fn usual(mut p: Inside<'_>) -> Option<Dispatch> {
    if (p.slices().is_multiple_of(GLOBAL_TICK) || chaos::one_in(CHAOS_OTHER_QUEUE))
        && let Some(g) = take_global(p.reborrow()).or_else(|| p.pop_backlog())
    {
        return Some(Dispatch::new_slice(g));
    }
    if let Some(g) = p.runnext().take() {
        return Some(Dispatch::same_slice(g));
    }
    p.pop().or_else(|| take_global(p.reborrow())).map(Dispatch::new_slice)
}

/// Finds a goroutine to run. Blocks until there is one.
#[inline(never)]
pub(super) fn find(m: &'static M, searching: &mut bool) -> Dispatch {
    let sched = sched();
    loop {
        // SAFETY: the worker is inside between two goroutines. The token ends with the iteration,
        // or where the P is released.
        let Some(mut p) = (unsafe { entry::held(m) }) else {
            *searching = sleep::without_p(m);
            continue;
        };
        if p.is_retired() {
            leave_retired_p(m, p, searching);
            continue;
        }
        let mut found = chosen_or_on_p(m, p.reborrow());
        let mut polled: Vec<GRef> = Vec::new();
        if found.is_none() && poll::in_passing(p.reborrow(), 1, false) {
            // Straight from the queue: if this is the only goroutine, no other M was told about it.
            found = p.pop().map(Dispatch::new_slice);
        }
        if found.is_none() && p.flags().has(OwnerFlags::LENT) {
            if handoff::give_back(m, p) {
                if std::mem::take(searching) {
                    sched.idle.found(&sched);
                }
                *searching = sleep::without_p(m);
            }
            continue;
        }
        if found.is_none() {
            *searching = *searching || sched.idle.join_search(sched.procs());
            if *searching {
                match search(m, &mut p) {
                    SearchResult::Goroutine(g) => found = Some(Dispatch::new_slice(g)),
                    SearchResult::Polled(batch) => polled = batch,
                    SearchResult::Nothing => found = chosen_or_on_p(m, p.reborrow()),
                }
            }
        }
        if found.is_some() || !polled.is_empty() {
            if std::mem::take(searching) {
                sched.idle.found(&sched);
            }
            let found = found.or_else(|| poll::queue_polled(&mut p, polled).map(Dispatch::new_slice));
            return found.expect("worker: a batch is not empty");
        }
        *searching = sleep::with_p(m, p, *searching);
    }
}

/// Releases a P that GOMAXPROCS has taken out of use, and empties it.
fn leave_retired_p(m: &'static M, p: Inside<'_>, searching: &mut bool) {
    let sched = sched();
    let p = entry::give_up(m, p);
    if std::mem::take(searching) {
        sched.idle.found(&sched);
    }
    if let Some(chosen) = m.next_g.take() {
        ready::push_global(chosen.g);
    }
    handoff::retire_p(p);
}
