//! Goroutines from the user's side: spawning, joining, and what a goroutine can do about itself.

use std::convert::Infallible;
use std::fmt;
use std::sync::OnceLock;
use std::thread;

use greenthread_channels::{self as channel, Receiver};
use greenthread_scheduler::{self as scheduler, Goroutine, Options, OsThreadGuard};

/// Starts a goroutine and returns a handle for its result, as [`std::thread::spawn`] does for a thread. Does not block.
///
/// Go's `go` gives nothing back: use [`go!`](macro@crate::go) for that. Dropping the handle lets the goroutine go on alone.
///
/// Large captures and results belong into a `Box` or a `Vec`, as [`go!`](macro@crate::go) says.
///
/// ```
/// let handle = greenthread::spawn(|| 6 * 7);
/// assert_eq!(handle.join().unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Only a stack size can be refused, and none is asked for.
    JoinHandle::new(scheduler::spawn(f, Options::default()).expect("spawn: default options are possible"))
}

/// A goroutine whose result is still to be had.
///
/// Dropped, it detaches the goroutine, which goes on; its result is dropped when it ends.
///
/// ```
/// use greenthread::JoinHandle;
///
/// let squares: Vec<JoinHandle<u32>> = (1..=3).map(|n| greenthread::spawn(move || n * n)).collect();
/// assert_eq!(squares.into_iter().map(|handle| handle.join().unwrap()).sum::<u32>(), 14);
/// ```
pub struct JoinHandle<T> {
    inner: scheduler::JoinHandle<T>,
    // Boxed: few ask for it, and a program may keep a million handles.
    done: OnceLock<Box<Receiver<Infallible>>>,
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(inner: scheduler::JoinHandle<T>) -> Self {
        Self { inner, done: OnceLock::new() }
    }

    /// Waits for the goroutine to end and returns its result: parks a goroutine, blocks a thread.
    ///
    /// The result is moved through several frames: have the goroutine return a `Box` or a `Vec` of what is larger than
    /// 4 KiB, as [`go!`](macro@crate::go) says.
    ///
    /// # Errors
    /// The payload of the panic that ended the goroutine; [`Exited`](crate::Exited) if it called
    /// [`exit_goroutine`]; a `String` if there was no stack for it to begin on.
    ///
    /// ```
    /// let handle = greenthread::spawn(|| if true { panic!("oh") });
    /// let payload = handle.join().unwrap_err();
    /// assert_eq!(payload.downcast_ref(), Some(&"oh"));
    /// ```
    pub fn join(self) -> thread::Result<T> {
        self.inner.join()
    }

    /// Whether the goroutine has ended. Does not block.
    ///
    /// ```
    /// let handle = greenthread::spawn(|| ());
    /// while !handle.is_finished() {
    ///     greenthread::yield_now();
    /// }
    /// ```
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// The goroutine's id, which no other goroutine of this process ever has.
    ///
    /// ```
    /// let handle = greenthread::spawn(|| greenthread::current().unwrap().id());
    /// let id = handle.id();
    /// assert_eq!(handle.join().unwrap(), id);
    /// ```
    pub fn id(&self) -> u64 {
        self.inner.id()
    }

    /// The name that [`Builder::name`](crate::Builder::name) gave.
    ///
    /// ```
    /// assert_eq!(greenthread::spawn(|| ()).name(), None);
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    /// A channel that closes when the goroutine ends, for a `select!`; nothing is ever sent on it. Go's `done` channel, ready
    /// made. The first call makes it. Does not block.
    ///
    /// ```
    /// let handle = greenthread::spawn(|| 1);
    /// assert!(handle.done().recv().is_err());
    /// assert!(handle.is_finished());
    /// ```
    pub fn done(&self) -> &Receiver<Infallible> {
        self.done.get_or_init(|| {
            let (open_while_it_runs, done) = channel::bounded(0);
            self.inner.on_end(move || drop(open_while_it_runs));
            Box::new(done)
        })
    }
}

/// Lets other goroutines run first: Go's `runtime.Gosched`.
///
/// The caller goes to the end of its P's queue. Costs a few nanoseconds if nobody else is there. On a thread that is no
/// goroutine this is [`std::thread::yield_now`].
///
/// ```
/// greenthread::spawn(|| greenthread::yield_now()).join().unwrap();
/// ```
pub fn yield_now() {
    scheduler::yield_now();
}

/// The calling goroutine; `None` on a thread that is no goroutine. Go hides this on purpose; here it is for logs.
///
/// ```
/// assert!(greenthread::current().is_none());
/// assert!(greenthread::spawn(greenthread::current).join().unwrap().is_some());
/// ```
pub fn current() -> Option<Goroutine> {
    scheduler::current()
}

