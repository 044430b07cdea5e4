//! The waits of the protocols behind the locks: a goroutine parks, and a foreign thread sleeps.
//!
//! A wait may be limited by a deadline ([`UntilDeadline`]) or by a context ([`UntilCtxEnds`]).
//!
//! # Invariants
//! * I1: a claim stays in the frame of its wait. The frame is left only when no other thread can
//!   still find the waiter's node.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use greenthread_channels::closing::{CloseWaiter, Closing};
use greenthread_ctx::{Context, Error};
use greenthread_scheduler::deadline::Timed;
use greenthread_scheduler::protocol::claim::{Case, Claim};
use greenthread_scheduler::protocol::sync::env::{Limit, Wait, WaitOutcome, Wake};
use greenthread_scheduler::protocol::sync::raw_mutex::TimedWait;
use greenthread_scheduler::wait::{Blocker, Waker};
use greenthread_scheduler::{WaitReason, spinning};

/// The time after which a waiter that keeps losing gets the lock by hand-off (Go's
/// `starvationThresholdNs`).
const STARVATION: Duration = Duration::from_millis(1);

/// The number of rounds that a waiter spins before it parks (Go's `active_spin`).
const SPIN_ROUNDS: u32 = 4;

/// The cases of a claim that a limit may end.
const SERVED: usize = 0;
const ENDED: usize = 1;

/// The wait reason of one kind of lock, as dumps show it.
pub(crate) trait Reason {
    const REASON: WaitReason;
}

/// The waker of a waiter whose wait may already have ended in another way.
#[derive(Clone, Copy)]
pub(crate) struct CaseWaker {
    case: Case,
    waker: Waker,
}

impl Wake for CaseWaker {
    fn prefetch(&self) {
        Wake::prefetch(&self.waker);
    }

    unsafe fn reserve(&self) -> bool {
        // SAFETY: the caller keeps the contract of `Wake::reserve`, which is the same as the
        // contract of `Case::reserve`.
        unsafe { self.case.reserve() }
    }

    unsafe fn wake(self) {
        // SAFETY: the caller keeps the contract of `Wake::wake`: the waiter blocks, and this is its
        // one wake-up.
        unsafe { self.waker.wake() };
    }
}

/// One wait of the caller, which is a goroutine or a thread.
pub(crate) struct BlockingWait<R>(Blocker, PhantomData<R>);

// SAFETY: `block` returns only after the waker was used, since a `Blocker` blocks until then.
unsafe impl<R: Reason> Wait for BlockingWait<R> {
    type Waker = CaseWaker;

    fn new() -> Self {
        Self(Blocker::new(), PhantomData)
    }

    fn waker(&self) -> CaseWaker {
        CaseWaker { case: Case::only(), waker: self.0.waker() }
    }

    unsafe fn block(&self, commit: impl FnOnce()) {
        // SAFETY: the caller keeps the contract of `Wait::block`, which is the same as the contract
        // of `Blocker::block`.
        unsafe { self.0.block(R::REASON, commit) };
    }

    fn spin(round: u32) -> bool {
        if round >= SPIN_ROUNDS || !spinning::is_worth_it() {
            return false;
        }
        spinning::spin();
        true
    }
}

impl<R: Reason> TimedWait for BlockingWait<R> {
    type Since = Instant;

    fn now() -> Instant {
        Instant::now()
    }

    fn starved(since: Instant) -> bool {
        since.elapsed() > STARVATION
    }
}

/// A wait that ends when its waker is used, or when the claim's other case is taken.
struct LimitedWait {
    blocker: Blocker,
    claim: Claim,
}

impl LimitedWait {
    fn new(claim: Claim) -> Self {
        Self { blocker: Blocker::new(), claim }
    }

    /// Returns the waker for the lock's queue. It is valid as long as `self` is not moved.
    fn waker(&self) -> CaseWaker {
        CaseWaker { case: Case::of(NonNull::from(&self.claim), SERVED), waker: self.blocker.waker() }
    }

    fn is_served(&self) -> bool {
        self.claim.winner() == Some(SERVED)
    }

    /// Reports how the wait ended. Calls `withdraw` if no waker has served it.
    fn end(&self, withdraw: impl FnOnce()) -> WaitOutcome {
        if self.is_served() {
            return WaitOutcome::Served;
        }
        withdraw();
        WaitOutcome::Ended
    }
}

/// A limit for waits with the reason `R`: a point in time.
pub(super) struct UntilDeadline<R>(Instant, PhantomData<R>);

impl<R> UntilDeadline<R> {
    pub(super) fn new(deadline: Instant) -> Self {
        Self(deadline, PhantomData)
    }

    /// Creates the limit `timeout` from now. A timeout too long for the clock practically never
    /// ends.
    pub(super) fn after(timeout: Duration) -> Self {
        let far = Duration::from_secs(u64::from(u32::MAX));
        let now = Instant::now();
        Self::new(now.checked_add(timeout).unwrap_or_else(|| now + far))
    }
}

