//! `Semaphore`: permits, and the ways in which a wait for them can end.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_semaphore`.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenthread_ctx::{Context, Error};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::sync::raw_semaphore::{MAX_SIZE, RawSemaphore};

use super::blocking_wait::{BlockingWait, Reason, UntilDeadline, within};

/// A weighted semaphore (`semaphore.Weighted` of golang.org/x/sync): callers share a number of
/// permits, and each takes as many as its work weighs.
///
/// Callers are served strictly in the order in which they arrive: while a caller waits, later
/// callers queue up behind it, even if enough permits are free for them. So large requests are not
/// starved by small ones. Permits are handed directly to the waiter, which does not have to compete
/// for them.
///
/// Everything done before permits are released is visible to the caller that acquires them.
///
/// ```
/// use greenthread::sync::{Semaphore, WaitGroup};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// static AT_ONCE: Semaphore = Semaphore::new(3);
/// static RUNNING: AtomicUsize = AtomicUsize::new(0);
///
/// let wg = WaitGroup::new();
/// for _ in 0..20 {
///     wg.go(|| {
///         let _permit = AT_ONCE.acquire(1);
///         assert!(RUNNING.fetch_add(1, Ordering::Relaxed) < 3);
///         greenthread::yield_now();
///         RUNNING.fetch_sub(1, Ordering::Relaxed);
///     });
/// }
/// wg.wait();
/// ```
pub struct Semaphore {
    raw: RawSemaphore<BlockingWait<Acquiring>>,
}

impl Semaphore {
    /// The largest number of permits.
    ///
    /// ```
    /// use greenthread::sync::Semaphore;
    ///
    /// // As good as unlimited.
    /// let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    /// assert!(semaphore.try_acquire(1_000_000).is_some());
    /// ```
    pub const MAX_PERMITS: usize = MAX_SIZE;

    /// Creates a semaphore with `permits` permits, all free (Go's `NewWeighted`).
    ///
    /// # Panics
    /// If `permits` is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// ```
    /// use greenthread::sync::Semaphore;
    ///
    /// static DOWNLOADS: Semaphore = Semaphore::new(8);
    ///
    /// let _permit = DOWNLOADS.acquire(1);
    /// ```
    pub const fn new(permits: usize) -> Self {
        assert!(permits <= Self::MAX_PERMITS, "sync: a semaphore has at most Semaphore::MAX_PERMITS permits");
        Self { raw: RawSemaphore::new(permits) }
    }

