//! Entry points: starting goroutines, and what a goroutine can ask about itself and do with itself.
//!
//! Each of them starts the runtime if it does not run yet.

use std::fmt;
use std::io;
use std::panic::{self, Location};
use std::sync::Arc;
use std::time::Duration;

use crate::api::procs::{self, MAX_PROCS};
use crate::diag::fatal;
use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::{sched, try_sched};
use crate::machine::sys::UNWINDS;
use crate::sched::boot;
use crate::task::after_func::AfterFunc;
use crate::task::handle::JoinHandle;
use crate::task::spawn::{self, Options};
use crate::time::clock;
use crate::wait::blocker::Blocker;
use crate::wait::foreign;

/// The main goroutine's stack reservation, as large as a main thread's usually is.
const MAIN_STACK: usize = 8 << 20;

/// A goroutine's id and name, which `greenthread::current` returns.
///
/// ```
/// use greenthread::{Builder, Goroutine, current};
///
/// let handle = Builder::new().name("parser").spawn(|| current().unwrap())?;
/// let parser: Goroutine = handle.join().unwrap();
/// assert_eq!(parser.name(), Some("parser"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Goroutine {
    id: u64,
    name: Option<Arc<str>>,
}

impl Goroutine {
    /// Returns the id, which is never 0 and never reused in this process.
    ///
    /// ```
    /// use greenthread::{current, spawn};
    ///
    /// let id = || current().unwrap().id();
    /// let (one, other) = (spawn(id), spawn(id));
    /// assert_ne!(one.join().unwrap(), other.join().unwrap());
    /// ```
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the name, if one was given at the spawn.
    ///
    /// ```
    /// let handle = greenthread::spawn(|| greenthread::current().unwrap());
    /// assert_eq!(handle.join().unwrap().name(), None);
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Spawns a goroutine without a handle.
///
/// See `greenthread::go!`.
#[track_caller]
pub fn go<F, T>(f: F)
where
    F: FnOnce() -> T + Send + 'static,
    T: 'static,
{
    boot::ensure();
    spawn::go(f, Location::caller());
}

/// Spawns a goroutine.
///
/// See `greenthread::Builder`.
///
/// # Errors
/// `InvalidInput` for a stack size that is out of range.
#[track_caller]
pub fn spawn<F, T>(f: F, options: Options) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: nothing is borrowed.
    unsafe { spawn_unchecked(f, options) }
}

/// Spawns a goroutine whose closure may borrow.
///
/// See `greenthread::scope`.
///
/// # Errors
/// `InvalidInput` for a stack size that is out of range.
///
/// # Safety
/// What `f` and its result borrow outlives the goroutine and its handle.
#[track_caller]
pub unsafe fn spawn_unchecked<F, T>(f: F, options: Options) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    boot::ensure();
    let site = options.site.unwrap_or(Location::caller());
    // SAFETY: the caller promises the same for what `f` borrows.
    unsafe { spawn::spawn(f, options, site) }
}

/// Calls `f` in a goroutine of its own after `duration` has passed, unless the call is stopped.
///
/// See `greenthread::time::after_func`.
#[track_caller]
pub fn after_func(duration: Duration, f: impl FnOnce() + Send + 'static) -> AfterFunc {
    boot::ensure();
    AfterFunc::start(clock::after(duration), f, Location::caller())
}

/// Returns the number of Ps.
///
/// See `greenthread::gomaxprocs`.
pub fn gomaxprocs() -> usize {
    boot::ensure();
    sched().procs() as usize
}

/// Sets the number of Ps and returns the previous one.
///
/// See `greenthread::set_gomaxprocs`.
///
/// # Panics
/// If `n` is 0.
#[track_caller]
pub fn set_gomaxprocs(n: usize) -> usize {
    assert!(n > 0, "set_gomaxprocs: there must be at least one P; call gomaxprocs() to read the number");
    boot::ensure();
    procs::choose(sched(), n.min(MAX_PROCS))
}

/// Returns the calling goroutine, or `None` on a thread that the runtime did not start.
///
/// See `greenthread::current`.
pub fn current() -> Option<Goroutine> {
    crate::sched::current::g().map(|g| Goroutine { id: g.id, name: g.name().cloned() })
}

