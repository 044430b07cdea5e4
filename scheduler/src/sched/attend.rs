//! What the M that has a P sees to before it runs the next goroutine, if there is a sign of it ([`OwnerFlags`]).
//!
//! Most dispatches read one byte here, and find it zero.

use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside, OwnerFlags, P};
use crate::netpoll::poll;
use crate::sched::hogs;
use crate::time::clock;
use crate::wait::ready;

/// Who runs next.
pub(crate) enum Next {
    /// This one; true if it goes on in the time slice before.
    Run(GRef, bool),
    /// Whoever is next in the P's own queues.
    Usual,
    /// Nobody: the P is lent, and those for whom it was borrowed have had their turns.
    Nobody,
}

/// Sees to the flags of `p`.
pub(crate) fn attend(p: &mut Inside<'_>) -> Next {
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
        return lent(p);
    }
    if p.owned_mut().turns.arrivals_first(clock::now) {
        if let Some(g) = arrival(p) {
            return Next::Run(g, goes_on(p));
        }
        // The next push, or the next look, raises it again.
        p.lower(OwnerFlags::ARRIVALS);
    }
    if p.owned_mut().turns.late_first() {
        p.owned_mut().turns.restart_late();
        if let Some(g) = sched().global.take_deferred() {
            return Next::Run(g, false);
        }
    }
    if flags.has(OwnerFlags::LOOK_AROUND)
        && let Some(g) = p.pop_backlog()
    {
        return Next::Run(g, false);
    }
    Next::Usual
}

/// For one that runs before its turn: the chain through runnext does not get a new time slice by that.
fn goes_on(p: &P) -> bool {
    !p.runnext().is_empty()
}

fn look_around(p: &mut Inside<'_>) {
    let global = &sched().global;
    p.lower(OwnerFlags::LOOK_AROUND);
    let left = p.flags().has(OwnerFlags::ARRIVALS) && (p.has_arrivals() || global.has_urgent());
    let dispatches = p.dispatches();
    let turns = &mut p.owned_mut().turns;
    turns.look(left, global.has_deferred(), clock::now());
    // Where goroutines are quick nobody waits long, and what is polled ahead of those that were polled before
    // would be served twice before they are served once.
    let ahead = !turns.is_quick(dispatches);
    poll::look(p, 0, ahead);
    p.raise(OwnerFlags::ARRIVALS);
}

fn arrival(p: &Inside<'_>) -> Option<GRef> {
    p.pop_arrival().or_else(|| sched().global.take())
}

/// Who runs next on a P that is lent: anybody but those who will probably compute, like the lender. They are late.
fn lent(p: &mut Inside<'_>) -> Next {
    if p.owned_mut().turns.late_first() {
        // Whoever borrowed it is busy for as long as a time slice: the lender will not have it back.
        p.take_lender();
        return Next::Usual;
    }
    let sched = sched();
    let mut put_off = false;
    let next = loop {
        let waits = p.pop_arrival().or_else(|| p.runnext().take()).or_else(|| p.pop()).or_else(|| sched.global.take());
        match waits {
            Some(g) if hogs::is_likely_hog(g) => {
                sched.global.push_deferred(g);
                put_off = true;
            }
            Some(g) => break Next::Run(g, false),
            None => break Next::Nobody,
        }
    };
    if put_off {
        sched.idle.wake_one(&sched);
    }
    next
}
