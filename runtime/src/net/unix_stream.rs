//! Unix domain sockets: streams.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{self as unix, SocketAddr};
use std::path::Path;

use greenthread_ctx::Context;
use socket2::{Domain, Type};

use super::async_fd::AsyncFd;
use super::cred::UCred;
use super::error;
use super::socket::Socket;
use super::with_ctx::WithCtx;

/// A Unix socket connection within this machine.
///
/// The counterpart of `std::os::unix::net::UnixStream`, and of Go's `net.UnixConn`.
///
/// Reading and writing block the calling goroutine or thread, and can be in progress at the same
/// time; see [the module](super). Dropping the last handle closes the connection.
///
/// ```
/// use greenthread::net::UnixStream;
/// use std::io::{Read, Write};
///
/// let (mut one, mut other) = UnixStream::pair()?;
/// one.write_all(b"hello")?;
/// let mut bytes = [0; 5];
/// other.read_exact(&mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream {
    pub(super) socket: Socket<unix::UnixStream>,
}

impl Read for UnixStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.read(None, bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored(None, parts)
    }
}

impl Write for UnixStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(None, bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send_vectored(None, parts)
    }

    /// Does nothing: writes are not buffered here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for &UnixStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.read(None, bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored(None, parts)
    }
}

impl Write for &UnixStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(None, bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send_vectored(None, parts)
    }

    /// Does nothing: writes are not buffered here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for WithCtx<'_, UnixStream> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.socket.read(Some(self.ctx), bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.socket.read_vectored(Some(self.ctx), parts)
    }
}

impl Write for WithCtx<'_, UnixStream> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.socket.send(Some(self.ctx), bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.socket.send_vectored(Some(self.ctx), parts)
    }

    /// Does nothing: writes are not buffered here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl UnixStream {
    /// Connects to the listener at this path.
    ///
    /// Blocks only while too many connections wait at the listener to be accepted. No event reports
    /// when there is room again, so the call retries every few milliseconds. (Go's `net.DialUnix`
    /// fails instead.)
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// use greenthread::net::{UnixListener, UnixStream};
    /// # let path = std::env::temp_dir().join(format!("connect-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path)?;
    /// let (server, _addr) = listener.accept()?;
    /// # std::fs::remove_file(&path)?;
    /// # let _ = (client, server);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to an address, like [`connect`](Self::connect).
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// use greenthread::net::{UnixListener, UnixStream};
    /// use std::os::unix::net::SocketAddr;
    /// # let path = std::env::temp_dir().join(format!("connect-addr-{}.sock", std::process::id()));
    ///
    /// let addr = SocketAddr::from_pathname(&path)?;
    /// let listener = UnixListener::bind_addr(&addr)?;
    /// let client = UnixStream::connect_addr(&addr)?;
    /// assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path)?;
    /// # let _ = listener;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_addr(addr: &SocketAddr) -> io::Result<Self> {
        Self::connect_within(None, addr)
    }

    /// Connects like [`connect`](Self::connect), unless `ctx` ends first.
    ///
    /// Go's `Dialer.DialContext`.
    ///
    /// # Errors
    /// The errors of [`connect`](Self::connect), and the context's error if it ends first.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::UnixStream;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = UnixStream::connect_ctx(&ctx, "/tmp/service.sock").unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// ```
    pub fn connect_ctx(ctx: &Context, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_addr_ctx(ctx, &SocketAddr::from_pathname(path)?)
    }

    /// Connects to an address, like [`connect_ctx`](Self::connect_ctx).
    ///
    /// # Errors
    /// The errors of [`connect_ctx`](Self::connect_ctx).
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::UnixStream;
    /// use std::os::unix::net::SocketAddr;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let addr = SocketAddr::from_pathname("/tmp/service.sock")?;
    /// let error = UnixStream::connect_addr_ctx(&ctx, &addr).unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_addr_ctx(ctx: &Context, addr: &SocketAddr) -> io::Result<Self> {
        error::check_ctx(Some(ctx))?;
        Self::connect_within(Some(ctx), addr)
    }

    fn connect_within(ctx: Option<&Context>, addr: &SocketAddr) -> io::Result<Self> {
        // Only `std` can read a `SocketAddr`, and `std` streams block while they connect. A `std`
        // datagram socket connects any descriptor that it is made from, whatever its kind.
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let mut socket = unix::UnixDatagram::from(OwnedFd::from(socket));
        match socket.connect_addr(addr) {
            // The queue of the listener is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let fd = AsyncFd::own(socket)?;
                fd.run_io_with_pauses(ctx, |socket| socket.connect_addr(addr))?;
                socket = fd.into_inner();
            }
            connected => connected?,
        }
        Self::own(OwnedFd::from(socket).into())
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// use greenthread::net::UnixStream;
    /// use std::io::{Read, Write};
    ///
    /// let (mut one, mut other) = UnixStream::pair()?;
    /// greenthread::go!(move || one.write_all(b"hello").unwrap());
    /// let mut text = String::new();
    /// other.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = unix::UnixStream::pair()?;
        Ok((Self::own(one)?, Self::own(other)?))
    }

    /// Registers a socket that was made here.
    pub(super) fn own(socket: unix::UnixStream) -> io::Result<Self> {
        Socket::own(socket).map(|socket| Self { socket })
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixStream::pair()?;
    /// assert!(one.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.local_addr()
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixStream::pair()?;
    /// assert!(one.peer_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.peer_addr()
    }

    /// Returns the user, group and process at the other end, as the system knows them.
    ///
    /// The values date from the moment when the peer connected, listened, or made the pair. Does
    /// not block. Go's `GetsockoptUcred` with `SO_PEERCRED`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixStream::pair()?;
    /// let peer = one.peer_cred()?;
    /// println!("user {}, group {}, process {:?}", peer.uid(), peer.gid(), peer.pid());
    /// # assert!(peer.pid().is_none_or(|pid| pid as u32 == std::process::id()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self.socket.open()?.as_fd())
    }

    /// Shuts down one direction or both, for all handles.
    ///
    /// After `Write` the peer reads the end of the stream. Does not block.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use greenthread::net::UnixStream;
    /// use std::io::Read;
    /// use std::net::Shutdown;
    ///
    /// let (one, mut other) = UnixStream::pair()?;
    /// one.shutdown(Shutdown::Write)?;
    /// assert_eq!(other.read(&mut [0])?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.open()?.shutdown(how)
    }
}

