//! What the M that has a P sees to before it runs the next goroutine, if there is a sign of it ([`Signs`]).
//!
//! Most dispatches read one byte here, and find it zero.

use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, P, Signs};
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

/// Sees to the signs of `p`.
///
/// # Safety
/// The caller's M has `p` and is inside.
pub(crate) unsafe fn attend(p: &'static P) -> Next {
    let signs = p.signs();
    // SAFETY: the caller's contract, here and below.
    unsafe {
        if signs.has(Signs::DEMOTE) {
            p.lower(Signs::DEMOTE);
            if let Some(g) = p.runnext().take() {
                ready::push_last(p, g);
            }
        }
        if signs.has(Signs::LOOK) {
            look_around(p);
        }
        if signs.has(Signs::LENT) {
            return lent(p);
        }
        if p.own().turns.arrivals_first(clock::now) {
            if let Some(g) = arrival(p) {
                return Next::Run(g, goes_on(p));
            }
            // The next push, or the next look, raises it again.
            p.lower(Signs::ARRIVALS);
        }
        if p.own().turns.late_first() {
            p.own().turns.restart_late();
            if let Some(g) = sched().global.take_late() {
                return Next::Run(g, false);
            }
        }
        if signs.has(Signs::LOOK)
            && let Some(g) = p.pop_backlog()
        {
            return Next::Run(g, false);
        }
    }
    Next::Usual
}

/// For one that runs before its turn: the chain through runnext does not get a new time slice by that.
fn goes_on(p: &P) -> bool {
    !p.runnext().peek().is_null()
}

/// # Safety
/// As [`attend`].
unsafe fn look_around(p: &'static P) {
    let global = &sched().global;
    p.lower(Signs::LOOK);
    // SAFETY: the caller's contract.
    unsafe {
        let left = p.signs().has(Signs::ARRIVALS) && (p.has_arrivals() || !global.is_quiet());
        p.own().turns.look(left, global.has_late(), clock::now());
        // Where goroutines are quick nobody waits long, and what is polled ahead of those that were polled before
        // would be served twice before they are served once.
        let ahead = !p.own().turns.is_quick(p.dispatches());
        poll::look(p, 0, ahead);
    }
    p.raise(Signs::ARRIVALS);
}

/// # Safety
/// As [`attend`].
unsafe fn arrival(p: &'static P) -> Option<GRef> {
    // SAFETY: the caller's contract.
    unsafe { p.pop_arrival() }.or_else(|| sched().global.take())
}

/// Who runs next on a P that is lent: anybody but those who will probably compute, like the lender. They are late.
///
/// # Safety
/// As [`attend`].
unsafe fn lent(p: &'static P) -> Next {
    // SAFETY: the caller's contract, here and below.
    unsafe {
        if p.own().turns.late_first() {
            // Whoever borrowed it is busy for as long as a time slice: the lender will not have it back.
            p.take_lender();
            return Next::Usual;
        }
        let sched = sched();
        let mut put_off = false;
        let next = loop {
            let waits =
                p.pop_arrival().or_else(|| p.runnext().take()).or_else(|| p.pop()).or_else(|| sched.global.take());
            match waits {
                Some(g) if hogs::is_late(g) => {
                    sched.global.push_late(g);
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
}
