//! The end of a goroutine, and what then runs on its stack.
//!
//! When a goroutine ends and the next goroutine has never run, the next one begins on the same
//! stack at once ([`on_stack`]). This avoids a switch to the M's stack and back, and the stack is
//! the one most likely to be in the cache.

use std::sync::atomic::Ordering;

use super::{current, entry, next, sched, stack_queue, start_running, threads, ties};
use crate::gmp::block;
use crate::gmp::{Dispatch, GRef, Inside, M, State};
use crate::machine::stack::{self, POOL};
use crate::task::body;
use crate::task::coroutine::{Owner, StackHead};

/// Takes the stack back from a coroutine that has ended.
pub(super) fn recycle_stack(m: &'static M, head: *mut StackHead) {
    // SAFETY: the coroutine has ended, and no other thread knows its stack.
    let stack = unsafe { StackHead::into_stack(head) };
    // SAFETY: the worker is inside between two goroutines. The token ends with the match.
    match unsafe { entry::held(m) } {
        Some(mut p) => p.owned_mut().stacks.give(stack),
        None => POOL.give(stack),
    }
    if stack::demand() > 0 {
        stack_queue::serve();
    }
}

/// Runs a goroutine, and then others that have never run, until none is available.
///
/// Every coroutine executes this function.
pub(crate) fn on_stack(first: Owner) {
    // SAFETY: `run` resumes a fresh stack with its first goroutine.
    let Some(mut g) = (unsafe { GRef::from_ptr(first.cast()) }) else { return };
    loop {
        let head = g.stack.get();
        // SAFETY: called once per goroutine, on its stack.
        unsafe { (g.vtable.run)(g) };
        match finish(g, head) {
            Some(next) => g = next,
            None => return,
        }
    }
}

/// Ends `g`, whose closure has returned, on behalf of its waiters, and chooses what runs next on
/// this stack.
///
/// If it returns `None`, it has already told the M what to do.
#[inline(never)]
fn finish(g: GRef, head: *mut StackHead) -> Option<GRef> {
    ties::note_end(g);
    let detached = complete_join(g);
    let m = current::m().expect("worker: a goroutine ends on an M");
    // SAFETY: `complete_join` has entered. The token ends before the exit, or with this call, after
    // which the M switches to its own stack.
    let mut p = unsafe { entry::held(m) };
    if detached {
        // SAFETY: the handle is gone, so this side owns the block.
        unsafe { free(p.as_mut().map(Inside::reborrow), g) };
    }
    // If goroutines wait for a stack, this one goes to the first of them.
    let mut p = p.filter(|p| m.locked_gs.get() == 0 && !p.is_retired() && stack::demand() == 0)?;
    let Dispatch { g: next, inherit } = next::chosen_or_on_p(m, p.reborrow())?;
    if !next.starts_anywhere() || (m.is_tied() && ties::belongs_elsewhere(m, next)) {
        m.next_g.set(Some(Dispatch { g: next, inherit }));
        return None;
    }
    next.stack.set(head);
    // SAFETY: this code runs on the stack that the head belongs to.
    unsafe { (*head).set_owner(next.as_ptr().cast()) };
    start_running(m, &p, next, inherit);
    m.lease.exit();
    Some(next)
}

/// Ends `g` on behalf of its waiters.
///
/// Returns `true` if `g` no longer has a handle, so that the caller owns the block. Afterwards the
/// M is inside and runs no goroutine.
fn complete_join(g: GRef) -> bool {
    let mut detached = g.join.is_detached();
    loop {
        if detached {
            // Dropping an unclaimed result is user code. It runs now, while this is still a
            // goroutine like any other. SAFETY: the closure has run, and no handle is left that
            // could take the result.
            unsafe { (g.vtable.drop_result)(g) };
        }
        let m = current::m().expect("worker: a goroutine ends on an M");
        // The caller checks whether the M still has its P.
        let _ = entry::enter(m);
        m.set_current(None);
        g.transition(State::Running, State::Dead);
        let locked = g.os_locks.get() > 0;
        if let Some(waiters) = g.join.finish(detached) {
            if locked {
                threads::end_locked(m);
            }
            count_end(m);
            waiters.wake_all();
            return detached;
        }
        // The handle was dropped since the check, so repeat this as a running goroutine.
        g.transition(State::Dead, State::Running);
        m.set_current(Some(g));
        m.lease.exit();
        detached = true;
    }
}

fn count_end(m: &'static M) {
    // SAFETY: the caller is inside. The token ends with the match.
    match unsafe { entry::held(m) } {
        Some(p) => p.count_ended(),
        None => {
            sched().ended_outside.fetch_add(1, Ordering::Release);
        }
    }
}

/// Returns the block of `g` to a cache.
///
/// # Safety
/// `g` has ended, its result is dropped, and no other thread knows its block.
unsafe fn free(p: Option<Inside<'_>>, g: GRef) {
    // SAFETY: the caller owns the block, which came from a cache with the layout that it states.
    unsafe {
        let (block, layout) = body::take_apart(g);
        match p {
            Some(mut p) => p.owned_mut().blocks.free(block, layout),
            None => block::free_foreign(block, layout),
        }
    }
}
