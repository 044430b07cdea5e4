//! Parking, yielding, and what a goroutine does when it has lost its P.
//!
//! # Parking
//! The goroutine leaves a request for its M ([`SwitchReason`]) and switches to the system stack.
//! There the worker marks it as waiting and runs the *commit step*, which releases the lock that
//! kept wakers out. From then on a waker may ready the goroutine, and another M may run it
//! immediately. That is safe because its registers are saved and its stack is no longer touched.
//!
//! # Parking while panicking
//! std counts panics per thread. So a goroutine that parks in a destructor while it unwinds must
//! resume on the same thread, and no other goroutine may run on that thread in between. Such a
//! goroutine does not switch. Instead, it hands off its P and blocks its M ([`park_in_place`]).
//! When another M finds the readied goroutine in a queue, it hands a P to the blocked M. For the
//! same reason an unwinding goroutine does not yield, and if it loses its P it continues without
//! one ([`reacquire_p`]). All of this depends on [`unwinds_here`], which also returns `true` in the
//! panic hook.
//!
//! If it did switch, other goroutines that ran on its thread in between would find
//! `thread::panicking` true and poison the locks whose guards they drop. If it resumed on another
//! thread, the first thread's count would stay too high forever, and the second thread's count
//! would wrap around below zero. `runtime/tests/threads/unwinding.rs` demonstrates the first two
//! effects.
//!
//! # Rejected
//! * *Moving the count along with the goroutine*: std provides no access to the count.
//! * *Locking the goroutine to its M, and switching*: the count would be right again when the
//!   goroutine resumes, but wrong for the worker and for everything that the worker wakes and
//!   drops.
//! * *Forbidding it*: unwinding is sound only because destructors wait (of scopes, of handles, of
//!   buffered writers).

use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;

use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, M, State, SwitchReason};
use crate::netpoll::ROLE;
use crate::sched::current;
use crate::sched::entry::{self, NoP};
use crate::sched::handoff;
use crate::task::coroutine::StackHead;
use crate::testing::chaos;
use crate::testing::mechanism::Mechanism;
use crate::time::clock;

/// Chaos mode: of the goroutines that return without a P, one in this many queues for a P.
const CHAOS_QUEUE: u64 = 2;

/// Parks the calling goroutine `g` until a waker readies it.
///
/// `commit` runs once, when wakers may arrive. If it returns `false`, no waker will arrive, and the
/// goroutine continues.
///
/// `commit` must not panic or park. Its last access to memory that a waker may free is the store
/// that lets the waker in. After that store it may wake others, using wakers that it holds by
/// value.
#[inline]
pub(crate) fn park<C: FnOnce() -> bool>(g: GRef, reason: WaitReason, commit: C) {
    if unwinds_here() {
        return park_in_place(g, reason, commit);
    }
    /// Runs the commit step.
    ///
    /// # Safety
    /// `arg` points to a `C` that is not read afterwards.
    unsafe fn call<C: FnOnce() -> bool>(arg: *mut ()) -> bool {
        // SAFETY: `arg` points to a `C`, which is read only here. The `C` is moved out first, since
        // its frame may no longer exist once it has let a waker in.
        let commit = unsafe { arg.cast::<C>().read() };
        commit()
    }
    let mut commit = ManuallyDrop::new(commit);
    let request = &m_of(g).switch_request;
    request.wait_reason.set(reason);
    request.commit.set(call::<C>);
    request.arg.set((&raw mut commit).cast());
    enter_and_suspend(g, SwitchReason::Park);
}

/// Returns `true` if the calling goroutine is unwinding.
///
/// It must then stay on its thread, and no other goroutine may run there.
#[inline]
fn unwinds_here() -> bool {
    std::thread::panicking() && Mechanism::ParkInPlace.is_on()
}

/// Enters the scheduler and switches to the system stack with a request for the worker.
///
/// Returns when the goroutine runs again, possibly on another thread.
fn enter_and_suspend(g: GRef, reason: SwitchReason) {
    let m = m_of(g);
    // Losing the P does not matter here: the worker checks `m.p()`.
    let _ = entry::enter(m);
    suspend(m, g, reason);
}

/// Switches to the system stack with a request, for a goroutine that has already entered.
#[inline]
fn suspend(m: &'static M, g: GRef, reason: SwitchReason) {
    m.switch_request.reason.set(reason);
    // SAFETY: the caller runs on this stack.
    unsafe { StackHead::suspend(g.stack.get()) };
}

/// Returns the M that runs `g`, the calling goroutine.
#[inline]
fn m_of(g: GRef) -> &'static M {
    g.m().expect("park: a goroutine runs on an M")
}

