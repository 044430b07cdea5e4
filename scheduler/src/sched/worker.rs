//! The loop of an M: find a goroutine, run it, do what it asked for when it left.
//!
//! # The search order
//! [`local`]: due timers; what there is a sign of ([`mod@crate::sched::attend`]), most of all arrivals; every 61st time slice the
//! global queue or the backlog first, or two goroutines that ready each other for ever would starve it; the runnext
//! slot, whose goroutine inherits the time slice; the local queue; the backlog; a batch of the global queue; what has
//! become ready for I/O, which is looked for every 61st dispatch as well. Both numbers are for quick goroutines: where
//! they compute, the monitor's request to look around comes sooner ([`crate::sched::turns`]). Then [`search`]: the others' queues, and last their runnext slots and timers. Then sleep, by the protocol of
//! [`crate::protocol::idle`], on the parker or as the one that polls ([`crate::protocol::poller`]).
//!
//! # Staying on a stack
//! When a goroutine ends and the next one has never run, it begins on the same stack at once ([`on_stack`]): no switch
//! to the M's stack and back, and the hottest stack there is.

use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::api::os_thread;
use crate::gmp::block;
use crate::gmp::scheduler::sched;
use crate::gmp::{G, GRef, Inside, M, OwnerFlags, P, State, SwitchReason};
use crate::machine;
use crate::machine::stack::POOL;
use crate::netpoll::poll;
use crate::sched::affinity::delivery;
use crate::sched::affinity::guard;
use crate::sched::affinity::ties;
use crate::sched::attend::{Next, attend};
use crate::sched::current;
use crate::sched::entry;
use crate::sched::handoff;
use crate::sched::search::{SearchResult, search, steal, take_global};
use crate::sched::threads;
use crate::task::coroutine::{Owner, StackHead};
use crate::task::spawn;
use crate::testing::chaos;
use crate::time::clock;
use crate::wait::park;
use crate::wait::ready;

/// Every so many time slices what is not in the local queue goes first (Go's number; a prime, so that it meets no pattern).
const GLOBAL_TICK: u32 = 61;

/// Every so many dispatches the poller is asked, without blocking, what is ready.
const POLL_TICK: u32 = 61;

/// In chaos, of so many looks for the next goroutine, one begins elsewhere.
const ELSEWHERE: u64 = 8;

/// The life of an M's thread ([`crate::sched::threads`]).
pub(crate) fn main(m: &'static M) {
    current::set_m(Some(m));
    m.observe_thread();
    let _prepared = machine::prepare_thread();
    let mut searching = wait_for_first(m);
    // What runs between two switches to goroutines is inlined here, or returns before the next switch. A function that
    // returns after it has switched away and back pays for a mispredicted return, and so does the goroutine that it
    // switched to: the CPU predicts returns by the calls before them.
    loop {
        let (g, inherit) = match m.locked_gs.get() {
            0 if !searching => local_next(m).unwrap_or_else(|| find(m, &mut searching)),
            0 => find(m, &mut searching),
            _ => match wait_for_turn(m) {
                Some(next) => next,
                None => break,
            },
        };
        run(m, g, inherit);
    }
    current::set_m(None);
}

/// Sleeps until the M gets its first P (whether to search is the result), or the one goroutine that
/// it is to run (false).
fn wait_for_first(m: &'static M) -> bool {
    loop {
        if let Some(g) = m.pinned_g() {
            threads::refill();
            begin_pinned(m, g);
            return false;
        }
        if let Some((p, search)) = m.take_handed_p() {
            threads::refill();
            adopt(m, p);
            return search;
        }
        m.parker.park();
    }
}

/// The thread is that of `g`, which has no P yet.
fn begin_pinned(m: &'static M, g: GRef) {
    os_thread::lock(m, g);
    match handoff::acquire_p() {
        Some(p) => {
            adopt(m, p);
            m.next_g.set(Some((g, false)));
        }
        // It gets a P like any other, and brings it here.
        None => ready::push_global(g),
    }
}