    /// Takes `n` permits, blocking until they are free and all earlier callers are served (Go's
    /// `Acquire`, without a context).
    ///
    /// # Panics
    /// If `n` is more than the total of the semaphore. Go would block until the context ends, but
    /// nothing would end the wait here.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(3);
    /// let two = semaphore.acquire(2);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(two);
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    #[inline]
    pub fn acquire(&self, n: usize) -> Permit<'_> {
        let size = self.raw.size();
        assert!(n <= size, "sync: acquire of {n} from a semaphore of size {size} would block forever; ask for less");
        self.raw.acquire(n);
        Permit { semaphore: self, n }
    }

    /// Takes `n` permits if they are free and no other caller waits (Go's `TryAcquire`).
    ///
    /// Never blocks.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire(1).unwrap();
    /// assert!(semaphore.try_acquire(1).is_none());
    /// drop(permit);
    /// assert!(semaphore.try_acquire(2).is_none());
    /// ```
    #[must_use]
    #[inline]
    pub fn try_acquire(&self, n: usize) -> Option<Permit<'_>> {
        self.raw.try_acquire(n).then(|| Permit { semaphore: self, n })
    }

    /// Takes `n` permits like [`acquire`](Self::acquire), but blocks for at most `timeout`.
    ///
    /// Returns `None` if the permits did not become free in time. A request for more permits than
    /// the semaphore has in total waits in vain, but does not keep others from being served.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = greenthread::sync::Semaphore::new(2);
    /// let one = semaphore.acquire_timeout(1, Duration::from_secs(5)).unwrap();
    /// assert!(semaphore.acquire_timeout(2, Duration::from_millis(1)).is_none());
    /// # drop(one);
    /// ```
    #[must_use]
    pub fn acquire_timeout(&self, n: usize, timeout: Duration) -> Option<Permit<'_>> {
        self.acquire_until(n, &UntilDeadline::after(timeout))
    }

    /// Takes `n` permits like [`acquire_timeout`](Self::acquire_timeout), but blocks until
    /// `deadline` at the latest.
    ///
    /// With a deadline that has passed, this is [`try_acquire`](Self::try_acquire).
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let semaphore = greenthread::sync::Semaphore::new(1);
    /// assert!(semaphore.acquire_deadline(1, Instant::now()).is_some());
    /// ```
    #[must_use]
    pub fn acquire_deadline(&self, n: usize, deadline: Instant) -> Option<Permit<'_>> {
        self.acquire_until(n, &UntilDeadline::new(deadline))
    }

    fn acquire_until(&self, n: usize, until: &UntilDeadline<Acquiring>) -> Option<Permit<'_>> {
        self.raw.acquire_within(n, until).then(|| Permit { semaphore: self, n })
    }

    /// Takes `n` permits like [`acquire`](Self::acquire), unless the context ends first (Go's
    /// `Acquire`).
    ///
    /// A request for more permits than the semaphore has in total waits in vain until the context
    /// ends, but does not keep others from being served.
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// permits are free.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let permit = semaphore.acquire_ctx(&ctx, 1).unwrap();
    /// greenthread::go!(move || cancel.cancel());
    /// assert_eq!(semaphore.acquire_ctx(&ctx, 1).err(), Some(Error::Canceled));
    /// # drop(permit);
    /// ```
    pub fn acquire_ctx(&self, ctx: &Context, n: usize) -> Result<Permit<'_>, Error> {
        within::<Acquiring, _>(ctx, |limit| self.raw.acquire_within(n, limit).then(|| Permit { semaphore: self, n }))
    }

    /// Takes `n` permits like [`acquire`](Self::acquire), and returns a guard that keeps the
    /// semaphore alive.
    ///
    /// Such permits can go where a borrow cannot. In Go, permits are only counted, and a goroutine
    /// calls `Release` when it is done.
    ///
    /// # Panics
    /// If `n` is more than the total of the semaphore.
    ///
    /// ```
    /// use greenthread::{go, sync::Semaphore};
    /// use std::sync::Arc;
    ///
    /// let places = Arc::new(Semaphore::new(2));
    /// for job in 0..10 {
    ///     let place = places.acquire_owned(1); // waits while two are at work
    ///     go!(move || {
    ///         println!("job {job}");
    ///         drop(place);
    ///     });
    /// }
    /// let _all = places.acquire(2); // all have ended
    /// ```
    #[inline]
    pub fn acquire_owned(self: &Arc<Self>, n: usize) -> OwnedPermit {
        OwnedPermit::of(self, self.acquire(n))
    }

    /// Takes `n` permits like [`acquire_owned`](Self::acquire_owned), if they are free and no other
    /// caller waits.
    ///
    /// Never blocks.
    ///
    /// ```
    /// use greenthread::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.try_acquire_owned(1).unwrap();
    /// assert!(semaphore.try_acquire_owned(1).is_none());
    /// # drop(permit);
    /// ```
    #[must_use]
    #[inline]
    pub fn try_acquire_owned(self: &Arc<Self>, n: usize) -> Option<OwnedPermit> {
        self.try_acquire(n).map(|permit| OwnedPermit::of(self, permit))
    }

    /// Takes `n` permits like [`acquire_owned`](Self::acquire_owned), unless the context ends
    /// first.
    ///
    /// A request for too many permits waits like [`acquire_ctx`](Self::acquire_ctx).
    ///
    /// # Errors
    /// If the context ends first. If it had already ended before the call, the call fails even if
    /// permits are free.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let semaphore = Arc::new(Semaphore::new(2));
    /// let permit = semaphore.acquire_owned_ctx(&Context::background(), 2).unwrap();
    /// assert_eq!(semaphore.available_permits(), 0);
    /// # drop(permit);
    /// ```
    pub fn acquire_owned_ctx(self: &Arc<Self>, ctx: &Context, n: usize) -> Result<OwnedPermit, Error> {
        self.acquire_ctx(ctx, n).map(|permit| OwnedPermit::of(self, permit))
    }

    /// Releases `n` permits of a [`Permit`] that was [forgotten](Permit::forget) (Go's `Release`).
    ///
    /// Wakes the waiters that can be served now. Never blocks.
    ///
    /// # Panics
    /// With "sync: semaphore released more than held" if fewer than `n` permits are held. The
    /// semaphore is then unchanged.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(2);
    /// semaphore.acquire(2).forget();
    /// semaphore.release(1);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    #[inline]
    pub fn release(&self, n: usize) {
        assert!(self.raw.release(n).is_ok(), "sync: semaphore released more than held");
    }

    /// Returns the number of permits that are currently free.
    ///
    /// Waiters may be about to get them. Never blocks.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(3);
    /// let _two = semaphore.acquire(2);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    pub fn available_permits(&self) -> usize {
        self.raw.peek().0
    }
}