impl Blocker {
    /// Blocks until [`Waker::wake`](crate::wait::blocker::Waker::wake), after it has run `commit`
    /// once.
    ///
    /// # Safety
    /// * The caller is the goroutine that made the `Blocker`, or the thread that made it, if it was
    ///   not made on a goroutine.
    /// * `commit` does not panic or block. Its last access to memory that a peer may free is the
    ///   store that lets the peer in. After that it may wake others, with wakers that it owns.
    // Always inlined into the caller: a function that returns after a switch pays for a
    // mispredicted return.
    #[inline(always)]
    pub unsafe fn block(&self, reason: WaitReason, commit: impl FnOnce()) {
        if self.g.is_none() {
            // SAFETY: the caller promises what `block_thread` requires.
            return unsafe { self.block_thread(reason, commit) };
        }
        let commit = move || {
            commit();
            true
        };
        // SAFETY: the caller promises what `block_if` requires.
        unsafe { self.block_if(reason, commit) };
    }

    /// Blocks a thread that does not run a goroutine, and starts the runtime, because sysmon must
    /// notice if nothing is left that could wake this thread.
    ///
    /// # Safety
    /// The conditions of [`block`](Self::block).
    #[cold]
    unsafe fn block_thread(&self, reason: WaitReason, commit: impl FnOnce()) {
        // By value: once a waker has been let in, this frame must not be touched.
        let commit = move || {
            commit();
            // Not earlier, since locks were held until now.
            boot::ensure();
            true
        };
        // SAFETY: the caller promises what `block_if` requires.
        unsafe { self.block_if(reason, commit) };
    }
}

/// Returns the number of goroutines.
///
/// See `greenthread::num_goroutine`.
pub fn num_goroutine() -> usize {
    try_sched().map_or(0, |sched| sched.alive() as usize)
}

/// The payload with which [`exit_goroutine`] unwinds its goroutine.
///
/// ```
/// use greenthread::{Exited, exit_goroutine, spawn};
///
/// let handle = spawn(|| exit_goroutine());
/// assert_eq!(handle.join().unwrap_err().downcast_ref(), Some(&Exited));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exited;

impl fmt::Debug for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the goroutine called exit_goroutine")
    }
}

/// Ends the calling goroutine.
///
/// See `greenthread::exit_goroutine`.
///
/// # Panics
/// If the caller is not a goroutine, or if the program is built with `panic = "abort"`.
pub fn exit_goroutine() -> ! {
    assert!(
        crate::sched::current::g().is_some(),
        "exit_goroutine: the caller is not a goroutine; return from the thread instead"
    );
    if !UNWINDS {
        panic!("exit_goroutine: cannot unwind in a program built with panic = \"abort\"; return instead");
    }
    // Not `panic!`, since the hook must not report it.
    panic::resume_unwind(Box::new(Exited));
}

/// Runs `f` as the main goroutine, and returns its result when it ends, even if other goroutines
/// still run.
///
/// If `f` panics, the panic continues in the caller. If `f` calls [`exit_goroutine`], the other
/// goroutines run until they have all ended; the process then ends with Go's message and status 2.
#[track_caller]
pub fn run_main<T, F>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    boot::ensure();
    let options = Options { name: Some("main".into()), stack_size: Some(MAIN_STACK), ..Options::default() };
    let main = spawn(f, options).expect("entry_points: the main goroutine's stack size is in range");
    main.expect_to_keep_its_thread();
    match main.join() {
        Ok(result) => result,
        Err(payload) if payload.is::<Exited>() => wait_for_the_others(),
        Err(payload) => panic::resume_unwind(payload),
    }
}

fn wait_for_the_others() -> ! {
    // If none of the others can run, that is a deadlock, whether or not this thread checks their
    // number.
    let _asleep = foreign::count_as_asleep(WaitReason::MainExited);
    while sched().alive() > 0 {
        std::thread::sleep(clock::POLL_INTERVAL);
    }
    fatal::fatal("no goroutines (main called exit_goroutine) - deadlock!");
}
