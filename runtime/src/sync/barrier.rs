//! `Barrier`: a number of goroutines meet, then all go on.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_barrier`.

use std::fmt;

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::sync::raw_barrier::RawBarrier;

use super::blocking_wait::{BlockingWait, Reason, UntilCtxEnds};

/// Lets a number of goroutines or threads wait for each other. The interface is that of [`std::sync::Barrier`]; Go has
/// none, and uses a `sync.WaitGroup` on which each one calls `Done` and then `Wait`.
///
/// It can be used again at once, for the next round. What somebody did before its `wait` is visible to all after theirs.
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
    /// A barrier for `n`. With 0 or 1 nobody blocks.
    ///
    /// ```
    /// // A barrier for one keeps nobody.
    /// assert!(greenthread::sync::Barrier::new(1).wait().is_leader());
    /// ```
    #[inline]
    pub const fn new(n: usize) -> Self {
        Self { raw: RawBarrier::new(n) }
    }

    /// Blocks until `n` have come. The last one is the leader; it does not block, and wakes the others in the order in which
    /// they came.
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

    /// Waits as [`wait`](Self::wait) does, unless the context ends first. Go has nothing like it.
    ///
    /// Whoever leaves because of its context has not come: the others of the round wait on, until `n` have come without it,
    /// and the barrier can be used as before. To end the round for all of them, let all wait with the same context.
    ///
    /// All of a round are told the same. If the last one has come before the context ends, the wait is `Ok`, even if the
    /// context has ended by the time that it returns.
    ///
    /// # Errors
    /// If the context ends before `n` have come, or has ended.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::{scope, sync::Barrier};
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2);
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert_eq!(barrier.wait_ctx(&ctx).err(), Some(Error::DeadlineExceeded), "nobody else comes");
    /// scope(|s| {
    ///     s.spawn(|| barrier.wait());
    ///     barrier.wait(); // these two meet
    /// });
    /// ```
    pub fn wait_ctx(&self, ctx: &Context) -> Result<BarrierWaitResult, Error> {
        match self.raw.wait_within(&UntilCtxEnds::<Meeting>::new(ctx)) {
            Some(leader) => Ok(BarrierWaitResult(leader)),
            None => Err(ctx.err().expect("barrier: only the end of the context limits the wait")),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("size", &self.raw.size()).finish_non_exhaustive()
    }
}

/// Whether one was the leader of its round.
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
    /// True for exactly one in each round: the last one to come.
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

/// Waits for the others of its round.
struct Meeting;

impl Reason for Meeting {
    const REASON: WaitReason = WaitReason::BarrierWait;
}
