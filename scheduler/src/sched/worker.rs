//! The loop of an M: find a goroutine, run it, and do what it asked for when it switched away.
//!
//! | to learn | read |
//! | --- | --- |
//! | what an M runs next | [`next`] |
//! | how an M without work sleeps, and what ends its sleep | [`sleep`] |
//! | how a goroutine ends, and what runs on its stack then | [`finish`] |
//!
//! # Where the CPU's return prediction matters
//! The code that runs between two switches to goroutines is either inlined into [`main`] or returns
//! before the next switch. The CPU predicts returns from the preceding calls. So a function that
//! switches away and back before it returns pays for a mispredicted return, and so does the
//! goroutine that it switched to.

mod finish;
mod next;
mod sleep;

use std::ptr;

pub(crate) use finish::on_stack;

use crate::api::os_thread;
use crate::gmp::scheduler::sched;
use crate::gmp::{Dispatch, G, GRef, Inside, M, P, State, SwitchReason};
use crate::machine;
use crate::sched::affinity::delivery;
use crate::sched::affinity::guard;
use crate::sched::affinity::ties;
use crate::sched::current;
use crate::sched::entry;
use crate::sched::handoff;
use crate::sched::stack_queue;
use crate::sched::threads;
use crate::task::coroutine::StackHead;
use crate::task::spawn;
use crate::testing::chaos;
use crate::time::clock;
use crate::wait::ready;

/// Runs an M's thread from its start to its end ([`crate::sched::threads`]).
pub(crate) fn main(m: &'static M) {
    current::set_m(Some(m));
    m.observe_thread();
    let _prepared = machine::prepare_thread();
    let mut searching = wait_for_first(m);
    loop {
        let dispatch = match m.locked_gs.get() {
            0 if !searching => next::nearby(m).unwrap_or_else(|| next::find(m, &mut searching)),
            0 => next::find(m, &mut searching),
            _ => match sleep::wait_for_locked_g(m) {
                Some(dispatch) => dispatch,
                None => break,
            },
        };
        run(m, dispatch);
    }
    current::set_m(None);
}

/// Sleeps until the M gets its first P, or the one goroutine that it is to run.
///
/// Returns `true` if the M is to search.
fn wait_for_first(m: &'static M) -> bool {
    loop {
        if let Some(g) = m.pinned_g() {
            threads::refill_standby();
            begin_pinned(m, g);
            return false;
        }
        if let Some((p, search)) = m.take_handed_p() {
            threads::refill_standby();
            adopt(m, p);
            return search;
        }
        m.parker.park();
    }
}

/// Locks `g`, which owns the thread of `m`, to `m`, and acquires a P for it.
fn begin_pinned(m: &'static M, g: GRef) {
    os_thread::lock(m, g);
    match handoff::acquire_p() {
        Some(p) => {
            adopt(m, p);
            m.next_g.set(Some(Dispatch::new_slice(g)));
        }
        // The goroutine gets a P like any other, and brings the P here.
        None => ready::push_global(g),
    }
}

/// Gives `p`, which the caller owns, to the calling M, which has no P.
fn adopt(m: &'static M, p: &'static P) {
    // SAFETY: only the caller has the P, and the token ends at once.
    let _ = unsafe { entry::adopt(m, p) };
}

/// Runs a goroutine until it switches away, and then does what the goroutine asked for.
#[inline(always)]
fn run(m: &'static M, Dispatch { g, inherit }: Dispatch) {
    // SAFETY: the worker is inside between two goroutines. The token ends where the P is released,
    // or before the exit.
    let mut p = unsafe { entry::held(m) }.expect("worker: a P to run on");
    if let Some(last) = g.m()
        && !ptr::eq(last, m)
        && let Some(bound) = guard::must_return(g, last)
    {
        return delivery::deliver(m, p, g, bound);
    }
    if m.is_tied() && ties::belongs_elsewhere(m, g) {
        match ties::pass_on(m, p, g) {
            Ok(()) => return,
            Err(kept) => p = kept,
        }
    }
    if g.stack.get().is_null() {
        if g.is_pinned() {
            match g.bound_m() {
                None => return threads::order_pinned(g),
                Some(bound) if !ptr::eq(bound, m) => return delivery::deliver(m, p, g, bound),
                Some(_) => {}
            }
        }
        match spawn::stack_for(&mut p, g) {
            Ok(stack) => stack_queue::install(g, stack),
            Err(refusal) => return stack_queue::wait(g, refusal),
        }
    }
    start_running(m, &p, g, inherit);
    let head = g.stack.get();
    m.lease.exit();
    // SAFETY: this M owns the goroutine, which is suspended or has not begun.
    match unsafe { StackHead::resume(head) } {
        Some(sp) => after_suspend(m, sp),
        None => finish::recycle_stack(m, head),
    }
}

/// Notes that the M runs `g` from now on.
#[inline]
fn start_running(m: &'static M, p: &Inside<'_>, g: GRef, inherit: bool) {
    p.count_dispatch(inherit);
    g.transition(State::Runnable, State::Running);
    g.set_m(m);
    m.set_current(Some(g));
}

/// Does what a goroutine asked for when it suspended with the stack pointer `sp`.
///
/// Runs on the M's system stack, inside, perhaps without the P.
#[inline(always)]
fn after_suspend(m: &'static M, sp: usize) {
    let g = m.current().expect("worker: a goroutine has just suspended");
    m.set_current(None);
    g.sp.set(sp);
    if g.record() != G::SEEN || ties::is_sampled(m) {
        ties::note_left(m, g);
    }
    match m.switch_request.reason.get() {
        SwitchReason::Park => {
            ready::learn_if_busy(g, m.p().is_some_and(|p| !p.runnext().is_empty()));
            if m.p().is_none() {
                clock::advance_coarse(clock::now());
            }
            g.wait_for(m.switch_request.wait_reason.get());
            chaos::pause();
            let (commit, arg) = (m.switch_request.commit.get(), m.switch_request.arg.get());
            // SAFETY: the request was made for this one call. From here on the goroutine may run on
            // another M.
            if !unsafe { commit(arg) } {
                g.transition(State::Waiting, State::Runnable);
                run_again(m, g);
            }
        }
        reason => {
            g.transition(State::Running, State::Runnable);
            // SAFETY: the worker is inside between two goroutines. The token ends with the match.
            match (reason, unsafe { entry::held(m) }) {
                (SwitchReason::Yield, Some(p)) => ready::push_last(&p, g),
                // The goroutine has used its time slice.
                _ if m.is_hogged() => ready::push_deferred(g),
                _ => ready::push_global(g),
            }
        }
    }
}

/// Runs `g` next, since it did not have to park after all.
#[cold]
fn run_again(m: &'static M, g: GRef) {
    if m.p().is_some() {
        m.next_g.set(Some(Dispatch::same_slice(g)));
    } else {
        ready::push_global(g);
    }
}
