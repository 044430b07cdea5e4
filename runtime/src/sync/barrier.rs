//! `Barrier`: a number of goroutines meet, and then all continue.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_barrier`.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::sync::raw_barrier::RawBarrier;

use super::blocking_wait::{BlockingWait, Reason, UntilCtxEnds};

/// A meeting point at which a number of goroutines or threads wait for each other.
///
/// The interface matches [`std::sync::Barrier`]. Go has no counterpart; a Go program uses a
/// `sync.WaitGroup`, on which each goroutine calls `Done` and then `Wait`.
///
/// The barrier can be used again at once, for the next round. Everything a participant did before
/// its `wait` is visible to all participants after their own `wait`.
///
/// ```
/// use greenthread::{scope, sync::Barrier};
///
/// let barrier = Barrier::new(3);
/// let leaders = scope(|s| {
///     let all: Vec<_> = (0..3).map(|_| s.spawn(|| barrier.wait().is_leader())).collect();
///     all.into_iter().map(|one| u32::from(one.join().unwrap())).sum::<u32>()
/// });
/// assert_eq!(leaders, 1);
/// ```
pub struct Barrier {
    raw: RawBarrier<BlockingWait<Meeting>>,
}

impl Barrier {
    /// Creates a barrier for `n` participants.
    ///
    /// With 0 or 1, `wait` does not block.
    ///
    /// ```
    /// // A barrier for one does not block.
    /// assert!(greenthread::sync::Barrier::new(1).wait().is_leader());
    /// ```
    #[inline]
    pub const fn new(n: usize) -> Self {
        Self { raw: RawBarrier::new(n) }
    }

    /// Blocks until `n` participants have arrived.
    ///
    /// The last one is the leader. It does not block, and wakes the others in the order in which
    /// they arrived.
    ///
    /// ```
    /// use greenthread::{scope, sync::{Barrier, Value}};
    ///
    /// let (ready, config) = (Barrier::new(2), Value::new());
    /// scope(|s| {
    ///     s.spawn(|| {
    ///         config.store("loaded");
    ///         ready.wait();
    ///     });
    ///     ready.wait();
    ///     assert_eq!(config.load().as_deref(), Some(&"loaded"));
    /// });
    /// ```
    pub fn wait(&self) -> BarrierWaitResult {
        BarrierWaitResult(self.raw.wait())
    }

    /// Waits like [`wait`](Self::wait), unless the context ends first.
    ///
    /// A participant that leaves because its context ends does not count: the others of the round
    /// wait until `n` participants have arrived without it, and the barrier can be used as before.
    /// To end the round for all participants, let all of them wait with the same context. Go has no
    /// counterpart.
    ///
    /// All participants of a round get the same answer. If the last one arrives before the context
    /// ends, this returns `Ok`, even if the context ends before the return.
    ///
    /// # Errors
    /// If the context ends before `n` participants have arrived, or if it had ended before the
    /// call.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::{scope, sync::Barrier};
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2);
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert_eq!(barrier.wait_ctx(&ctx).err(), Some(Error::DeadlineExceeded), "alone");
    /// scope(|s| {
    ///     s.spawn(|| barrier.wait());
    ///     barrier.wait(); // these two meet
    /// });
    /// ```
    pub fn wait_ctx(&self, ctx: &Context) -> Result<BarrierWaitResult, Error> {
        match self.raw.wait_within(&UntilCtxEnds::<Meeting>::new(ctx)) {
            Some(leader) => Ok(BarrierWaitResult(leader)),
            None => Err(ctx.err().expect("sync: only the end of the context limits the wait")),
        }
    }
}

// A panic leaves nothing half done, since the type holds no user data.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("size", &self.raw.size()).finish_non_exhaustive()
    }
}

/// The result of [`Barrier::wait`], which tells whether the caller was the leader of its round.
///
/// ```
/// use greenthread::sync::{Barrier, BarrierWaitResult};
///
/// let result: BarrierWaitResult = Barrier::new(1).wait();
/// assert!(result.is_leader());
/// ```
#[derive(Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Returns `true` for exactly one participant in each round, the last one to arrive.
    ///
    /// ```
    /// let barrier = greenthread::sync::Barrier::new(1);
    /// if barrier.wait().is_leader() {
    ///     println!("all have come: on with the next round");
    /// }
    /// ```
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

/// The wait for the others of a round.
struct Meeting;

impl Reason for Meeting {
    const REASON: WaitReason = WaitReason::BarrierWait;
}
