//! How the locks' protocols wait here: a goroutine parks, a thread sleeps; until a deadline, or as long as a context lasts.
//!
//! # Invariants
//! * I1: a claim stays in the frame of its wait, which is left when nobody finds the waiter's node any more.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use greenthread_channels::closing::{Closing, Watch};
use greenthread_ctx::{Context, Error};
use greenthread_scheduler::deadline::Timed;
use greenthread_scheduler::protocol::claim::{Case, Claim};
use greenthread_scheduler::protocol::sync::env::{Limit, Wait, Wake, Woken};
use greenthread_scheduler::protocol::sync::raw_mutex::TimedWait;
use greenthread_scheduler::wait::{Blocker, Waker};
use greenthread_scheduler::{WaitReason, spinning};

/// How long a waiter may lose before it gets the lock by hand-over (Go's `starvationThresholdNs`).
const STARVATION: Duration = Duration::from_millis(1);

/// Times that a waiter spins before it sleeps (Go's `active_spin`).
const SPIN_ROUNDS: u32 = 4;

/// The cases of a wait that may be ended.
const SERVED: usize = 0;
const ENDED: usize = 1;

/// What the waiters of one kind of lock wait for, as dumps show it.
pub(crate) trait Reason {
    const REASON: WaitReason;
}

/// Wakes a waiter whose wait may have ended in another way before.
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
        // SAFETY: the contract of this function is that of `Case::reserve`.
        unsafe { self.case.reserve() }
    }

    unsafe fn wake(self) {
        // SAFETY: the contract of this function is that of `Waker::wake`.
        unsafe { self.waker.wake() };
    }
}

/// One wait of the caller, goroutine or thread.
pub(crate) struct BlockingWait<R>(Blocker, PhantomData<R>);

// SAFETY: a `Blocker` blocks until its waker is used.
unsafe impl<R: Reason> Wait for BlockingWait<R> {
    type Waker = CaseWaker;

    fn new() -> Self {
        Self(Blocker::new(), PhantomData)
    }

    fn waker(&self) -> CaseWaker {
        CaseWaker { case: Case::only(), waker: self.0.waker() }
    }

    unsafe fn block(&self, commit: impl FnOnce()) {
        // SAFETY: the contract of this function is that of the one called.
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

/// One wait that ends by its waker, or else by what has the claim's other case.
struct LimitedWait {
    blocker: Blocker,
    claim: Claim,
}

impl LimitedWait {
    fn new(claim: Claim) -> Self {
        Self { blocker: Blocker::new(), claim }
    }

    /// The waker for the lock's queue. Valid as long as this is not moved.
    fn waker(&self) -> CaseWaker {
        CaseWaker { case: Case::of(NonNull::from(&self.claim), SERVED), waker: self.blocker.waker() }
    }

    fn is_served(&self) -> bool {
        self.claim.winner() == Some(SERVED)
    }

    /// The wait is over, in one way or the other.
    fn end(&self, withdraw: impl FnOnce()) -> Woken {
        if self.is_served() {
            return Woken::Served;
        }
        withdraw();
        Woken::Ended
    }
}

/// Waits for the reason `R` until this time at the latest.
pub(super) struct UntilDeadline<R>(Instant, PhantomData<R>);

impl<R> UntilDeadline<R> {
    pub(super) fn new(deadline: Instant) -> Self {
        Self(deadline, PhantomData)
    }

    /// A timeout that no clock can express ends when the clock does, as good as never.
    pub(super) fn after(timeout: Duration) -> Self {
        let far = Duration::from_secs(u64::from(u32::MAX));
        let now = Instant::now();
        Self::new(now.checked_add(timeout).unwrap_or_else(|| now + far))
    }
}

// SAFETY: it ends served, or withdraws.
unsafe impl<R: Reason> Limit for UntilDeadline<R> {
    type Waker = CaseWaker;

    fn has_come(&self) -> bool {
        self.0 <= Instant::now()
    }

    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(CaseWaker) -> Option<C>, withdraw: impl FnOnce()) -> Woken {
        let wait = LimitedWait::new(Claim::shut());
        let block = |timed: Timed<'_>| {
            let Some(commit) = enter(wait.waker()) else { return Woken::Needless };
            // SAFETY: the commit step releases the one lock, which the waker's user or the caller has had when this wait is left.
            unsafe { timed.block(R::REASON, commit) };
            wait.end(withdraw)
        };
        // SAFETY: the claim is new and shut, and nobody else opens it.
        unsafe { wait.blocker.with_deadline(self.0, &wait.claim, ENDED, block) }
    }
}

