//! `WaitGroup`: waits until a number of goroutines have finished.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_wait_group`.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::sync::raw_wait_group::{Counts, OutOfRange, RawWaitGroup};

use super::blocking_wait::{BlockingWait, Reason, within};
use super::ending::reporting;

/// A counter of goroutines that callers can wait for (Go's `sync.WaitGroup`).
///
/// A clone is a handle to the same group.
///
/// [`add`](Self::add) adds to the number of goroutines, each goroutine calls [`done`](Self::done)
/// at its end, and [`wait`](Self::wait) blocks until all of them have done so. Call `add` before
/// you start the goroutine; otherwise `wait` may run first and find nothing to wait for.
/// [`go`](Self::go) adds, starts the goroutine, and calls `done`.
///
/// Everything a goroutine did before its `done` is visible to each caller whose `wait` ends because
/// of that `done`. When the counter has reached 0, the group can be used again at once for the next
/// set of goroutines.
///
/// ```
/// use greenthread::sync::{Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// let sum = Arc::new(Mutex::new(0));
/// let wg = WaitGroup::new();
/// for n in 1..=10 {
///     let sum = Arc::clone(&sum);
///     wg.go(move || *sum.lock() += n);
/// }
/// wg.wait();
/// assert_eq!(*sum.lock(), 55);
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    raw: RawWaitGroup<BlockingWait<Waiting>>,
}

impl WaitGroup {
    /// Creates a group with nothing to wait for.
    ///
    /// Until the first `add`, `wait` returns at once.
    ///
    /// ```
    /// greenthread::sync::WaitGroup::new().wait(); // nothing to wait for
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n`, which may be negative, to the number of goroutines to wait for.
    ///
    /// Wakes the waiters if the number becomes 0. Never blocks.
    ///
    /// # Panics
    /// With "sync: negative WaitGroup counter" if the number falls below 0, and with "sync:
    /// WaitGroup counter overflow" if it exceeds `i32::MAX`. The group is then unchanged.
    ///
    /// ```
    /// use greenthread::{go, sync::WaitGroup};
    ///
    /// let wg = WaitGroup::new();
    /// wg.add(2);
    /// for _ in 0..2 {
    ///     let wg = wg.clone();
    ///     go!(move || wg.done());
    /// }
    /// wg.wait();
    /// ```
    #[inline]
    pub fn add(&self, n: isize) {
        if let Err(error) = self.shared.raw.add(n) {
            misused(error);
        }
    }

    /// Reports that one goroutine has finished, like `add(-1)`.
    ///
    /// Never blocks.
    ///
    /// # Panics
    /// With "sync: negative WaitGroup counter" if all goroutines had already finished.
    ///
    /// ```
    /// let wg = greenthread::sync::WaitGroup::new();
    /// wg.add(1);
    /// wg.done();
    /// wg.wait();
    /// ```
    #[inline]
    pub fn done(&self) {
        self.add(-1);
    }

    /// Blocks until the counter is 0.
    ///
    /// Any number of goroutines and threads may wait.
    ///
    /// ```
    /// use greenthread::sync::{Value, WaitGroup};
    ///
    /// static ANSWER: Value<u32> = Value::new();
    ///
    /// let wg = WaitGroup::new();
    /// wg.go(|| ANSWER.store(42));
    /// wg.wait();
    /// assert_eq!(ANSWER.load().as_deref(), Some(&42));
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.shared.raw.wait();
    }

    /// Waits like [`wait`](Self::wait), unless the context ends first.
    ///
    /// A Go program starts a helper goroutine that waits and then closes a channel, which a
    /// `select` can watch. That goroutine stays until the group is done. Here, nothing stays
    /// behind.
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// the counter is 0.
    ///
    /// # Panics
    /// Like [`wait`](Self::wait), if the counter reaches 0 first.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::WaitGroup;
    /// use std::time::Duration;
    ///
    /// let wg = WaitGroup::new();
    /// wg.go(|| greenthread::time::sleep(Duration::from_millis(50)));
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// assert_eq!(wg.wait_ctx(&ctx), Err(Error::DeadlineExceeded), "it works on");
    /// assert_eq!(wg.wait_ctx(&Context::background()), Ok(()));
    /// ```
    #[track_caller]
    pub fn wait_ctx(&self, ctx: &Context) -> Result<(), Error> {
        within::<Waiting, _>(ctx, |limit| self.shared.raw.wait_within(limit).then_some(()))?;
        Ok(())
    }

    /// Runs `f` as a goroutine of this group, with `add(1)` now and `done()` when it ends.
    ///
    /// Does not block. `done` is called even if `f` panics: unlike in Go, a panic ends only its
    /// goroutine and not the process, so `wait` has to return.
    ///
    /// ```
    /// let wg = greenthread::sync::WaitGroup::new();
    /// wg.go(|| println!("one"));
    /// wg.go(|| println!("other"));
    /// wg.wait();
    /// ```
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        self.add(1);
        let group = self.clone();
        greenthread_scheduler::go(reporting(f, move |_end| group.done()));
    }
}

// A panic leaves nothing half done, since the type holds no user data.
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { counter, waiters } = self.shared.raw.peek();
        f.debug_struct("WaitGroup").field("counter", &counter).field("waiters", &waiters).finish()
    }
}

#[cold]
fn misused(error: OutOfRange) -> ! {
    match error {
        OutOfRange::Negative => panic!("sync: negative WaitGroup counter"),
        OutOfRange::Overflow => panic!("sync: WaitGroup counter overflow"),
    }
}

/// The wait for a group.
struct Waiting;

impl Reason for Waiting {
    const REASON: WaitReason = WaitReason::WaitGroupWait;
}