/// Operations that all sockets have.
impl UnixStream {
    /// Converts a `std` stream into a stream of this module.
    ///
    /// The socket and all of its duplicates become non-blocking. Its timeouts (`SO_RCVTIMEO`,
    /// `SO_SNDTIMEO`) stay in force. Does not block.
    ///
    /// # Errors
    /// If the socket cannot be registered with the poller or made non-blocking. In that case the
    /// socket is closed, and its duplicates are as they were before.
    ///
    /// ```
    /// use greenthread::net::UnixStream;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// // To the type of `std`, and back.
    /// let stream = UnixStream::from_std(stream.into_std()?)?;
    /// # let _ = stream;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(stream: unix::UnixStream) -> io::Result<Self> {
        Socket::from_std(stream).map(|socket| Self { socket })
    }

    /// Converts the stream into a blocking `std` stream, with the timeouts that were set here.
    ///
    /// If there are other handles, the result is a duplicate, which is non-blocking like the
    /// original. Does not block.
    ///
    /// # Errors
    /// If there are other handles and no descriptor is free for a duplicate, or if the system
    /// refuses to make the socket blocking. In both cases this handle is closed.
    ///
    /// ```
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// let stream: std::os::unix::net::UnixStream = stream.into_std()?;
    /// # let _ = stream;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<unix::UnixStream> {
        self.socket.into_std()
    }

    /// Returns another handle to the same stream.
    ///
    /// The handles share everything, including deadlines and [`close`](Self::close). The new handle
    /// takes no descriptor of its own. Does not block.
    ///
    /// # Errors
    /// None; the signature is the same as in `std`.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// let clone = stream.try_clone()?;
    /// assert_eq!(clone.as_raw_fd(), stream.as_raw_fd());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.share() })
    }

    /// Returns and clears the error that the system keeps for the socket (`SO_ERROR`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// assert!(stream.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Sets whether operations return [`WouldBlock`](io::ErrorKind::WouldBlock) instead of waiting.
    ///
    /// The setting applies to this handle and to all of its clones. The descriptor itself is always
    /// non-blocking. Does not block.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Closes the stream for all of its handles.
    ///
    /// Operations in progress and all later ones return an error
    /// ([`NotConnected`](io::ErrorKind::NotConnected), "use of closed network connection"). The
    /// peer notices, and the address is free again. Closing a second time has no effect. Does not
    /// block. Go's `Close`.
    ///
    /// Dropping the last handle has the same effect. The descriptor's number is not reused until
    /// then.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.close();
    /// assert_eq!(stream.take_error().unwrap_err().kind(), ErrorKind::NotConnected);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        self.socket.close();
    }

    /// Returns a view of the stream with operations that fail when `ctx` ends.
    ///
    /// Does not block and costs nothing.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(5));
    /// let view = stream.with_ctx(&ctx);
    /// # let _ = view;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_ctx<'a>(&'a self, ctx: &'a Context) -> WithCtx<'a, Self> {
        WithCtx::new(self, ctx)
    }
}
