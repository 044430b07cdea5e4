//! Giving the CPU up.
//!
//! # Parking
//! The goroutine leaves a note for its M ([`SwitchReason`]) and switches to the M's own stack; there the worker marks it as waiting
//! and runs the *commit* step, which releases the lock that kept wakers out. From then on a waker may ready the
//! goroutine, and another M may run it at once: its registers are saved, and nobody touches its stack any more.
//!
//! # Parking while panicking
//! std counts panics per thread. A goroutine that parks in a destructor while it unwinds must therefore come back on the
//! same thread, and no other goroutine may run on that thread meanwhile. So it does not switch: it passes its P on, and
//! blocks its M until the waker's goroutine queue has handed that M a P again ([`park_in_place`]).
//! For the same reason it does not yield, and if it loses its P it goes on without one ([`reacquire_p`]). All of this asks
//! [`unwinds_here`], which also holds in the panic hook.
//!
//! What would happen if it switched: goroutines that run on its thread meanwhile find `thread::panicking` true, and poison
//! the locks whose guards they drop; if it comes back on another thread, the one count stays too high for ever, and
//! the other wraps around below zero. `runtime/tests/threads/unwinding.rs` shows the first two.
//!
//! Rejected: *to carry the count along*, as nothing gives access to it; *to lock the goroutine to its M*, and switch: the count
//! would be right again when it comes back, but not for the scheduler's own stack and whatever that wakes and drops; *to
//! forbid it*, as destructors that wait (of scopes, of handles, of buffered writers) are what makes unwinding sound.

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

/// In chaos, of so many goroutines that come back without a P, one queues for one.
const CHAOS_QUEUE: u64 = 2;

/// Parks the calling goroutine `g` until somebody readies it. `commit` runs once, when wakers may come; if it returns false, no
/// waker will come, and the goroutine goes on.
///
/// `commit` must not panic or park. Its last access to memory that a waker may free is the store that lets the waker in; after
/// that it may wake others, with wakers that it has brought along.
#[inline]
pub(crate) fn park<C: FnOnce() -> bool>(g: GRef, reason: WaitReason, commit: C) {
    if unwinds_here() {
        return park_in_place(g, reason, commit);
    }
    /// # Safety
    /// `arg` points to a `C` that nobody reads afterwards.
    unsafe fn call<C: FnOnce() -> bool>(arg: *mut ()) -> bool {
        // SAFETY: the caller's contract. The closure is moved out first: its frame is not ours once it lets a waker in.
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

/// Whether the calling goroutine unwinds, and so must stay on its thread, alone.
#[inline]
fn unwinds_here() -> bool {
    std::thread::panicking() && Mechanism::ParkInPlace.is_on()
}

/// Switches to the M's stack, with a note on what to do. Returns when the goroutine runs again, perhaps on another thread.
fn enter_and_suspend(g: GRef, reason: SwitchReason) {
    let m = m_of(g);
    // Whether the P is still there does not matter here: the worker looks at `m.p()`.
    let _ = entry::enter(m);
    suspend(m, g, reason);
}

/// As [`enter_and_suspend`], from inside.
#[inline]
fn suspend(m: &'static M, g: GRef, reason: SwitchReason) {
    m.switch_request.reason.set(reason);
    // SAFETY: the caller runs on this stack.
    unsafe { StackHead::suspend(g.stack.get()) };
}

/// The M that runs `g`, the calling goroutine.
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
    // As on the scheduler's stack, so that the commit step may wake others.
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

/// Locks `g` to the M `home`, or frees it.
pub(crate) fn bind(g: GRef, home: Option<&'static M>) {
    g.bound_to.store(home.map_or(std::ptr::null_mut(), |m| std::ptr::from_ref(m).cast_mut()), Ordering::Relaxed);
}

/// The calling M, inside and with a P, gives it to another M.
pub(crate) fn pass_p_on(m: &'static M) {
    // SAFETY: this is the calling M, inside; the token ends here.
    let p = unsafe { entry::held(m) }.expect("park: a P to pass on");
    handoff::hand_off(entry::give_up(m, p));
}

/// Blocks the calling M, which stands in no list, until a P is handed to it. It is inside afterwards.
pub(crate) fn wait_for_p(m: &'static M) {
    // If it is I/O that the goroutine waits for, this M does not see to it.
    handoff::ensure_poller();
    let sched = sched();
    // ORDERING P1 of `deadlock`. It may have come here without a P, after a long call.
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

/// Lets others run (Go's `Gosched`). See `greenthread::yield_now`.
pub fn yield_now() {
    let Some(g) = current::g() else { return std::thread::yield_now() };
    if unwinds_here() {
        return;
    }
    let m = m_of(g);
    if !entry::enter(m) {
        return reacquire_p(NoP::Lost(m));
    }
    // SAFETY: this is the calling M, which has entered; the token is not used after the switch or the exit.
    let p = unsafe { entry::held(m) }.expect("park: a lease that holds has a P");
    // Who waits for I/O is found by dispatches, of which a lone goroutine that yields must make some.
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

/// Lets others run if the calling goroutine has lost its P, or if somebody waits who must run on its thread. To be
/// called at the beginning of what takes its time, but need not park.
///
/// Who does nothing else for long, such as send what never waits for room, would otherwise keep its thread from those
/// who must run there, for ever.
#[inline]
pub fn checkpoint() {
    if current::m().is_some_and(|m| m.lease.is_noticed() || !m.inbox.is_empty()) {
        yield_now();
    }
}

/// Goes to the end of the queue, even if nobody else waits: for who had better be on another thread.
pub(crate) fn requeue() {
    if let Some(g) = current::g()
        && !unwinds_here()
    {
        enter_and_suspend(g, SwitchReason::Yield);
    }
}

/// Goes to the end of the global queue.
pub(crate) fn yield_now_globally() {
    if let Some(g) = current::g() {
        enter_and_suspend(g, SwitchReason::YieldGlobally);
    }
}

/// To be called by a goroutine at the end of an operation that found its P lost: takes an idle P, or queues for one.
#[cold]
pub(crate) fn reacquire_p(missing: NoP) {
    let NoP::Lost(m) = missing else { return };
    // On the scheduler's stack the worker loop settles it. A goroutine that unwinds may not move to another thread:
    // it goes on without a P for the rest of its panic.
    if m.current().is_none() || unwinds_here() {
        return;
    }
    // Who must run on this thread has had no turn while this goroutine was away.
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
