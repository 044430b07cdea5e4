//! Any descriptor.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;

use super::fd::{Fd, passed};
use super::macros::{deadline, limits, read_write};
use super::ready::readiness;
use super::view::{WithCtx, WithCtxMut};
use super::watch_error::WatchError;

/// Anything with a descriptor that can be waited for: pipes, terminals, `inotify`, sockets of other libraries. What Go
/// does in `os.NewFile`.
///
/// It reads and writes if the value does. To read and write at the same time, or under a context, use
/// [views](Self::with_ctx), if the value reads and writes behind a shared reference, as most do; for the others, as the
/// pipes of a [`Child`](std::process::Child), there is [`with_ctx_mut`](Self::with_ctx_mut). For other operations wait
/// until it is [`readable`](Self::readable) or [`writable`](Self::writable), and try.
///
/// The descriptor is made non-blocking, until the `Async` is closed or dropped, or gives the value
/// back. That is a property of the open file, which all its descriptors share, those of other
/// processes too: where it is shared, as a terminal, they notice. Of two `Async`s on one open file
/// let the one that was made first live longer. Regular files cannot be waited for: use them as
/// they are.
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
    fd: Fd<T>,
}

/// `Read` and `Write` by a value that may need itself for it.
macro_rules! by_mut {
    ($for:ty, $this:ident, $fd:expr, $ctx:expr) => {
        impl<T: AsFd + Read> Read for $for {
            fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                let $this = self;
                if bytes.is_empty() {
                    return $fd.read_nothing($ctx);
                }
                $fd.run_mut(Direction::Read, $ctx, |inner| inner.read(bytes))
            }

            fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                let $this = self;
                let asked = passed(parts);
                let parts = &mut parts[asked];
                if parts.is_empty() {
                    return $fd.read_nothing($ctx);
                }
                $fd.run_mut(Direction::Read, $ctx, |inner| inner.read_vectored(parts))
            }
        }

        impl<T: AsFd + Write> Write for $for {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let $this = self;
                $fd.run_mut(Direction::Write, $ctx, |inner| inner.write(bytes))
            }

            fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
                let $this = self;
                $fd.run_mut(Direction::Write, $ctx, |inner| inner.write_vectored(&parts[passed(parts)]))
            }

            fn flush(&mut self) -> io::Result<()> {
                let $this = self;
                $fd.run_mut(Direction::Write, $ctx, Write::flush)
            }
        }
    };
}

deadline!([T: AsFd] Async<T>, "Async::new(std::io::pipe()?.0)?");
limits!([T: AsFd] Async<T>, "Async::new(std::io::pipe()?.0)?");
readiness!([T: AsFd] Async<T>, "Async::new(std::os::unix::net::UnixStream::pair()?.0)?");
by_mut!(Async<T>, this, this.fd, None);
by_mut!(WithCtxMut<'_, Async<T>>, view, view.socket.fd, Some(view.ctx));
// Not for `&Async<T>`: with such a bound it would contain itself, and the compiler would search without end wherever a program has a bound
// like `for<'a> &'a S: Read`.
read_write!(
    @impl [T: AsFd] [where for<'a> &'a T: Read] [where for<'a> &'a T: Write]
    WithCtx<'_, Async<T>>, view, view.socket, Some(view.ctx)
);

impl<T: AsFd> Async<T> {
    /// Has the descriptor of `inner` watched, and makes it non-blocking. It must stay the same descriptor. Does not block.
    ///
    /// # Errors
    /// What the system says, with the value as it was: `PermissionDenied` for what cannot be waited
    /// for, as a regular file; `AlreadyExists` if the same descriptor is watched by another
    /// `Async`, which was not [closed](Self::close).
    ///
    /// ```
    /// use greenthread::net::Async;
    ///
    /// let file = std::fs::File::open(std::env::current_exe()?)?;
    /// assert!(Async::new(file).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(inner: T) -> Result<Self, WatchError<T>> {
        match Fd::new(inner) {
            Ok(fd) => Ok(Self { fd }),
            Err((error, inner)) => Err(WatchError::new(error, inner)),
        }
    }

    /// The same as [`with_ctx`](Self::with_ctx), for values that read and write only by an exclusive reference. Does not
    /// block, and costs nothing.
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

    /// The value inside. Its own operations do not wait, but say that they would block.
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
    pub fn get_ref(&self) -> &T {
        self.fd.get()
    }

    /// The value. If its descriptor was blocking before, it is again; a socket has the timeouts that were set. Does not
    /// block itself.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::io::PipeReader;
    ///
    /// let reader: PipeReader = Async::new(std::io::pipe()?.0)?.into_inner();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> T {
        self.fd.into_inner()
    }

    /// Ends all operations, those that wait and those to come, with an error
    /// ([`NotConnected`](io::ErrorKind::NotConnected)). The descriptor itself stays open as long as the value: it may
    /// be somebody else's. It is as it was before, and may be watched by another `Async`. Wakes the
    /// goroutines that wait in operations, and blocks until they have left them.
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
}

impl<T: AsFd> Async<T>
where
    for<'a> &'a T: Read,
{
    fn read_within(&self, ctx: Option<&Context>, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return self.fd.read_nothing(ctx);
        }
        self.fd.run(Direction::Read, ctx, |mut inner| inner.read(bytes))
    }

    fn read_vectored_within(&self, ctx: Option<&Context>, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let asked = passed(parts);
        let parts = &mut parts[asked];
        if parts.is_empty() {
            return self.fd.read_nothing(ctx);
        }
        self.fd.run(Direction::Read, ctx, |mut inner| inner.read_vectored(parts))
    }
}

impl<T: AsFd> Async<T>
where
    for<'a> &'a T: Write,
{
    fn write_within(&self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize> {
        self.fd.run(Direction::Write, ctx, |mut inner| inner.write(bytes))
    }

    fn write_vectored_within(&self, ctx: Option<&Context>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.fd.run(Direction::Write, ctx, |mut inner| inner.write_vectored(&parts[passed(parts)]))
    }

    fn flush_within(&self, ctx: Option<&Context>) -> io::Result<()> {
        self.fd.run(Direction::Write, ctx, |mut inner| inner.flush())
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