// A panic leaves nothing half done, since the type holds no user data.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (available, waited_for) = self.raw.peek();
        let mut all = f.debug_struct("Semaphore");
        all.field("permits", &self.raw.size()).field("available", &available).field("waited_for", &waited_for).finish()
    }
}

/// Permits of a [`Semaphore`]; dropping them releases them.
///
/// They may be dropped on a thread other than the one that acquired them.
///
/// ```
/// use greenthread::sync::{Permit, Semaphore};
///
/// static LIMIT: Semaphore = Semaphore::new(1);
///
/// let permit: Permit<'static> = LIMIT.acquire(1);
/// greenthread::spawn(move || drop(permit)).join().unwrap();
/// assert_eq!(LIMIT.available_permits(), 1);
/// ```
#[must_use = "the permits are given back at once if this is not kept"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    n: usize,
}

impl Permit<'_> {
    /// Forgets the permits without releasing them, so that [`Semaphore::release`] can release them
    /// later.
    ///
    /// ```
    /// let semaphore = greenthread::sync::Semaphore::new(1);
    /// semaphore.acquire(1).forget();
    /// assert!(semaphore.try_acquire(1).is_none());
    /// semaphore.release(1);
    /// assert!(semaphore.try_acquire(1).is_some());
    /// ```
    pub fn forget(mut self) {
        self.n = 0;
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.n > 0 {
            self.semaphore.release(self.n);
        }
    }
}

/// Permits of a [`Semaphore`], with a handle to the semaphore; dropping them releases them.
///
/// ```
/// use greenthread::sync::{OwnedPermit, Semaphore};
/// use std::sync::Arc;
///
/// struct Connection {
///     _place: OwnedPermit, // released with the connection
/// }
///
/// let places = Arc::new(Semaphore::new(100));
/// let connection = Connection { _place: places.acquire_owned(1) };
/// assert_eq!(places.available_permits(), 99);
/// drop(connection);
/// assert_eq!(places.available_permits(), 100);
/// ```
#[must_use = "the permits are given back at once if this is not kept"]
#[derive(Debug)]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    n: usize,
}

impl OwnedPermit {
    /// Turns a borrowed permit of `semaphore` into an owned permit.
    fn of(semaphore: &Arc<Semaphore>, permit: Permit<'_>) -> Self {
        let owned = Self { semaphore: Arc::clone(semaphore), n: permit.n };
        permit.forget();
        owned
    }

    /// Forgets the permits without releasing them, so that [`Semaphore::release`] can release them
    /// later.
    ///
    /// ```
    /// use greenthread::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// semaphore.acquire_owned(1).forget();
    /// assert!(semaphore.try_acquire(1).is_none());
    /// semaphore.release(1);
    /// ```
    pub fn forget(mut self) {
        self.n = 0;
    }
}

impl Drop for OwnedPermit {
    #[inline]
    fn drop(&mut self) {
        if self.n > 0 {
            self.semaphore.release(self.n);
        }
    }
}

/// The wait for permits.
struct Acquiring;

impl Reason for Acquiring {
    const REASON: WaitReason = WaitReason::SemaphoreAcquire;
}