// SAFETY: `wait` returns `Served` only if a waker took the claim, and otherwise calls `withdraw`.
unsafe impl<R: Reason> Limit for UntilDeadline<R> {
    type Waker = CaseWaker;

    fn has_come(&self) -> bool {
        self.0 <= Instant::now()
    }

    unsafe fn wait<C: FnOnce()>(
        &self,
        enter: impl FnOnce(CaseWaker) -> Option<C>,
        withdraw: impl FnOnce(),
    ) -> WaitOutcome {
        let wait = LimitedWait::new(Claim::shut());
        let block = |timed: Timed<'_>| {
            let Some(commit) = enter(wait.waker()) else { return WaitOutcome::NotNeeded };
            // SAFETY: the commit step releases only the queue's lock. The waker's user, or the
            // caller through `withdraw`, has passed through that lock by the time this frame is
            // left (I1).
            unsafe { timed.block(R::REASON, commit) };
            wait.end(withdraw)
        };
        // SAFETY: the claim is new and shut, and nothing else opens it.
        unsafe { wait.blocker.with_deadline(self.0, &wait.claim, ENDED, block) }
    }
}

/// A limit for waits with the reason `R`: the end of a context.
pub(super) struct UntilCtxEnds<'a, R>(&'a Context, PhantomData<R>);

impl<'a, R> UntilCtxEnds<'a, R> {
    pub(super) fn new(ctx: &'a Context) -> Self {
        Self(ctx, PhantomData)
    }
}

// SAFETY: `wait` returns `Served` only if a waker took the claim, and otherwise calls `withdraw`.
unsafe impl<R: Reason> Limit for UntilCtxEnds<'_, R> {
    type Waker = CaseWaker;

    fn has_come(&self) -> bool {
        self.0.err().is_some()
    }

    unsafe fn wait<C: FnOnce()>(
        &self,
        enter: impl FnOnce(CaseWaker) -> Option<C>,
        withdraw: impl FnOnce(),
    ) -> WaitOutcome {
        let (wait, done) = (LimitedWait::new(Claim::new()), Closing::of(self.0.done()));
        let watch = CloseWaiter::new(Case::of(NonNull::from(&wait.claim), ENDED), wait.blocker.waker());
        let Some(commit) = enter(wait.waker()) else { return WaitOutcome::NotNeeded };
        // SAFETY: the claim is open. Its other node can be found only under the lock that `enter`
        // has kept, and that is not a channel's lock.
        let Some(joined) = (unsafe { done.join(&watch) }) else {
            let ended = wait.claim.take(ENDED);
            debug_assert!(ended, "sync: another thread found a node while its lock was held");
            commit();
            return wait.end(withdraw);
        };
        let commit = move || {
            commit();
            // No matter what takes the claim, this frame is left only after `leave` or the closer
            // has passed through the channel's lock (I1).
            joined.unlock();
        };
        // SAFETY: the blocker belongs to this call. The watch has joined; `leave` comes after the
        // wake-up, and no lock is held then.
        unsafe {
            wait.blocker.block(R::REASON, commit);
            done.leave(&watch, !wait.is_served());
        }
        wait.end(withdraw)
    }
}

/// Returns the result of `acquire`, or an error if `ctx` ends first.
///
/// If the context has ended by the time that `acquire` returns, the error wins, and the result is
/// dropped.
#[inline]
pub(super) fn within<R, T>(ctx: &Context, acquire: impl FnOnce(&UntilCtxEnds<'_, R>) -> Option<T>) -> Result<T, Error> {
    let acquired = match ctx.err() {
        None => acquire(&UntilCtxEnds::new(ctx)),
        Some(_) => None,
    };
    match ctx.err() {
        None => Ok(acquired.expect("sync: only the end of the context limits the wait")),
        Some(error) => Err(error),
    }
}

/// Blocks for `reason` until a waker takes the claim, or until the context ends and takes it for
/// `case`. May return without blocking if the context has ended.
///
/// # Safety
/// The claim is shut, stays in the caller's frame (I1), and nothing else opens it. Any code that
/// takes the claim for another case takes it early, and uses `blocker`'s waker if the claim was
/// open.
pub(super) unsafe fn block_until_ctx_ends(
    ctx: &Context,
    reason: WaitReason,
    blocker: &Blocker,
    claim: &Claim,
    case: usize,
) {
    let done = Closing::of(ctx.done());
    let watch = CloseWaiter::new(Case::of(NonNull::from(claim), case), blocker.waker());
    // SAFETY: the claim is opened before the channel's lock is released, and others take it early,
    // as the caller promises. The caller's frame is left after `leave`, by which time the commit
    // step no longer touches it (I1).
    unsafe {
        let Some(joined) = done.join(&watch) else {
            // No wake-up is owed for a shut claim. If the claim was already taken, this wait has
            // also ended.
            let _ = claim.take_early(case);
            return;
        };
        blocker.block_if(reason, move || {
            let opened = claim.open();
            joined.unlock();
            opened
        });
        done.leave(&watch, claim.winner() == Some(case));
    }
}