/// Ends the calling goroutine, running the destructors of its frames: Go's `runtime.Goexit`.
///
/// It unwinds, but it is no panic: nothing is reported, and [`JoinHandle::join`] gives [`Exited`](crate::Exited). A
/// `catch_unwind` on the way stops it. From the main goroutine it lets the others go on; when they have all ended, the
/// process ends with Go's deadlock message and status 2.
///
/// # Panics
/// If the caller is not a goroutine; and in a program built with `panic = "abort"`, which cannot unwind.
///
/// ```
/// let handle = greenthread::spawn(|| greenthread::exit_goroutine());
/// assert!(handle.join().unwrap_err().is::<greenthread::Exited>());
/// ```
pub fn exit_goroutine() -> ! {
    scheduler::exit_goroutine()
}

/// How many goroutines exist: Go's `runtime.NumGoroutine`. While others start and end it is only about right.
///
/// ```
/// let handle = greenthread::spawn(greenthread::num_goroutine);
/// assert!(handle.join().unwrap() >= 1);
/// ```
pub fn num_goroutine() -> usize {
    scheduler::num_goroutine()
}

/// How many CPUs this process may use now, its affinity and its cgroup's quota counted: Go's `runtime.NumCPU`, which
/// leaves the quota out.
///
/// ```
/// assert!(greenthread::num_cpu() >= 1);
/// ```
pub fn num_cpu() -> usize {
    scheduler::num_cpu()
}

/// Returns how many goroutines may run at once (the number of Ps): Go's `runtime.GOMAXPROCS(0)`.
///
/// The default is [`num_cpu`], and follows it as it changes, until the variable `GOMAXPROCS`,
/// [`config`](crate::config) or [`set_gomaxprocs`] chooses a number.
///
/// ```
/// assert!(greenthread::gomaxprocs() >= 1);
/// ```
pub fn gomaxprocs() -> usize {
    scheduler::gomaxprocs()
}

/// Sets how many goroutines may run at once (the number of Ps) and returns the former number: Go's
/// `runtime.GOMAXPROCS(n)`.
///
/// The number is limited to [`MAX_PROCS`](crate::config::MAX_PROCS). Nothing is stopped to change it: a
/// smaller number takes effect as the surplus Ps return to the scheduler, within 10 ms.
///
/// # Panics
/// If `n` is 0. Use [`gomaxprocs`] to read the number.
///
/// ```
/// let former = greenthread::set_gomaxprocs(1);
/// assert_eq!(greenthread::set_gomaxprocs(former), 1);
/// ```
#[track_caller]
pub fn set_gomaxprocs(n: usize) -> usize {
    scheduler::set_gomaxprocs(n)
}

/// Keeps the calling goroutine on its OS thread, and other goroutines off it, until the guard is dropped: Go's
/// `runtime.LockOSThread`. Locks nest.
///
/// A goroutine that was on this thread before, and has the address of one of its thread-locals on its stack, still
/// comes back to it: it may run here while the locked one is parked, or the two could wait for each other for ever.
///
/// Restore what you have changed of the thread before you drop the guard. If you cannot, use
/// [`Builder::pinned`](crate::Builder::pinned), whose thread ends with its goroutine. A goroutine
/// that ends while it is locked, since its guard was forgotten, takes its thread out of use for
/// good: it may not end, as others may still have references to its thread-locals, and
/// [`Stats::unusable_threads`](crate::debug::Stats::unusable_threads) counts it. (Go ends the
/// thread.)
///
/// Each wake-up of a locked goroutine costs a switch of threads. On a thread that is no goroutine it does nothing.
///
/// # Aborts
/// If another goroutine drops the guard. It is not `Send`, but a thread-local can hand it to one on the same thread.
///
/// ```
/// greenthread::spawn(|| {
///     let guard = greenthread::lock_os_thread();
///     let thread = std::thread::current().id();
///     greenthread::yield_now();
///     assert_eq!(std::thread::current().id(), thread);
///     drop(guard);
/// })
/// .join()
/// .unwrap();
/// ```
pub fn lock_os_thread() -> OsThreadGuard {
    scheduler::lock_os_thread()
}

/// Runs `f`, which is known to block the thread, and lets another thread run the goroutines meanwhile, at once.
///
/// What blocks without this loses its turn all the same: after 2 to 4 ms, or 0.1 ms or so if others have just blocked too. Go does this by itself around system calls; it cannot
/// around C code that blocks. May yield when `f` has returned, if all Ps are taken. On a thread that is no goroutine it
/// just calls `f`.
///
/// ```
/// let handle = greenthread::spawn(|| greenthread::blocking(|| std::fs::read_to_string("Cargo.toml")));
/// assert!(handle.join().unwrap().is_ok());
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    scheduler::blocking(f)
}
