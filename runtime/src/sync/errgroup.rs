//! Goroutines that work on parts of one task and may fail: golang.org/x/sync/errgroup.
//!
//! ```
//! use greenthread::sync::errgroup::Group;
//!
//! let group = Group::<std::io::Error>::new();
//! group.set_limit(Some(8));
//! for path in ["Cargo.toml", "src/lib.rs"] {
//!     group.go(move || {
//!         println!("{path}: {} bytes", std::fs::read(path)?.len());
//!         Ok(())
//!     });
//! }
//! group.wait()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # How it works
//! A `WaitGroup` counts the goroutines. The group keeps the first failure and drops later ones; a
//! group with a context also cancels the context. The limit is a channel whose capacity is the
//! limit: a goroutine takes a place before it starts, and releases the place at its end.
//!
//! The cause of the context's end is the text of the first error. Formatting that text runs user
//! code, which may panic, and most causes are never read. So the cause is a reference to the
//! failure. The text is formatted when the cause is read, or when `wait` returns the error while
//! the cause may still be read.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use greenthread_channels::{Receiver, Sender, bounded};
use greenthread_ctx::{CancelCause, Context};
use greenthread_scheduler::Exited;

use super::{Mutex, OnceLock, WaitGroup, reporting};

/// Goroutines that work on parts of one task and may fail.
///
/// [`wait`](Self::wait) waits for all of them, and returns the first error. A clone is a handle to
/// the same group. The errors of a group have one type: by default a box that can hold any error.
///
/// ```
/// use greenthread::sync::errgroup::Group;
///
/// let group: Group = Group::new();
/// for text in ["3", "4", "x"] {
///     group.go(move || {
///         text.parse::<i32>()?;
///         Ok(())
///     });
/// }
/// assert_eq!(group.wait().unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct Group<E = Box<dyn Error + Send + Sync>> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    working: WaitGroup,
    first: Arc<First<E>>,
    cancel: Option<CancelCause>,
    limit: Mutex<Option<Places>>,
}

// A panic leaves nothing half done: the group keeps the first error, and hands it out whole.
impl<E> UnwindSafe for Shared<E> {}
impl<E> RefUnwindSafe for Shared<E> {}

/// The failure that `wait` reports.
enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
}

/// The first failure, until `wait` takes it.
struct First<E> {
    failure: Mutex<Option<Failure<E>>>,
    /// The text of [`CauseOfEnd`], once it has been formatted.
    text: OnceLock<String>,
}

/// The cause of the context's end, with the text of the first failure.
struct CauseOfEnd<E>(Arc<First<E>>);

/// The places under the limit: each value in the channel stands for a goroutine that has not ended.
#[derive(Clone)]
struct Places {
    taken: Sender<()>,
    leaving: Receiver<()>,
}

/// The place of one working goroutine. Dropping it releases the place and counts the goroutine as
/// done.
struct Working<E> {
    shared: Arc<Shared<E>>,
    places: Option<Places>,
}

