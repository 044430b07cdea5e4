//! `Once`: runs a function once.
//!
//! The algorithm is in `greenthread_scheduler::protocol::sync::raw_once`.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::sync::raw_once::{Begun, RawOnce};

use super::blocking_wait::{BlockingWait, Reason};

/// A primitive that runs a function once (Go's `sync.Once`), for goroutines and threads.
///
/// The interface matches [`std::sync::Once`]. A call made while the function runs blocks until the
/// function has returned. Everything the function did is visible to every caller that returns from
/// [`call_once`](Self::call_once) or sees [`is_completed`](Self::is_completed).
///
/// # Panics in the function
/// The rule is the same as in `std`: if the function panics, or calls
/// [`exit_goroutine`](crate::exit_goroutine), the `Once` is poisoned. Waiting and later calls to
/// `call_once` also panic, while [`call_once_force`](Self::call_once_force) tries again. (In Go
/// such a call counts as done, and later callers proceed as if it had succeeded.)
///
/// ```
/// use greenthread::sync::Once;
///
/// static START: Once = Once::new();
///
/// let mut runs = 0;
/// START.call_once(|| runs += 1);
/// START.call_once(|| runs += 1);
/// assert_eq!(runs, 1);
/// assert!(START.is_completed());
/// ```
#[derive(Default)]
pub struct Once {
    raw: RawOnce<BlockingWait<Waiting>>,
}

// Poisoning covers any state that a panicking function leaves behind.
impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

impl Once {
    /// Creates a `Once` that has not run a function yet.
    ///
    /// ```
    /// static START: greenthread::sync::Once = greenthread::sync::Once::new();
    ///
    /// assert!(!START.is_completed());
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { raw: RawOnce::new() }
    }

    /// Runs `f` if no function has run yet (Go's `Do`), blocking while another call runs its
    /// function.
    ///
    /// A call on the same `Once` from within `f` blocks forever, as in Go.
    ///
    /// # Panics
    /// If an earlier function panicked. A panic in `f` propagates to the caller.
    ///
    /// ```
    /// use greenthread::{scope, sync::Once};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let (once, runs) = (Once::new(), AtomicU32::new(0));
    /// scope(|s| {
    ///     for _ in 0..10 {
    ///         s.spawn(|| once.call_once(|| drop(runs.fetch_add(1, Ordering::Relaxed))));
    ///     }
    /// });
    /// assert_eq!(runs.into_inner(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.is_completed() && !self.run(false, |_| f()) {
            poisoned();
        }
    }

    /// Runs `f` like [`call_once`](Self::call_once), but even if an earlier function panicked.
    ///
    /// The state that `f` receives tells whether one did.
    ///
    /// ```
    /// use greenthread::sync::Once;
    ///
    /// let once = Once::new();
    /// let failed = std::panic::catch_unwind(|| once.call_once(|| panic!("expected")));
    /// assert!(failed.is_err() && !once.is_completed());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            self.run(true, f);
        }
    }

    /// Returns `true` if a function has run and returned.
    ///
    /// Never blocks.
    ///
    /// ```
    /// let once = greenthread::sync::Once::new();
    /// once.call_once(|| assert!(!once.is_completed(), "it has not returned"));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.raw.is_done()
    }

    /// Blocks until another call has run its function.
    ///
    /// Runs no function itself.
    ///
    /// # Panics
    /// If an earlier function panicked, or if one panics during the wait.
    ///
    /// ```
    /// use greenthread::{go, sync::Once};
    ///
    /// static START: Once = Once::new();
    ///
    /// go!(|| START.call_once(|| println!("starting")));
    /// START.wait();
    /// assert!(START.is_completed());
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        if !self.raw.wait(false) {
            poisoned();
        }
    }

    /// Waits like [`wait`](Self::wait), but continues after a panic, until a
    /// [`call_once_force`](Self::call_once_force) succeeds.
    ///
    /// ```
    /// use greenthread::{go, sync::Once};
    /// use std::panic::catch_unwind;
    ///
    /// static START: Once = Once::new();
    ///
    /// assert!(catch_unwind(|| START.call_once(|| panic!("expected"))).is_err());
    /// go!(|| START.call_once_force(|_| ()));
    /// START.wait_force();
    /// assert!(START.is_completed());
    /// ```
    pub fn wait_force(&self) {
        self.raw.wait(true);
    }

    /// Runs `f`, or waits until another call has run its function. Returns `false` if that function
    /// failed and `force` is not set.
    #[cold]
    fn run(&self, force: bool, f: impl FnOnce(&OnceState)) -> bool {
        struct Finish<'a> {
            raw: &'a RawOnce<BlockingWait<Waiting>>,
            success: bool,
        }

        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                // SAFETY: `begin` made this call the runner, and the runner makes one `Finish`,
                // which is dropped once.
                unsafe { self.raw.finish(self.success) };
            }
        }

        match self.raw.begin(force) {
            Begun::Done => true,
            Begun::Poisoned => false,
            Begun::Runner { poisoned } => {
                let mut finish = Finish { raw: &self.raw, success: false };
                f(&OnceState { poisoned });
                finish.success = true;
                true
            }
        }
    }
}

#[cold]
#[track_caller]
fn poisoned() -> ! {
    panic!("sync: Once is poisoned: its function panicked; use call_once_force to try again")
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("completed", &self.is_completed()).finish()
    }
}

/// The state that [`Once::call_once_force`] passes to its function.
///
/// ```
/// use greenthread::sync::{Once, OnceState};
///
/// Once::new().call_once_force(|state: &OnceState| assert!(!state.is_poisoned()));
/// ```
#[derive(Debug)]
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Returns `true` if an earlier function panicked.
    ///
    /// ```
    /// use greenthread::sync::Once;
    /// use std::panic::catch_unwind;
    ///
    /// let once = Once::new();
    /// let _ = catch_unwind(|| once.call_once(|| panic!("expected")));
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// ```
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

/// The wait for a function that another call runs.
struct Waiting;

impl Reason for Waiting {
    const REASON: WaitReason = WaitReason::Once;
}
