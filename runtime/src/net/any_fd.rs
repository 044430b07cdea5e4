//! [`Async`]: any value that has a descriptor.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;

use super::async_fd::AsyncFd;
use super::watch_error::WatchError;
use super::with_ctx::{WithCtx, WithCtxMut};

/// A value with a descriptor that can be waited for: a pipe, a terminal, `inotify`, a socket from
/// another library.
///
/// It does what Go's `os.NewFile` does.
///
/// It reads and writes if the value does. To read and write at the same time, or under a context,
/// use [views](Self::with_ctx). They require a value that reads and writes through a shared
/// reference, as most values do. For other values, such as the pipes of a
/// [`Child`](std::process::Child), use [`with_ctx_mut`](Self::with_ctx_mut). For any other
/// operation, wait until the descriptor is [`readable`](Self::readable) or
/// [`writable`](Self::writable), and then try the operation.
///
/// The descriptor is non-blocking until the `Async` is closed, dropped, or converted back into the
/// value. The mode belongs to the open file. All descriptors of the file share it, even those in
/// other processes, so other users of a shared file, such as a terminal, notice the change. If two
/// `Async`s use one open file, the one that was made first must outlive the other. Regular files
/// cannot be waited for: use them directly.
///
/// ```
/// use greenthread::net::Async;
/// use std::io::{self, Read, Write};
///
/// let (reader, writer) = io::pipe()?;
/// let (mut reader, mut writer) = (Async::new(reader)?, Async::new(writer)?);
/// let echo = greenthread::spawn(move || {
///     let mut text = String::new();
///     reader.read_to_string(&mut text).map(|_| text)
/// });
/// writer.write_all(b"through a pipe")?;
/// drop(writer);
/// assert_eq!(echo.join().unwrap()?, "through a pipe");
/// # Ok::<(), io::Error>(())
/// ```
pub struct Async<T: AsFd> {
    fd: AsyncFd<T>,
}

impl<T: AsFd> Async<T> {
    /// Registers the descriptor of `inner` with the poller and makes it non-blocking.
    ///
    /// The value must keep the same descriptor. Does not block.
    ///
    /// # Errors
    /// The system's error, together with the unchanged value: `PermissionDenied` if the descriptor
    /// cannot be waited for, as with a regular file; `AlreadyExists` if the same descriptor is in
    /// use by another `Async` that was not [closed](Self::close).
    ///
    /// ```
    /// use greenthread::net::Async;
    ///
    /// let file = std::fs::File::open(std::env::current_exe()?)?;
    /// assert!(Async::new(file).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(inner: T) -> Result<Self, WatchError<T>> {
        match AsyncFd::new(inner) {
            Ok(fd) => Ok(Self { fd }),
            Err((error, inner)) => Err(WatchError::new(error, inner)),
        }
    }

    /// Returns a view of the value with operations that fail when `ctx` ends.
    ///
    /// Does not block and costs nothing.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::Async;
    /// use std::io::Read;
    /// use std::time::Duration;
    ///
    /// let (reader, _writer) = std::io::pipe()?;
    /// let reader = Async::new(reader)?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert!(reader.with_ctx(&ctx).read(&mut [0; 10]).is_err(), "no bytes come");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_ctx<'a>(&'a self, ctx: &'a Context) -> WithCtx<'a, Self> {
        WithCtx::new(self, ctx)
    }

    /// Returns a view like [`with_ctx`](Self::with_ctx), for values that read and write only
    /// through an exclusive reference.
    ///
    /// Does not block and costs nothing.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::Async;
    /// use std::io::Read;
    /// use std::process::{Command, Stdio};
    /// use std::time::Duration;
    ///
    /// let mut child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn()?;
    /// let mut stdout = Async::new(child.stdout.take().unwrap())?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// let error = stdout.with_ctx_mut(&ctx).read(&mut [0; 10]).unwrap_err();
    /// assert_eq!(error.to_string(), "context deadline exceeded");
    /// child.kill()?;
    /// child.wait()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_ctx_mut<'a>(&'a mut self, ctx: &'a Context) -> WithCtxMut<'a, Self> {
        WithCtxMut { socket: self, ctx }
    }

    /// Returns a reference to the value; the value's own operations return `WouldBlock` instead of
    /// waiting.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::os::fd::AsRawFd;
    ///
    /// let (reader, _writer) = std::io::pipe()?;
    /// let number = reader.as_raw_fd();
    /// assert_eq!(Async::new(reader)?.get_ref().as_raw_fd(), number);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn get_ref(&self) -> &T {
        self.fd.get()
    }

    /// Returns the value and restores the mode of its descriptor.
    ///
    /// A socket keeps the timeouts that were set here. Does not block.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::io::PipeReader;
    ///
    /// let reader: PipeReader = Async::new(std::io::pipe()?.0)?.into_inner();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "the value is dropped if it is not used"]
    pub fn into_inner(self) -> T {
        self.fd.into_inner()
    }

    /// Ends all current and later operations with an error
    /// ([`NotConnected`](io::ErrorKind::NotConnected)).
    ///
    /// The descriptor itself stays open for as long as the value keeps it open; the value may not
    /// own it. The descriptor gets its former mode back, and may be passed to another `Async`. The
    /// call wakes all goroutines that wait in operations, and blocks until those operations have
    /// returned.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::io::ErrorKind;
    ///
    /// let (reader, _writer) = std::io::pipe()?;
    /// let reader = Async::new(reader)?;
    /// reader.close();
    /// assert_eq!(reader.readable().unwrap_err().kind(), ErrorKind::NotConnected);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        self.fd.evict();
    }

    /// Sets the deadline after which operations fail, or removes it with `None`.
    ///
    /// The deadline applies to operations that are already waiting and to all later ones. Once it
    /// has passed, operations fail with [`TimedOut`](io::ErrorKind::TimedOut) until another
    /// deadline is set, even if they would not have to wait. Does not block. Go's `SetDeadline`.
    ///
    /// # Errors
    /// If the `Async` is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// reader.set_deadline(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.fd.set_deadlines(deadline)
    }

    /// Sets the deadline for reads.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetReadDeadline`.
    ///
    /// # Errors
    /// If the `Async` is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.fd.set_deadline(Direction::Read, deadline)
    }

    /// Sets the deadline for writes.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetWriteDeadline`.
    ///
    /// # Errors
    /// If the `Async` is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.fd.set_deadline(Direction::Write, deadline)
    }

    /// Sets how long each later read operation may take, or removes the limit with `None`.
    ///
    /// An operation that takes longer fails with [`TimedOut`](io::ErrorKind::TimedOut). The timeout
    /// applies to all handles. A deadline that is reached earlier also applies. Does not block.
    ///
    /// # Errors
    /// If the timeout is zero or the `Async` is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.set_read_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(reader.read_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.fd.set_timeout(Direction::Read, timeout)
    }

    /// Sets how long each later write operation may take, or removes the limit with `None`.
    ///
    /// Like [`set_read_timeout`](Self::set_read_timeout), but for the other direction.
    ///
    /// # Errors
    /// If the timeout is zero or the `Async` is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.set_write_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(reader.write_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.fd.set_timeout(Direction::Write, timeout)
    }

    /// Returns the timeout for reads.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the `Async` is closed.
    ///
    /// ```
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// assert_eq!(reader.read_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.fd.timeout(Direction::Read)
    }

    /// Returns the timeout for writes.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the `Async` is closed.
    ///
    /// ```
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// assert_eq!(reader.write_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.fd.timeout(Direction::Write)
    }

    /// Blocks until there is something to read, or the end is reached.
    ///
    /// Takes turns with other operations that read.
    ///
    /// Use it for operations that this type does not have: wait, try the operation on the
    /// [descriptor](std::os::fd::AsFd), and wait again if the operation would block. Go's
    /// `SyscallConn().Read`.
    ///
    /// # Errors
    /// If the `Async` is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::{Duration, Instant};
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// match reader.readable() {
    ///     Ok(()) => println!("ready"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.fd.wait_ready(None, Direction::Read)
    }

    /// Blocks until a write would not block, or would fail.
    ///
    /// Takes turns with other operations that write. Otherwise like [`readable`](Self::readable).
    /// Go's `SyscallConn().Write`.
    ///
    /// # Errors
    /// If the `Async` is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.fd.wait_ready(None, Direction::Write)
    }

    /// Blocks until the system reports an out-of-band event (`POLLPRI`), or the peer hangs up.
    ///
    /// Such events are TCP urgent data, a change of a sysfs file, and an alarm of the kernel's
    /// pressure stall information. The event may be one that was already reported and handled
    /// before the call. One goroutine may wait for the event while another reads; several such
    /// waits take turns. A read deadline ends the wait; a timeout does not. Go has no counterpart.
    ///
    /// # Errors
    /// If the `Async` is closed or the read deadline has passed;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on systems other than Linux.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// if let Err(error) = reader.priority() {
    ///     println!("nothing urgent: {error}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.fd.wait_ready(None, Direction::Priority)
    }
}