impl<E: fmt::Display + Send + 'static> Group<E> {
    /// Creates a group without a limit, and without a context to cancel.
    ///
    /// ```
    /// let group = greenthread::sync::errgroup::Group::<String>::new();
    /// assert_eq!(group.wait(), Ok(()));
    /// ```
    pub fn new() -> Self {
        Self::with(None)
    }

    /// Creates a group, and a context that its first failure ends (Go's `errgroup.WithContext`).
    ///
    /// The context is derived from `parent`. The context ends when the first goroutine fails, with
    /// the text of its error as the cause, or when [`wait`](Self::wait) returns.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::sync::errgroup::Group;
    ///
    /// let (group, ctx) = Group::<&str>::with_context(&Context::background());
    /// for n in 0..3 {
    ///     let ctx = ctx.clone();
    ///     group.go(move || {
    ///         if n == 1 {
    ///             return Err("out of paper");
    ///         }
    ///         let _ = ctx.done().recv(); // the others would work forever
    ///         Ok(())
    ///     });
    /// }
    /// assert_eq!(group.wait(), Err("out of paper"));
    /// assert_eq!(ctx.cause().unwrap().to_string(), "out of paper");
    /// ```
    pub fn with_context(parent: &Context) -> (Self, Context) {
        let (ctx, cancel) = parent.with_cancel_cause();
        (Self::with(Some(cancel)), ctx)
    }

    fn with(cancel: Option<CancelCause>) -> Self {
        let first = Arc::new(First { failure: Mutex::new(None), text: OnceLock::new() });
        let shared = Shared { working: WaitGroup::new(), first, cancel, limit: Mutex::new(None) };
        Self { shared: Arc::new(shared) }
    }

    /// Lets at most `limit` goroutines of this group work at the same time.
    ///
    /// `None` removes the limit; zero lets no goroutine start.
    ///
    /// # Panics
    /// If goroutines of this group that were started under a limit are still working, as in Go.
    ///
    /// ```
    /// use greenthread::sync::errgroup::Group;
    ///
    /// let group = Group::<String>::new();
    /// group.set_limit(Some(2));
    /// for _ in 0..10 {
    ///     group.go(|| Ok(())); // waits while two are working
    /// }
    /// group.wait().unwrap();
    /// ```
    pub fn set_limit(&self, limit: Option<usize>) {
        let mut places = self.shared.limit.lock();
        if let Some(active) = places.as_ref().map(|places| places.taken.len()).filter(|&active| active > 0) {
            drop(places);
            panic!("errgroup: modify limit while {active} goroutines in the group are still active");
        }
        *places = limit.map(|limit| {
            let (taken, leaving) = bounded(limit);
            Places { taken, leaving }
        });
    }

    /// Runs `f` in a goroutine of this group, blocking while the limit is reached.
    ///
    /// ```
    /// use greenthread::sync::errgroup::Group;
    ///
    /// let group = Group::<String>::new();
    /// group.go(|| Ok(()));
    /// group.go(|| Err("no route".to_owned()));
    /// assert_eq!(group.wait(), Err("no route".to_owned()));
    /// ```
    #[track_caller]
    pub fn go(&self, f: impl FnOnce() -> Result<(), E> + Send + 'static) {
        // Cloned, so that the lock is not held during the wait.
        let places = self.shared.limit.lock().clone();
        if let Some(places) = &places {
            places.taken.send(()).expect("errgroup: the group holds the receiver");
        }
        self.start(places, f);
    }

    /// Runs `f` in a goroutine of this group if the limit allows it now (Go's `TryGo`).
    ///
    /// Never blocks.
    ///
    /// # Errors
    /// Returns `f` if the limit is reached.
    ///
    /// ```
    /// use greenthread::sync::errgroup::Group;
    ///
    /// let group = Group::<String>::new();
    /// group.set_limit(Some(0));
    /// let job = group.try_go(|| Ok(())).unwrap_err();
    /// group.set_limit(None);
    /// group.go(job);
    /// assert_eq!(group.wait(), Ok(()));
    /// ```
    #[track_caller]
    pub fn try_go<F>(&self, f: F) -> Result<(), F>
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let places = self.shared.limit.lock().clone();
        if places.as_ref().is_some_and(|places| places.taken.try_send(()).is_err()) {
            return Err(f);
        }
        self.start(places, f);
        Ok(())
    }

    #[track_caller]
    fn start(&self, places: Option<Places>, f: impl FnOnce() -> Result<(), E> + Send + 'static) {
        self.shared.working.add(1);
        let working = Working { shared: Arc::clone(&self.shared), places };
        greenthread_scheduler::go(reporting(f, move |end| match end {
            Ok(Ok(())) => drop(working),
            Ok(Err(error)) => working.fail(Failure::Error(error)),
            // A goroutine that called `exit_goroutine` has not failed.
            Err(payload) if payload.is::<Exited>() => drop(working),
            Err(payload) => working.fail(Failure::Panic(payload)),
        }));
    }

    /// Blocks until all goroutines of the group have ended, and returns the first error.
    ///
    /// The group can be used again afterwards.
    ///
    /// # Errors
    /// The first error that a goroutine has returned since the last `wait`.
    ///
    /// # Panics
    /// If a goroutine has panicked and none failed earlier, with the payload of that panic.
    ///
    /// ```
    /// use greenthread::sync::errgroup::Group;
    ///
    /// let group = Group::<&str>::new();
    /// group.go(|| Err("out of paper"));
    /// assert_eq!(group.wait(), Err("out of paper"));
    /// assert_eq!(group.wait(), Ok(()), "nothing has failed since");
    /// ```
    pub fn wait(&self) -> Result<(), E> {
        self.shared.working.wait();
        if let Some(cancel) = &self.shared.cancel {
            cancel.cancel("errgroup: all goroutines have ended");
        }
        match self.shared.first.take() {
            None => Ok(()),
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::Panic(payload)) => panic::resume_unwind(payload),
        }
    }
}

impl<E: fmt::Display + Send + 'static> Working<E> {
    /// Records a failure and cancels the group's context, unless there was an earlier failure.
    fn fail(self, failure: Failure<E>) {
        let mut first = self.shared.first.failure.lock();
        if first.is_some() {
            return;
        }
        *first = Some(failure);
        drop(first);
        if let Some(cancel) = &self.shared.cancel {
            cancel.cancel(CauseOfEnd(Arc::clone(&self.shared.first)));
        }
    }
}

impl<E: fmt::Display> First<E> {
    fn take(self: &Arc<Self>) -> Option<Failure<E>> {
        // The group holds one reference; a cause that may still be read holds another.
        if Arc::strong_count(self) > 1 {
            self.text();
        }
        self.failure.lock().take()
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| match &*self.failure.lock() {
            Some(Failure::Error(error)) => panic::catch_unwind(AssertUnwindSafe(|| error.to_string()))
                .unwrap_or_else(|_| "errgroup: an error whose Display panicked".to_owned()),
            Some(Failure::Panic(_)) => "errgroup: a goroutine panicked".to_owned(),
            None => "errgroup: a goroutine failed".to_owned(),
        })
    }
}

impl<E: fmt::Display> fmt::Display for CauseOfEnd<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.text())
    }
}

impl<E: fmt::Display> fmt::Debug for CauseOfEnd<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.text(), f)
    }
}

impl<E: fmt::Display> Error for CauseOfEnd<E> {}

impl<E> Drop for Working<E> {
    fn drop(&mut self) {
        if let Some(places) = &self.places {
            // The channel holds a value for each working goroutine.
            let _ = places.leaving.try_recv();
        }
        self.shared.working.done();
    }
}

impl<E> Clone for Group<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<E: fmt::Display + Send + 'static> Default for Group<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("working", &self.shared.working).finish_non_exhaustive()
    }
}
