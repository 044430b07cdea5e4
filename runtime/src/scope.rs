//! Goroutines that borrow: `std::thread::scope`, signature for signature.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::panic::{self, AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use greenthread_scheduler::mutex::Mutex;
use greenthread_scheduler::protocol::sync::raw_wait_group::RawWaitGroup;
use greenthread_scheduler::{self as scheduler, Exited, Options, WaitReason};

use crate::sync::{BlockingWait, Reason, reporting};

/// Runs `f`, which may spawn goroutines that borrow from the caller's frame, and returns when all
/// of them have ended.
///
/// As with [`std::thread::scope`], all goroutines are joined at the end, whether or not `f` has
/// joined them, and even if `f` panics. Parks the calling goroutine, or blocks the calling thread.
/// Go has no counterpart; `errgroup` comes close.
///
/// In a goroutine, use this function and not [`std::thread::scope`], which wakes the *thread* that
/// entered the scope. If the goroutine has parked inside the scope, that thread is running another
/// goroutine by the time it is woken. If you need threads, hold a
/// [`lock_os_thread`](crate::lock_os_thread) guard around the whole scope.
///
/// # Panics
/// If a goroutine panicked and its handle was not joined. If `f` panics, that panic is resumed
/// after all goroutines have ended.
///
/// ```
/// let mut numbers = vec![1, 2, 3];
/// let (mut sum, mut product) = (0, 1);
/// greenthread::scope(|s| {
///     s.spawn(|| sum = numbers.iter().sum());
///     s.spawn(|| product = numbers.iter().product());
/// });
/// numbers.push(sum + product);
/// assert_eq!(numbers, [1, 2, 3, 12]);
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope { data: Arc::default(), env: PhantomData, scope: PhantomData };
    let result = panic::catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.data.running.wait();
    match result {
        Err(payload) => panic::resume_unwind(payload),
        Ok(_) if scope.data.panicked.load(Ordering::Relaxed) => panic!("a scoped goroutine panicked"),
        Ok(result) => result,
    }
}

/// A scope in which its creator and its goroutines can spawn goroutines.
///
/// See [`scope`].
///
/// ```
/// use greenthread::{Scope, scope};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// fn tree<'scope>(s: &'scope Scope<'scope, '_>, nodes: &'scope AtomicU32, depth: u32) {
///     nodes.fetch_add(1, Ordering::Relaxed);
///     for _ in 0..depth {
///         s.spawn(move || tree(s, nodes, depth - 1));
///     }
/// }
///
/// let nodes = AtomicU32::new(0);
/// scope(|s| tree(s, &nodes, 3));
/// assert_eq!(nodes.into_inner(), 16);
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    data: Arc<Data>,
    // Invariance over both lifetimes, as in std: a longer `'scope` would let a goroutine borrow
    // data that does not live long enough.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

#[derive(Default)]
struct Data {
    running: RawWaitGroup<BlockingWait<Ending>>,
    panicked: AtomicBool,
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("panicked", &self.data.panicked).finish_non_exhaustive()
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a goroutine in the scope, like [`std::thread::Scope::spawn`].
    ///
    /// Does not block.
    ///
    /// ```
    /// let text = String::from("borrowed");
    /// let len = greenthread::scope(|s| s.spawn(|| text.len()).join().unwrap());
    /// assert_eq!(len, 8);
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        // Only a stack can be refused, and the default options do not ask for one.
        self.spawn_with(f, Options::default()).expect("scope: default options are possible")
    }

    #[track_caller]
    pub(crate) fn spawn_with<F, T>(&'scope self, f: F, options: Options) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let result = Mutex::new(Outcome::Pending);
        let packet = Arc::new(Packet { data: Arc::clone(&self.data), result, _scope: PhantomData });
        self.data.count(1);
        let theirs = Arc::clone(&packet);
        // Everything that the goroutine borrows is released before the last owner drops the packet.
        let body = reporting(f, move |end| {
            theirs.finish(end);
            drop(theirs);
        });
        // SAFETY: `scope` does not return before the packets of all its goroutines are dropped, and
        // the body drops its share of the packet after everything else that may borrow.
        match unsafe { scheduler::spawn_unchecked(body, options) } {
            Ok(handle) => Ok(ScopedJoinHandle { handle, packet }),
            Err(error) => {
                packet.put(Outcome::Handled);
                Err(error)
            }
        }
    }
}

