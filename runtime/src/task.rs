//! Goroutines from the user's side: spawning, joining, and calls that concern the calling
//! goroutine.

use std::convert::Infallible;
use std::fmt;
use std::sync::OnceLock;
use std::thread;

use greenthread_channels::{self as channel, Receiver};
use greenthread_scheduler::{self as scheduler, Goroutine, Options, OsThreadGuard};

/// Starts a goroutine and returns a handle for its result, like [`std::thread::spawn`] for a
/// thread.
///
/// Does not block. Dropping the handle lets the goroutine continue on its own. Go's `go` statement
/// returns nothing; its counterpart is [`go!`](macro@crate::go).
///
/// Large captures and results belong in a `Box` or a `Vec`, as [`go!`](macro@crate::go) explains.
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
    // Only a stack size can be refused, and the default options do not set one.
    JoinHandle::new(scheduler::spawn(f, Options::default()).expect("spawn: default options are possible"))
}

/// An owned permission to join a goroutine.
///
/// Dropping the handle detaches the goroutine: it continues to run, and its result is dropped when
/// it ends.
///
/// ```
/// use greenthread::JoinHandle;
///
/// let squares: Vec<JoinHandle<u32>> =
///     (1..=3).map(|n| greenthread::spawn(move || n * n)).collect();
/// assert_eq!(squares.into_iter().map(|handle| handle.join().unwrap()).sum::<u32>(), 14);
/// ```
pub struct JoinHandle<T> {
    inner: scheduler::JoinHandle<T>,
    // Boxed, since few callers ask for it, and a program may keep a million handles.
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

    /// Waits for the goroutine to end and returns its result.
    ///
    /// Parks the calling goroutine, or blocks the calling thread. The result is moved through
    /// several frames. If it is over 4 KiB, let the goroutine return a `Box` or a `Vec`, as
    /// [`go!`](macro@crate::go) explains.
    ///
    /// # Errors
    /// The payload of the panic that ended the goroutine; [`Exited`](crate::Exited) if it called
    /// [`exit_goroutine`].
    ///
    /// ```
    /// let handle = greenthread::spawn(|| if true { panic!("oh") });
    /// let payload = handle.join().unwrap_err();
    /// assert_eq!(payload.downcast_ref(), Some(&"oh"));
    /// ```
    pub fn join(self) -> thread::Result<T> {
        self.inner.join()
    }

    /// Returns `true` if the goroutine has ended.
    ///
    /// Does not block.
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

    /// Returns the goroutine's id, which no other goroutine of this process ever has.
    ///
    /// ```
    /// let handle = greenthread::spawn(|| greenthread::current().unwrap().id());
    /// let id = handle.id();
    /// assert_eq!(handle.join().unwrap(), id);
    /// ```
    pub fn id(&self) -> u64 {
        self.inner.id()
    }