impl<T: AsFd> WithCtx<'_, Async<T>> {
    /// Blocks like [`Async::readable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`Async::readable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = reader.with_ctx(&ctx).readable().unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.fd.wait_ready(Some(self.ctx), Direction::Read)
    }

    /// Blocks like [`Async::writable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`Async::writable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// reader.with_ctx(&Context::background()).writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.fd.wait_ready(Some(self.ctx), Direction::Write)
    }

    /// Blocks like [`Async::priority`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`Async::priority`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (reader, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let reader = greenthread::net::Async::new(reader)?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(reader.with_ctx(&ctx).priority().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.fd.wait_ready(Some(self.ctx), Direction::Priority)
    }
}

impl<T: AsFd + Read> Read for Async<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.fd.read_mut(None, bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.fd.read_vectored_mut(None, parts)
    }
}

impl<T: AsFd + Write> Write for Async<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fd.write_mut(None, bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.fd.write_vectored_mut(None, parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.fd.flush_mut(None)
    }
}

impl<T: AsFd + Read> Read for WithCtxMut<'_, Async<T>> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.fd.read_mut(Some(self.ctx), bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.fd.read_vectored_mut(Some(self.ctx), parts)
    }
}

impl<T: AsFd + Write> Write for WithCtxMut<'_, Async<T>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.fd.write_mut(Some(self.ctx), bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.fd.write_vectored_mut(Some(self.ctx), parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.fd.flush_mut(Some(self.ctx))
    }
}

// There are no such implementations for `&Async<T>`: with this bound they would be recursive, and
// the compiler would search without end wherever a program has a bound like `for<'a> &'a S: Read`.
impl<T: AsFd> Read for WithCtx<'_, Async<T>>
where
    for<'a> &'a T: Read,
{
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.fd.read(Some(self.ctx), bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.fd.read_vectored(Some(self.ctx), parts)
    }
}

impl<T: AsFd> Write for WithCtx<'_, Async<T>>
where
    for<'a> &'a T: Write,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.fd.write(Some(self.ctx), bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.fd.write_vectored(Some(self.ctx), parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.fd.flush(Some(self.ctx))
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(self.fd.get()).finish()
    }
}