#[cold]
fn park_in_place(g: GRef, reason: WaitReason, commit: impl FnOnce() -> bool) {
    let m = m_of(g);
    let had_p = entry::enter(m);
    let home = g.bound_m();
    bind(g, Some(m));
    clock::advance_coarse(clock::now());
    m.inbox.sleep_for(g);
    g.wait_for(reason);
    // No current goroutine, as on the system stack, so that the commit step may wake others.
    m.set_current(None);
    let waits = commit();
    m.set_current(Some(g));
    if waits {
        if had_p {
            pass_p_on(m);
        }
        wait_for_p(m);
        g.transition(State::Runnable, State::Running);
    } else {
        m.inbox.cancel_sleep();
        g.transition(State::Waiting, State::Running);
    }
    bind(g, home);
    m.lease.exit();
}

/// Locks `g` to the M `home`, or unlocks it.
pub(crate) fn bind(g: GRef, home: Option<&'static M>) {
    g.bound_to.store(home.map_or(std::ptr::null_mut(), |m| std::ptr::from_ref(m).cast_mut()), Ordering::Relaxed);
}

/// Hands off the P of the calling M, which has entered, to another M.
pub(crate) fn pass_p_on(m: &'static M) {
    // SAFETY: this is the calling M, and it has entered. `p` is the only token and is consumed
    // here.
    let p = unsafe { entry::held(m) }.expect("park: a P to pass on");
    handoff::hand_off(entry::give_up(m, p));
}

/// Blocks the calling M, which is in no list, until it is handed a P.
///
/// When this returns, the M has entered.
pub(crate) fn wait_for_p(m: &'static M) {
    // This M will not poll, even if the goroutine waits for I/O.
    handoff::ensure_poller();
    let sched = sched();
    // ORDERING P1 of `deadlock`. The M may have arrived here without a P, after a long call.
    sched.blocked_ms.fetch_add(1, Ordering::SeqCst);
    sched.wake_sysmon();
    let p = loop {
        if let Some((p, _)) = m.take_handed_p() {
            break p;
        }
        m.parker.park();
    };
    sched.blocked_ms.fetch_sub(1, Ordering::Relaxed);
    m.set_p(Some(p));
    m.lease.renew();
}

/// Lets other goroutines run (Go's `Gosched`).
///
/// See `greenthread::yield_now`.
pub fn yield_now() {
    let Some(g) = current::g() else { return std::thread::yield_now() };
    if unwinds_here() {
        return;
    }
    let m = m_of(g);
    if !entry::enter(m) {
        return reacquire_p(NoP::Lost(m));
    }
    // SAFETY: this is the calling M, and it has entered; the token is not used after the switch or
    // the exit.
    let p = unsafe { entry::held(m) }.expect("park: a lease that holds has a P");
    // Polling happens between dispatches, so even a lone goroutine that yields must cause some
    // dispatches.
    if p.has_own_work()
        || p.timers.any()
        || p.is_retired()
        || !sched().global.is_empty()
        || ROLE.is_worth_a_look()
        || !m.inbox.is_empty()
    {
        suspend(m, g, SwitchReason::Yield);
    } else {
        m.lease.exit();
    }
}

/// Yields if the calling goroutine has lost its P, or if another goroutine that must run on this
/// thread is waiting.
///
/// Call this at the beginning of an operation that takes time but need not park. Otherwise, a
/// goroutine that does nothing else for a long time, such as sends that never wait for room, would
/// keep its thread forever from the goroutines that must run there.
#[inline]
pub fn checkpoint() {
    if current::m().is_some_and(|m| m.lease.is_noticed() || !m.inbox.is_empty()) {
        yield_now();
    }
}

/// Moves the calling goroutine to the end of the queue, even if no other goroutine is waiting, so
/// that another thread can run it.
pub(crate) fn requeue() {
    if let Some(g) = current::g()
        && !unwinds_here()
    {
        enter_and_suspend(g, SwitchReason::Yield);
    }
}

/// Moves the calling goroutine to the end of the global queue.
pub(crate) fn yield_now_globally() {
    if let Some(g) = current::g() {
        enter_and_suspend(g, SwitchReason::YieldGlobally);
    }
}

/// Takes an idle P for a goroutine that has lost its P, or queues the goroutine for a P.
///
/// The goroutine calls this at the end of the operation that found the P lost.
#[cold]
pub(crate) fn reacquire_p(missing: NoP) {
    let NoP::Lost(m) = missing else { return };
    // On the system stack, the worker's loop handles the loss. An unwinding goroutine may not move
    // to another thread, so it continues without a P for the rest of its panic.
    if m.current().is_none() || unwinds_here() {
        return;
    }
    // While this goroutine was away, the goroutines that must run on this thread did not get a
    // turn.
    let queues = !m.inbox.is_empty() || chaos::one_in(CHAOS_QUEUE);
    match if queues { None } else { handoff::acquire_p() } {
        Some(p) => {
            m.set_p(Some(p));
            m.lease.renew();
            m.lease.exit();
        }
        None => yield_now_globally(),
    }
}
