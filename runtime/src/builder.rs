//! `Builder`: goroutines with a name, a stack size, or a thread of their own.

use std::io;
use std::sync::Arc;

use greenthread_scheduler::{self as scheduler, Options};

use crate::scope::{Scope, ScopedJoinHandle};
use crate::task::JoinHandle;

/// A factory for goroutines with a name, a stack size, or a thread of their own, like
/// [`std::thread::Builder`] for threads.
///
/// ```
/// let handle = greenthread::Builder::new().name("parser").stack_size(1 << 20).spawn(|| {
///     greenthread::current().unwrap().name().map(str::to_owned)
/// })?;
/// assert_eq!(handle.join().unwrap().as_deref(), Some("parser"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn` is called"]
pub struct Builder {
    pub(crate) options: Options,
}

impl Builder {
    /// Creates a builder for a goroutine without a name, with the default stack, on any thread.
    ///
    /// ```
    /// greenthread::Builder::new().spawn(|| {})?.join().unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the goroutine in panic messages, overflow reports, and dumps.
    ///
    /// Go has no counterpart.
    ///
    /// ```
    /// let handle = greenthread::Builder::new().name("ticker").spawn(|| {})?;
    /// assert_eq!(handle.name(), Some("ticker"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Reserves `bytes` of address space for the stack, rounded up to a power of two or, below 2
    /// MiB, to half as much again (16, 24, 32, 48 KiB).
    ///
    /// The size includes the guard area at the end of the stack, which is at most 16 KiB. It may be
    /// from 16 KiB to 64 GiB; the default is the value of `GREENTHREAD_STACK`, or
    /// [`DEFAULT_STACK_SIZE`](crate::config::DEFAULT_STACK_SIZE): 384 KiB, and 2 MiB in builds with
    /// debug assertions. Memory is committed as it is touched. The unused part of a reservation
    /// costs address space and page tables, 2 KiB for each MiB up to 2 MiB. Go needs no such
    /// choice, since its stacks grow.
    ///
    /// ```
    /// fn depth(n: u64) -> u64 { if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) } }
    ///
    /// let handle = greenthread::Builder::new().stack_size(64 << 20).spawn(|| depth(50_000))?;
    /// assert_eq!(handle.join().unwrap(), 50_000);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.options.stack_size = Some(bytes);
        self
    }

    /// Gives the goroutine an OS thread of its own, from its first instruction to its last.
    ///
    /// Thread-locals, and libraries that insist on one thread, work in such a goroutine.
    ///
    /// The thread has never run another goroutine, and ends with this one. So the goroutine may
    /// change the state of its thread, such as the signal mask, the nice value or namespaces, and
    /// need not restore it. The thread inherits nothing from other goroutines either. The
    /// counterpart in Go is a goroutine that calls `LockOSThread` in its first line and ends
    /// without calling `UnlockOSThread`.
    ///
    /// Spawning creates a thread, so some 50 to 200 µs pass before the goroutine begins. Each
    /// wake-up costs a thread switch. If the thread limit
    /// ([`Config::max_threads`](crate::config::Config::max_threads)) is reached, the goroutine
    /// waits until another pinned goroutine ends. If there is no other pinned goroutine, it would
    /// wait forever, so the process ends with status 2 and a message.
    ///
    /// ```
    /// use std::thread;
    ///
    /// let handle = greenthread::Builder::new().pinned(true).spawn(|| {
    ///     let before = thread::current().id();
    ///     greenthread::time::sleep(std::time::Duration::from_millis(1));
    ///     before == thread::current().id()
    /// })?;
    /// assert!(handle.join().unwrap());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pinned(mut self, pinned: bool) -> Self {
        self.options.pinned = pinned;
        self
    }

    /// Takes the stack when the goroutine is spawned, so that the spawn fails if there is none.
    ///
    /// Otherwise a goroutine takes its stack when it begins, and if none can be had at that time,
    /// it waits until another goroutine ends. A server can use this to turn a connection away
    /// instead ([`serve_with`](crate::net::TcpListener::serve_with)). A spawn then takes about 0.1
    /// µs longer. Go has no counterpart.
    ///
    /// ```
    /// match greenthread::Builder::new().reserve_stack(true).spawn(|| "served") {
    ///     Ok(handle) => assert_eq!(handle.join().unwrap(), "served"),
    ///     Err(busy) => eprintln!("come back later: {busy}"),
    /// }
    /// ```
    pub fn reserve_stack(mut self, reserve: bool) -> Self {
        self.options.reserve_stack = reserve;
        self
    }

    /// Spawns the goroutine, like [`spawn`](crate::spawn).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the stack size is not possible;
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory) if there is no stack, with
    /// [`reserve_stack`](Self::reserve_stack).
    ///
    /// ```
    /// let error = greenthread::Builder::new().stack_size(0).spawn(|| {}).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        scheduler::spawn(f, self.options).map(JoinHandle::new)
    }

    /// Spawns the goroutine in a [`scope`](fn@crate::scope), like [`Scope::spawn`].
    ///
    /// Does not block.
    ///
    /// # Errors
    /// Like [`spawn`](Self::spawn).
    ///
    /// ```
    /// let numbers = [1, 2, 3];
    /// let sum = greenthread::scope(|s| {
    ///     let builder = greenthread::Builder::new().name("sum");
    ///     let handle = builder.spawn_scoped(s, || numbers.iter().sum::<i32>())?;
    ///     Ok::<_, std::io::Error>(handle.join().unwrap())
    /// })?;
    /// assert_eq!(sum, 6);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        scope.spawn_with(f, self.options)
    }
}