/// What this M has to run next without looking far.
#[inline(always)]
fn local_next(m: &'static M) -> Option<(GRef, bool)> {
    // SAFETY: the worker is inside between two goroutines; the token ends with this call.
    let mut p = unsafe { entry::held(m) }.filter(|p| !p.is_retired())?;
    // Not in `local`, which goroutines run too, when they end: thieves enter an epoch of crossbeam's, which leaves the
    // address of a thread-local on the stack, and the next goroutine there would belong to this thread.
    if chaos::strikes(ELSEWHERE)
        && m.next_g.get().is_none()
        && let Some(g) = steal(&mut p)
    {
        return Some((g, false));
    }
    next_of(m, &mut p)
}

/// What the M has chosen, else what must run here or is on `p`.
#[inline(always)]
fn next_of(m: &'static M, p: &mut Inside<'_>) -> Option<(GRef, bool)> {
    m.next_g.take().or_else(|| if m.inbox.is_empty() { local(p) } else { local_or_returned(m, p) })
}

#[cold]
fn local_or_returned(m: &'static M, p: &mut Inside<'_>) -> Option<(GRef, bool)> {
    let returned = || m.inbox.take().map(|g| (g, false));
    if m.inbox.is_its_turn() { returned().or_else(|| local(p)) } else { local(p).or_else(returned) }
}

/// Finds a goroutine to run; blocks until there is one.
#[inline(never)]
fn find(m: &'static M, searching: &mut bool) -> (GRef, bool) {
    let sched = sched();
    loop {
        // SAFETY: the worker is inside between two goroutines; the token ends with the iteration, or where the P is given up.
        let Some(mut p) = (unsafe { entry::held(m) }) else {
            *searching = sleep_without_p(m);
            continue;
        };
        if p.is_retired() {
            let p = entry::give_up(m, p);
            if std::mem::take(searching) {
                sched.idle.found(&sched);
            }
            if let Some((g, _)) = m.next_g.take() {
                ready::push_global(g);
            }
            handoff::retire_p(p);
            continue;
        }
        let mut found = next_of(m, &mut p);
        let mut ready = Vec::new();
        if found.is_none() && poll::look(&mut p, 1, false) {
            // Straight from the queue: if it is the only one, nobody else has been told of it.
            found = p.pop().map(|g| (g, false));
        }
        if found.is_none() && p.flags().has(OwnerFlags::LENT) {
            if handoff::give_back(m, p) {
                if std::mem::take(searching) {
                    sched.idle.found(&sched);
                }
                *searching = sleep_without_p(m);
            }
            continue;
        }
        if found.is_none() {
            *searching = *searching || sched.idle.join_search(sched.procs());
            if *searching {
                match search(m, &mut p) {
                    SearchResult::Goroutine(g) => found = Some((g, false)),
                    SearchResult::Polled(batch) => ready = batch,
                    SearchResult::Nothing => found = next_of(m, &mut p),
                }
            }
        }
        if found.is_some() || !ready.is_empty() {
            if std::mem::take(searching) {
                sched.idle.found(&sched);
            }
            let found = found.or_else(|| poll::queue(&mut p, ready).map(|g| (g, false)));
            return found.expect("worker: a batch is not empty");
        }
        *searching = sleep_with_p(m, p, *searching);
    }
}

/// What this P has to run next, and whether it goes on in the time slice before. See the module's documentation.
#[inline]
fn local(p: &mut Inside<'_>) -> Option<(GRef, bool)> {
    if p.timers.any() {
        p.fire_own_timers(clock::now());
    }
    // Dispatches, not time slices: two that ready each other go on in one slice for long.
    if p.dispatches().is_multiple_of(POLL_TICK) {
        poll::look(p, 0, false);
    }
    if p.flags().any() { local_attended(p) } else { usual(p) }
}

/// As [`local`], for a P with signs. By itself, so that the way without them stays short.
#[inline(never)]
fn local_attended(p: &mut Inside<'_>) -> Option<(GRef, bool)> {
    match attend(p) {
        Next::Run(g, inherit) => Some((g, inherit)),
        Next::Usual => usual(p),
        Next::Nobody => None,
    }
}

/// What is next on `p` if there is nothing to see to.
#[inline(always)]
fn usual(p: &Inside<'_>) -> Option<(GRef, bool)> {
    if (p.slices().is_multiple_of(GLOBAL_TICK) || chaos::strikes(ELSEWHERE))
        && let Some(g) = take_global(p).or_else(|| p.pop_backlog())
    {
        return Some((g, false));
    }
    if let Some(g) = p.runnext().take() {
        return Some((g, true));
    }
    p.pop().or_else(|| take_global(p)).map(|g| (g, false))
}