impl Data {
    fn count(&self, n: isize) {
        self.running.add(n).expect("scope: each goroutine is counted once, and there are fewer than `i32::MAX`");
    }
}

/// The wait for the goroutines of a scope.
struct Ending;

impl Reason for Ending {
    const REASON: WaitReason = WaitReason::Scope;
}

/// The result of a scoped goroutine on its way to the handle. Dropping the packet marks the end of
/// the goroutine.
struct Packet<'scope, T> {
    data: Arc<Data>,
    result: Mutex<Outcome<T>>,
    _scope: PhantomData<&'scope ()>,
}

/// The outcome of a scoped goroutine, as far as it is known.
enum Outcome<T> {
    /// The goroutine has not ended, or it has ended without having run.
    Pending,
    Ended(thread::Result<T>),
    /// The outcome was handled, and no other caller needs it.
    Handled,
}

impl<T> Packet<'_, T> {
    fn finish(&self, result: thread::Result<T>) {
        self.put(Outcome::Ended(result));
    }

    fn put(&self, outcome: Outcome<T>) -> Outcome<T> {
        mem::replace(&mut *self.result.lock(), outcome)
    }
}

impl<T> Drop for Packet<'_, T> {
    fn drop(&mut self) {
        let result = self.result.get_mut();
        let outcome = mem::replace(result, Outcome::Handled);
        let unhandled = matches!(&outcome, Outcome::Ended(Err(payload)) if !payload.is::<Exited>());
        // The result may also borrow, so it is dropped before the goroutine counts as ended.
        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(outcome)));
        if unhandled || dropped.is_err() {
            self.data.panicked.store(true, Ordering::Relaxed);
        }
        self.data.count(-1);
    }
}

/// An owned permission to join a scoped goroutine.
///
/// If the handle is dropped, the goroutine is joined at the end of the scope.
///
/// ```
/// use greenthread::ScopedJoinHandle;
///
/// let words = ["go", "fast"];
/// greenthread::scope(|s| {
///     let lengths: Vec<ScopedJoinHandle<'_, usize>> =
///         words.iter().map(|word| s.spawn(|| word.len())).collect();
///     assert_eq!(lengths.into_iter().map(|handle| handle.join().unwrap()).sum::<usize>(), 6);
/// });
/// ```
pub struct ScopedJoinHandle<'scope, T> {
    handle: scheduler::JoinHandle<()>,
    packet: Arc<Packet<'scope, T>>,
}

// As with `JoinHandle`, a result is always taken as a whole.
impl<T> UnwindSafe for ScopedJoinHandle<'_, T> {}
impl<T> RefUnwindSafe for ScopedJoinHandle<'_, T> {}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the goroutine to end and returns its result.
    ///
    /// Parks the calling goroutine, or blocks the calling thread. The result is moved through
    /// several frames. If it is over 4 KiB, let the goroutine return a `Box` or a `Vec`, as
    /// [`go!`](macro@crate::go) explains.
    ///
    /// # Errors
    /// The payload of the panic that ended the goroutine.
    ///
    /// ```
    /// greenthread::scope(|s| assert_eq!(s.spawn(|| 1 + 1).join().unwrap(), 2));
    /// ```
    pub fn join(self) -> thread::Result<T> {
        self.handle.wait();
        match self.packet.put(Outcome::Handled) {
            Outcome::Ended(result) => result,
            Outcome::Pending | Outcome::Handled => {
                unreachable!("scope: a goroutine that has ended leaves a result, and is joined once")
            }
        }
    }

    /// Returns `true` if the goroutine has ended.
    ///
    /// Does not block.
    ///
    /// ```
    /// greenthread::scope(|s| {
    ///     let handle = s.spawn(|| ());
    ///     while !handle.is_finished() {
    ///         greenthread::yield_now();
    ///     }
    /// });
    /// ```
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Returns the goroutine's id.
    ///
    /// ```
    /// greenthread::scope(|s| assert!(s.spawn(|| ()).id() > 0));
    /// ```
    pub fn id(&self) -> u64 {
        self.handle.id()
    }

    /// Returns the name that was given with [`Builder::name`](crate::Builder::name), if any.
    ///
    /// ```
    /// greenthread::scope(|s| assert_eq!(s.spawn(|| ()).name(), None));
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }
}
