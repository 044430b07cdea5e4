//! What the M that has a P attends to before it runs the next goroutine, if a flag asks for it
//! ([`OwnerFlags`]).
//!
//! Most dispatches read one byte of flags and find it zero.

use crate::gmp::scheduler::sched;
use crate::gmp::{Dispatch, GRef, Inside, OwnerFlags, P};
use crate::machine::stack;
use crate::netpoll::poll;
use crate::sched::hogs;
use crate::sched::stack_queue;
use crate::sched::turns::GLOBAL_TICK;
use crate::time::clock;
use crate::wait::ready;

/// What runs next, after the flags have been attended to.
pub(crate) enum Attended {
    /// This goroutine.
    Run(Dispatch),
    /// The next goroutine by the usual order.
    UsualOrder,
    /// None: the P is lent, and the goroutines for which it was borrowed have had their turns.
    LoanIsOver,
}

/// Attends to the flags of `p`.
pub(crate) fn attend(p: &mut Inside<'_>) -> Attended {
    let flags = p.flags();
    if flags.has(OwnerFlags::DEMOTE) {
        p.lower(OwnerFlags::DEMOTE);
        if let Some(g) = p.runnext().take() {
            ready::push_last(p, g);
        }
    }
    if flags.has(OwnerFlags::LOOK_AROUND) {
        look_around(p);
    }
    if flags.has(OwnerFlags::LENT) {
        return next_on_loan(p, flags.has(OwnerFlags::LOOK_AROUND));
    }
    if p.owned_mut().turns.arrivals_first(clock::now) {
        if let Some(g) = next_arrival(p) {
            return Attended::Run(Dispatch { g, inherit: chain_continues(p) });
        }
        // The next push, or the next time the P looks around, raises it again.
        p.lower(OwnerFlags::ARRIVALS);
    }
    if p.owned_mut().turns.deferred_first() {
        p.owned_mut().turns.restart_deferred();
        if let Some(g) = sched().global.take_deferred() {
            return Attended::Run(Dispatch::new_slice(g));
        }
    }
    if flags.has(OwnerFlags::LOOK_AROUND)
        && let Some(g) = p.pop_backlog()
    {
        return Attended::Run(Dispatch::new_slice(g));
    }
    Attended::UsualOrder
}

/// Returns `true` if a goroutine waits in the runnext slot.
///
/// A goroutine that runs before it inherits the time slice, so that the chain through runnext does
/// not get a new one.
fn chain_continues(p: &P) -> bool {
    !p.runnext().is_empty()
}

fn look_around(p: &mut Inside<'_>) {
    let global = &sched().global;
    p.lower(OwnerFlags::LOOK_AROUND);
    if stack::demand() > 0 {
        p.owned_mut().stacks.flush();
        stack_queue::serve();
    }
    let left_over = p.flags().has(OwnerFlags::ARRIVALS) && (p.has_arrivals() || global.has_urgent());
    let dispatches = p.dispatches();
    let turns = &mut p.owned_mut().turns;
    turns.look(left_over, global.has_deferred(), clock::now());
    // Where goroutines are quick, none waits for a long time. If newly polled goroutines went ahead
    // of those polled earlier, they would be served twice before the earlier ones are served once.
    let ahead = !turns.is_quick(dispatches);
    poll::in_passing(p.reborrow(), 0, ahead);
    p.raise(OwnerFlags::ARRIVALS);
}

fn next_arrival(p: &Inside<'_>) -> Option<GRef> {
    p.pop_arrival().or_else(|| sched().global.take())
}

/// Chooses the next goroutine on a P that is lent.
///
/// Goroutines that will probably compute, like the lender's, are not chosen but deferred.
///
/// As on a P that is not lent, no queue waits for another to become empty: a goroutine that yields
/// in a loop keeps the loan going forever. If the P `looks` around, its own queues go first, and
/// every 61st time slice begins with the global queue or the backlog.
fn next_on_loan(p: &mut Inside<'_>, looks: bool) -> Attended {
    if p.owned_mut().turns.deferred_first() {
        // The borrower has been busy for as long as a time slice, so the lender will not get the P
        // back.
        p.take_lender();
        return Attended::UsualOrder;
    }
    let sched = sched();
    let mut deferred_some = false;
    let mut first = match (looks, p.slices().is_multiple_of(GLOBAL_TICK)) {
        (true, _) => p.pop_backlog().or_else(|| p.pop()),
        (false, true) => sched.global.take().or_else(|| p.pop_backlog()),
        (false, false) => None,
    };
    let next = loop {
        let waits = first
            .take()
            .or_else(|| p.pop_arrival())
            .or_else(|| p.runnext().take())
            .or_else(|| p.pop())
            .or_else(|| sched.global.take());
        match waits {
            Some(g) if hogs::is_likely_hog(g) => {
                sched.global.push_deferred(g);
                deferred_some = true;
            }
            Some(g) => break Attended::Run(Dispatch::new_slice(g)),
            None => break Attended::LoanIsOver,
        }
    };
    if deferred_some {
        sched.idle.wake_one(&sched);
    }
    next
}