/// Waits for the reason `R` as long as the context lasts.
pub(super) struct UntilCtxEnds<'a, R>(&'a Context, PhantomData<R>);

impl<'a, R> UntilCtxEnds<'a, R> {
    pub(super) fn new(ctx: &'a Context) -> Self {
        Self(ctx, PhantomData)
    }
}

// SAFETY: it ends served, or withdraws.
unsafe impl<R: Reason> Limit for UntilCtxEnds<'_, R> {
    type Waker = CaseWaker;

    fn has_come(&self) -> bool {
        self.0.err().is_some()
    }

    unsafe fn wait<C: FnOnce()>(&self, enter: impl FnOnce(CaseWaker) -> Option<C>, withdraw: impl FnOnce()) -> Woken {
        let (wait, done) = (LimitedWait::new(Claim::new()), Closing::of(self.0.done()));
        let watch = Watch::new(Case::of(NonNull::from(&wait.claim), ENDED), wait.blocker.waker());
        let Some(commit) = enter(wait.waker()) else { return Woken::Needless };
        // SAFETY: the claim is open, and its other node is found under the lock that `enter` has kept, which is no channel's.
        if !unsafe { done.join(&watch) } {
            let ended = wait.claim.take(ENDED);
            debug_assert!(ended, "wait: somebody has found a node whose lock is held");
            commit();
            return wait.end(withdraw);
        }
        let commit = move || {
            commit();
            // SAFETY: joined above. Whoever wins, the channel's lock is passed through in `leave`, or its closer has had it since.
            unsafe { done.unlock() };
        };
        // SAFETY: the blocker is the caller's own. Joined, blocked and woken; no lock is held.
        unsafe {
            wait.blocker.block(R::REASON, commit);
            done.leave(&watch, !wait.is_served());
        }
        wait.end(withdraw)
    }
}

/// What `acquire` gets as long as `ctx` lasts. If the context has ended meanwhile that wins, and what was acquired is dropped.
#[inline]
pub(super) fn within<R, T>(ctx: &Context, acquire: impl FnOnce(&UntilCtxEnds<'_, R>) -> Option<T>) -> Result<T, Error> {
    let acquired = match ctx.err() {
        None => acquire(&UntilCtxEnds::new(ctx)),
        Some(_) => None,
    };
    match ctx.err() {
        None => Ok(acquired.expect("wait: only the end of the context limits it")),
        Some(error) => Err(error),
    }
}

/// Blocks for `reason` until a waker comes, or until the context ends, when the claim is taken for `case`. One whose
/// context has ended need not block.
///
/// # Safety
/// The claim is shut, stays in the caller's frame, and nobody else opens it. Whoever takes it for another case does so early, and
/// by `blocker`'s waker if it was open.
pub(super) unsafe fn block_until_ctx_ends(
    ctx: &Context,
    reason: WaitReason,
    blocker: &Blocker,
    claim: &Claim,
    case: usize,
) {
    let done = Closing::of(ctx.done());
    let watch = Watch::new(Case::of(NonNull::from(claim), case), blocker.waker());
    // SAFETY: the claim is opened before the channel's lock is released, and others take it early. The caller's frame is left after
    // `leave`, by which the commit step is done with it (I1).
    unsafe {
        if !done.join(&watch) {
            // A claim that is shut is owed no wake; one that was taken before means the same for this wait.
            let _ = claim.take_early(case);
            return;
        }
        blocker.block_if(reason, move || {
            let opened = claim.open();
            done.unlock();
            opened
        });
        done.leave(&watch, claim.winner() == Some(case));
    }
}