    /// Returns the name that was given with [`Builder::name`](crate::Builder::name), if any.
    ///
    /// ```
    /// assert_eq!(greenthread::spawn(|| ()).name(), None);
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    /// Returns a channel that closes when the goroutine ends, for a `select!`.
    ///
    /// Nothing is ever sent on it. It replaces the `done` channel that a Go program closes by hand.
    /// The first call creates it. Does not block.
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

/// Lets other goroutines run first (Go's `runtime.Gosched`).
///
/// The caller goes to the end of its P's run queue. If the queue is empty, the call costs a few
/// nanoseconds. On a thread that is not a goroutine, this is [`std::thread::yield_now`].
///
/// ```
/// greenthread::spawn(|| greenthread::yield_now()).join().unwrap();
/// ```
pub fn yield_now() {
    scheduler::yield_now();
}

/// Returns the calling goroutine, or `None` on a thread that is not a goroutine.
///
/// Go hides this on purpose; here it is for logs.
///
/// ```
/// assert!(greenthread::current().is_none());
/// assert!(greenthread::spawn(greenthread::current).join().unwrap().is_some());
/// ```
pub fn current() -> Option<Goroutine> {
    scheduler::current()
}

/// Ends the calling goroutine, running the destructors of its frames (Go's `runtime.Goexit`).
///
/// This unwinds, but it is not a panic: nothing is reported, and [`JoinHandle::join`] returns
/// [`Exited`](crate::Exited). A `catch_unwind` on the way stops the unwinding. If the main
/// goroutine calls this function, the other goroutines continue; when they have all ended, the
/// process ends with Go's deadlock message and status 2.
///
/// # Panics
/// If the caller is not a goroutine, or if the program is built with `panic = "abort"` and
/// therefore cannot unwind.
///
/// ```
/// let handle = greenthread::spawn(|| greenthread::exit_goroutine());
/// assert!(handle.join().unwrap_err().is::<greenthread::Exited>());
/// ```
pub fn exit_goroutine() -> ! {
    scheduler::exit_goroutine()
}

/// Returns the number of goroutines that exist (Go's `runtime.NumGoroutine`).
///
/// The number is approximate while goroutines start and end.
///
/// ```
/// let handle = greenthread::spawn(greenthread::num_goroutine);
/// assert!(handle.join().unwrap() >= 1);
/// ```
pub fn num_goroutine() -> usize {
    scheduler::num_goroutine()
}

/// Returns the number of CPUs that this process may use now (Go's `runtime.NumCPU`).
///
/// The CPU affinity and the quota of the cgroup are taken into account; Go ignores the quota.
///
/// ```
/// assert!(greenthread::num_cpu() >= 1);
/// ```
pub fn num_cpu() -> usize {
    scheduler::num_cpu()
}

/// Returns the number of Ps, which limits how many goroutines run at once (Go's
/// `runtime.GOMAXPROCS(0)`).
///
/// The default is [`num_cpu`], and it follows changes to that number until the environment variable
/// `GOMAXPROCS`, [`config`](crate::config) or [`set_gomaxprocs`] chooses a number.
///
/// ```
/// assert!(greenthread::gomaxprocs() >= 1);
/// ```
pub fn gomaxprocs() -> usize {
    scheduler::gomaxprocs()
}

/// Sets the number of Ps and returns the previous number (Go's `runtime.GOMAXPROCS(n)`).
///
/// The number is limited to [`MAX_PROCS`](crate::config::MAX_PROCS). The change stops nothing: a
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

/// Keeps the calling goroutine on its OS thread, and other goroutines off it, until the guard is
/// dropped (Go's `runtime.LockOSThread`).
///
/// Locks nest. One kind of goroutine still returns to the locked thread: a goroutine that ran on
/// this thread before, and has the address of one of the thread's thread-locals on its stack. It
/// may run here while the locked goroutine is parked; otherwise the two could wait for each other
/// forever.
///
/// Restore any state of the thread that you have changed before you drop the guard. If you cannot,
/// use [`Builder::pinned`](crate::Builder::pinned), whose thread ends with its goroutine. If a
/// goroutine ends while it is locked, because its guard was forgotten, its thread is never used
/// again. The thread must not end, since others may still have references to its thread-locals.
/// [`Stats::unusable_threads`](crate::debug::Stats::unusable_threads) counts such threads. (Go ends
/// the thread.)
///
/// Each wake-up of a locked goroutine costs a thread switch. On a thread that is not a goroutine,
/// this does nothing.
///
/// # Aborts
/// If another goroutine drops the guard. The guard is not `Send`, but a thread-local can hand it to
/// a goroutine on the same thread.
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

/// Runs `f`, which is known to block the thread, while another thread runs the other goroutines.
///
/// The P is handed off at once. A blocking call outside of `blocking` also loses its P, but only
/// after 2 to 4 ms, or after about 0.1 ms if other goroutines have just blocked. Go hands off the P
/// by itself around system calls, but cannot do so around C code that blocks. May yield after `f`
/// has returned, if all Ps are taken. On a thread that is not a goroutine, this just calls `f`.
///
/// ```
/// let read = || std::fs::read_to_string("Cargo.toml");
/// let handle = greenthread::spawn(move || greenthread::blocking(read));
/// assert!(handle.join().unwrap().is_ok());
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    scheduler::blocking(f)
}