/// The M gives its P up and sleeps, as the P's watcher. The new value of "searching".
fn sleep_with_p(m: &'static M, p: Inside<'_>, searching: bool) -> bool {
    handoff::give_up_p(m, p);
    sleep(m, searching)
}

/// An M that has lost its P looks for another one, and sleeps. As [`sleep_with_p`].
fn sleep_without_p(m: &'static M) -> bool {
    let sched = sched();
    sched.lists().spare.push(m);
    // No P has changed hands, so the monitor has not seen that somebody was here.
    sched.wake_sysmon();
    sleep(m, false)
}

/// The M stands in a list. It looks once more for work, by the recipe "go idle", and sleeps.
fn sleep(m: &'static M, searching: bool) -> bool {
    let sched = sched();
    let search = sched.idle.go_idle(searching, &sched);
    if search || !m.inbox.is_empty() {
        if let Some(p) = handoff::reclaim_p(m) {
            adopt(m, p);
            return search;
        }
        delivery::return_undelivered(m);
        if search && sched.idle.abandon_search() {
            sched.idle.wake_one(&sched);
        }
    }
    wait_in_list(m)
}

/// Sleeps until somebody hands a P over (whether to search is the result), until a timer of the watched P is due
/// (false), or until it has found work as the poller (false).
fn wait_in_list(m: &'static M) -> bool {
    loop {
        if let Some((p, search)) = m.take_handed_p() {
            adopt(m, p);
            return search;
        }
        let timeout = match watch(m) {
            Watch::Due(p) => {
                adopt(m, p);
                return false;
            }
            Watch::Until(timeout) => Some(timeout),
            Watch::Forever => None,
        };
        if let Some(runnable) = poll::block(m, timeout) {
            if take_on(m, runnable) {
                return false;
            }
            continue;
        }
        match timeout {
            Some(timeout) => drop(m.parker.park_timeout(timeout)),
            None => m.parker.park(),
        }
    }
}

/// The M has polled in its sleep, and has found goroutines to run: gets a P for them (true), or leaves them to those
/// that have one.
fn take_on(m: &'static M, runnable: Vec<GRef>) -> bool {
    if runnable.is_empty() {
        return false;
    }
    let Some(p) = handoff::reclaim_p(m) else {
        ready::push_polled(runnable);
        return false;
    };
    // SAFETY: the P was handed to this M, which had none; the token ends here.
    let mut p = unsafe { entry::adopt(m, p) };
    m.next_g.set(poll::queue(&mut p, runnable).map(|first| (first, false)));
    true
}

/// What a sleeping M waits for.
enum Watch {
    /// A timer of its P is due, and the P is its own again.
    Due(&'static P),
    /// A timer of its P.
    Until(Duration),
    /// Nothing but a P.
    Forever,
}

fn watch(m: &'static M) -> Watch {
    let sched = sched();
    let mut lists = sched.lists();
    m.sleeps_until.store(u64::MAX, Ordering::Relaxed);
    let own = lists.idle.iter().position(|i| i.watcher.is_some_and(|w| w.id == m.id));
    let spare = lists.spare.iter().rposition(|s| s.id == m.id);
    if own.is_none() && spare.is_none() {
        return Watch::Forever;
    }
    // At the limit of threads a P with timers may stand there without a watcher: whoever sleeps looks after it too.
    let watched = lists.idle.iter().enumerate().filter(|(at, i)| own == Some(*at) || i.watcher.is_none());
    let first = watched.map(|(at, i)| (i.p.timers.next_when(), at)).min().filter(|(when, _)| *when != u64::MAX);
    let Some((when, at)) = first else { return Watch::Forever };
    let now = clock::now();
    if when > now {
        m.sleeps_until.store(when, Ordering::Relaxed);
        return Watch::Until(Duration::from_nanos(when - now));
    }
    if let Some(own) = own {
        lists.idle[own].watcher = None;
    } else if let Some(spare) = spare {
        lists.spare.remove(spare);
    }
    let p = lists.idle.remove(at).p;
    sched.idle.p_taken();
    drop(lists);
    sched.wake_sysmon();
    Watch::Due(p)
}

/// The calling M, which had no P, has got `p`.
fn adopt(m: &'static M, p: &'static P) {
    // SAFETY: nobody but the caller has the P, and the token ends at once.
    let _ = unsafe { entry::adopt(m, p) };
}

/// Runs `g` until it leaves, and does what it asked for.
#[inline(always)]
fn run(m: &'static M, g: GRef, inherit: bool) {
    // SAFETY: the worker is inside between two goroutines; the token ends where the P is given up, or before the exit.
    let mut p = unsafe { entry::held(m) }.expect("worker: a P to run on");
    if let Some(last) = g.m()
        && !ptr::eq(last, m)
        && let Some(home) = guard::must_return(g, last)
    {
        return delivery::deliver(m, p, g, home);
    }
    if m.is_tied() && ties::belongs_elsewhere(m, g) {
        match ties::pass_on(m, p, g) {
            Ok(()) => return,
            Err(kept) => p = kept,
        }
    }
    let fresh = g.stack.get().is_null();
    if fresh {
        if g.is_pinned() {
            match g.bound_m() {
                None => return threads::order_pinned(g),
                Some(home) if !ptr::eq(home, m) => return delivery::deliver(m, p, g, home),
                Some(_) => {}
            }
        }
        match spawn::stack_for(&mut p, g) {
            Ok(stack) => g.stack.set(StackHead::install(stack, on_stack, g.as_ptr().cast())),
            Err(error) => {
                m.locked_g_ended.set(g.is_pinned());
                return spawn::fail(g, error);
            }
        }
    }
    begin(m, &p, g, inherit);
    let head = g.stack.get();
    m.lease.exit();
    // SAFETY: the goroutine is this M's, and is suspended or has not begun.
    match unsafe { StackHead::resume(head) } {
        Some(sp) => left(m, sp),
        None => ended(m, head),
    }
}

/// The M takes on `g`, to run at once.
#[inline]
fn begin(m: &'static M, p: &Inside<'_>, g: GRef, inherit: bool) {
    p.count_dispatch(inherit);
    g.transition(State::Runnable, State::Running);
    g.set_m(m);
    m.set_current(Some(g));
}

/// After a goroutine has left its stack, with this stack pointer, for a while: back on the M's stack, inside, perhaps
/// without the P.
#[inline(always)]
fn left(m: &'static M, sp: usize) {
    let g = m.current().expect("worker: somebody has just left");
    m.set_current(None);
    g.sp.set(sp);
    if g.record() != G::SEEN || ties::is_sampled(m) {
        ties::note_left(m, g);
    }
    match m.switch_request.reason.get() {
        SwitchReason::Park => {
            ready::learn(g, m.p().is_some_and(|p| !p.runnext().is_empty()));
            if m.p().is_none() {
                clock::advance_coarse(clock::now());
            }
            g.wait_for(m.switch_request.wait_reason.get());
            chaos::pause();
            let (commit, arg) = (m.switch_request.commit.get(), m.switch_request.arg.get());
            // SAFETY: the note was made for this one call. From here on the goroutine may run elsewhere.
            if !unsafe { commit(arg) } {
                g.transition(State::Waiting, State::Runnable);
                go_on(m, g);
            }
        }
        after => {
            g.transition(State::Running, State::Runnable);
            // SAFETY: the worker is inside between two goroutines; the token ends with the match.
            match (after, unsafe { entry::held(m) }) {
                (SwitchReason::Yield, Some(p)) => ready::push_last(&p, g),
                // It has had its time slice.
                _ if m.is_hogged() => ready::push_deferred(g),
                _ => ready::push_global(g),
            }
        }
    }
}

/// `g` need not have left: it runs next.
#[cold]
fn go_on(m: &'static M, g: GRef) {
    if m.p().is_some() {
        m.next_g.set(Some((g, true)));
    } else {
        ready::push_global(g);
    }
}

/// After a coroutine has ended: its stack is free.
fn ended(m: &'static M, head: *mut StackHead) {
    // SAFETY: the coroutine has ended, and nobody else knows its stack.
    let stack = unsafe { StackHead::into_stack(head) };
    // SAFETY: the worker is inside between two goroutines; the token ends with the match.
    match unsafe { entry::held(m) } {
        Some(mut p) => p.owned_mut().stacks.give(stack),
        None => POOL.give(stack),
    }
}

/// What a coroutine runs: a goroutine, and then others that have never run, until there is none at hand.
fn on_stack(first: Owner) {
    // SAFETY: `run` resumes a fresh stack with its first goroutine.
    let Some(mut g) = (unsafe { GRef::from_ptr(first.cast()) }) else { return };
    loop {
        let head = g.stack.get();
        // SAFETY: once per goroutine, on its stack.
        unsafe { (g.vtable.run)(g) };
        match end(g, head) {
            Some(next) => g = next,
            None => return,
        }
    }
}

/// The closure of `g` has returned: lets those who wait know, and chooses what runs next on this stack. When it returns
/// `None`, the M has been told what to do.
#[inline(never)]
fn end(g: GRef, head: *mut StackHead) -> Option<GRef> {
    ties::note_end(g);
    let detached = hand_over(g);
    let m = current::m().expect("worker: a goroutine ends on an M");
    // SAFETY: `hand_over` has entered; the token ends before the exit, or with the call, when the M switches to its own stack.
    let mut p = unsafe { entry::held(m) };
    if detached {
        // SAFETY: the handle has left, so the block is this side's.
        unsafe { free(p.as_mut(), g) };
    }
    let mut p = p.filter(|p| m.locked_gs.get() == 0 && !p.is_retired())?;
    let (next, inherit) = next_of(m, &mut p)?;
    if !next.starts_anywhere() || (m.is_tied() && ties::belongs_elsewhere(m, next)) {
        m.next_g.set(Some((next, inherit)));
        return None;
    }
    next.stack.set(head);
    // SAFETY: this code runs on the stack that the head belongs to.
    unsafe { (*head).set_owner(next.as_ptr().cast()) };
    begin(m, &p, next, inherit);
    m.lease.exit();
    Some(next)
}

/// Ends `g` for those who wait for it; true if nobody has a handle, so that the block is the caller's. The M is inside
/// afterwards, and runs no goroutine.
fn hand_over(g: GRef) -> bool {
    let mut detached = g.join.is_detached();
    loop {
        if detached {
            // Dropping a result that nobody wants is user code: it runs while this is still a goroutine like any other.
            // SAFETY: the closure has run, and nobody else will look at the result.
            unsafe { (g.vtable.drop_result)(g) };
        }
        let m = current::m().expect("worker: a goroutine ends on an M");
        // Whether the P is still there is for the caller to ask.
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
        // The handle has left since we looked: once more, as a running goroutine.
        g.transition(State::Dead, State::Running);
        m.set_current(Some(g));
        m.lease.exit();
        detached = true;
    }
}

fn count_end(m: &'static M) {
    // SAFETY: the M is inside; the token ends with the match.
    match unsafe { entry::held(m) } {
        Some(p) => p.count_ended(),
        None => {
            sched().ended_outside.fetch_add(1, Ordering::Release);
        }
    }
}

/// # Safety
/// `g` has ended, its result is dropped, and nobody else knows it.
unsafe fn free(p: Option<&mut Inside<'_>>, g: GRef) {
    // SAFETY: the caller's contract.
    unsafe {
        let (block, layout) = spawn::take_apart(g);
        match p {
            Some(p) => p.owned_mut().blocks.free(block, layout),
            None => block::free_foreign(block, layout),
        }
    }
}

/// The M is locked to a goroutine, which has just left: runs it when it comes back, and others that
/// must run here. Meanwhile passes the P on and sleeps. `None` if it is a pinned goroutine that has
/// ended: so does the thread.
#[cold]
fn wait_for_turn(m: &'static M) -> Option<(GRef, bool)> {
    if m.locked_g_ended.get() && m.pinned_g().is_some() {
        if m.p().is_some() {
            park::pass_p_on(m);
        }
        threads::end_pinned(m);
        return None;
    }
    if let Some(next) = m.next_g.take() {
        return Some(next);
    }
    loop {
        if m.p().is_some() {
            if let Some(g) = m.inbox.take() {
                return Some((g, false));
            }
            park::pass_p_on(m);
        }
        // What has come meanwhile gets a P like any other, and brings it here.
        ready::push_global_all(m.inbox.sleep_for_any());
        park::wait_for_p(m);
    }
}
