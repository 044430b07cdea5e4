//! Unix domain sockets: datagrams.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self as unix, SocketAddr};
use std::path::Path;

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;

use super::socket::Socket;
use super::unix_listener::unlink_on_error;
use super::with_ctx::WithCtx;

/// A Unix socket for datagrams.
///
/// The counterpart of `std::os::unix::net::UnixDatagram`, and of Go's `net.UnixConn` for
/// `unixgram`.
///
/// Receiving blocks the calling goroutine or thread until a datagram arrives; sending blocks while
/// the receiver has no room. Both can be in progress at the same time; see [the module](super).
///
/// ```
/// use greenthread::net::UnixDatagram;
///
/// let (one, other) = UnixDatagram::pair()?;
/// one.send(b"hello")?;
/// let mut bytes = [0; 100];
/// assert_eq!(other.recv(&mut bytes)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram {
    pub(super) socket: Socket<unix::UnixDatagram>,
}

impl UnixDatagram {
    /// Makes a socket at a path where no file exists yet.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// # let name = format!("datagram-bind-{}.sock", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    ///
    /// let socket = UnixDatagram::bind(&path)?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Makes a socket at an address, like [`bind`](Self::bind).
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// use std::os::unix::net::SocketAddr;
    /// # let name = format!("datagram-bind-addr-{}.sock", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    ///
    /// let socket = UnixDatagram::bind_addr(&SocketAddr::from_pathname(&path)?)?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<Self> {
        unlink_on_error(addr, Self::own(unix::UnixDatagram::bind_addr(addr)?))
    }

    /// Makes a socket without an address, for sending.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// let socket = greenthread::net::UnixDatagram::unbound()?;
    /// assert!(socket.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unbound() -> io::Result<Self> {
        Self::own(unix::UnixDatagram::unbound()?)
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// let (one, other) = greenthread::net::UnixDatagram::pair()?;
    /// one.send(b"first")?;
    /// one.send(b"second")?;
    /// assert_eq!(other.recv(&mut [0; 10])?, 5, "each datagram by itself");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = unix::UnixDatagram::pair()?;
        Ok((Self::own(one)?, Self::own(other)?))
    }

    /// Registers a socket that was made here.
    fn own(socket: unix::UnixDatagram) -> io::Result<Self> {
        Socket::own(socket).map(|socket| Self { socket })
    }

    /// Sets the path that [`send`](Self::send) sends to.
    ///
    /// Datagrams from other addresses are refused from then on. Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// # let name = format!("datagram-connect-{}.sock", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.connect(&path)?;
    /// client.send(b"hello")?;
    /// assert_eq!(server.recv(&mut [0; 10])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.open()?.connect(path)
    }

    /// Sets the address that [`send`](Self::send) sends to, like [`connect`](Self::connect).
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// use std::os::unix::net::SocketAddr;
    /// # let name = format!("datagram-connect-addr-{}.sock", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.connect_addr(&SocketAddr::from_pathname(&path)?)?;
    /// client.send(b"hello")?;
    /// assert_eq!(server.recv(&mut [0; 10])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        self.socket.open()?.connect_addr(addr)
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// assert!(greenthread::net::UnixDatagram::unbound()?.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.local_addr()
    }

    /// Returns the address that the socket is connected to.
    ///
    /// # Errors
    /// If the socket is closed or not connected.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixDatagram::pair()?;
    /// assert!(one.peer_addr()?.is_unnamed());
    /// assert!(greenthread::net::UnixDatagram::unbound()?.peer_addr().is_err(), "not connected");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.peer_addr()
    }

    /// Shuts down one direction or both, for all handles: sending fails from then on, or receiving
    /// ends.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// use std::net::Shutdown;
    ///
    /// let (one, _other) = greenthread::net::UnixDatagram::pair()?;
    /// one.shutdown(Shutdown::Write)?;
    /// assert!(one.send(b"hello").is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.open()?.shutdown(how)
    }

    /// Sends a datagram to the socket at this path, and returns its length.
    ///
    /// Blocks while that socket has no room. No event reports when there is room again, so the call
    /// retries every few milliseconds.
    ///
    /// # Errors
    /// The system's error, for example if no socket is at the path; also if this socket is closed,
    /// or a deadline or timeout has passed.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("send-to-{}.sock", std::process::id()));
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.send_to(b"hello", &path)?;
    /// assert_eq!(server.recv(&mut [0; 10])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_within(None, bytes, path.as_ref())
    }

    fn send_to_within(&self, ctx: Option<&Context>, bytes: &[u8], path: &Path) -> io::Result<usize> {
        self.socket.run_io_with_pauses(ctx, |socket| socket.send_to(bytes, path))
    }

    /// Sends a datagram to an address, like [`send_to`](Self::send_to).
    ///
    /// # Errors
    /// The errors of [`send_to`](Self::send_to).
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("send-to-addr-{}.sock", std::process::id()));
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.send_to_addr(b"hello", &server.local_addr()?)?;
    /// assert_eq!(server.recv(&mut [0; 10])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_to_addr(&self, bytes: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        self.socket.run_io_with_pauses(None, |socket| socket.send_to_addr(bytes, addr))
    }

    /// Sends a datagram to the address that the socket is connected to, and returns the datagram's
    /// length.
    ///
    /// Blocks while there is no room for the datagram.
    ///
    /// # Errors
    /// The system's error, for example if the datagram is too long; also if the socket is closed,
    /// or a deadline or timeout has passed.
    ///
    /// ```
    /// # let (one, other) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// assert_eq!(one.send(b"hello")?, 5);
    /// assert_eq!(other.recv(&mut [0; 10])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_within(None, bytes)
    }

    /// Receives a datagram and returns its length and its sender's address.
    ///
    /// Bytes that do not fit into `bytes` are lost. Blocks until a datagram arrives.
    ///
    /// # Errors
    /// The system's error; also if the socket is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// # let (one, other) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// one.send(b"hello")?;
    /// let mut bytes = [0; 10];
    /// let (len, _from) = other.recv_from(&mut bytes)?;
    /// assert_eq!(&bytes[..len], b"hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_from(&self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from_within(None, bytes)
    }

    /// Receives a datagram and returns its length.
    ///
    /// Like [`recv_from`](Self::recv_from), but without the address.
    ///
    /// # Errors
    /// The errors of [`recv_from`](Self::recv_from).
    ///
    /// ```
    /// # let (one, other) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// one.send(b"too long for two bytes")?;
    /// let mut bytes = [0; 2];
    /// assert_eq!(other.recv(&mut bytes)?, 2);
    /// assert_eq!(&bytes, b"to");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.recv_within(None, bytes)
    }

    fn send_within(&self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize> {
        self.socket.run_io(Direction::Write, ctx, |socket| socket.send(bytes))
    }

    fn recv_from_within(&self, ctx: Option<&Context>, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.run_io(Direction::Read, ctx, |socket| socket.recv_from(bytes))
    }

    fn recv_within(&self, ctx: Option<&Context>, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.run_io(Direction::Read, ctx, |socket| socket.recv(bytes))
    }
}

impl WithCtx<'_, UnixDatagram> {
    /// Sends a datagram like [`UnixDatagram::send_to`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::send_to`], and the context's error.
    ///
    /// ```
    /// use greenthread::{ctx::Context, net::UnixDatagram};
    /// # let path = std::env::temp_dir().join(format!("send-to-ctx-{}.sock", std::process::id()));
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// client.with_ctx(&ctx).send_to(b"hello", &path)?;
    /// assert_eq!(server.recv(&mut [0; 10])?, 5);
    /// cancel.cancel();
    /// assert!(client.with_ctx(&ctx).send_to(b"hello", &path).is_err());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.socket.send_to_within(Some(self.ctx), bytes, path.as_ref())
    }

    /// Sends a datagram like [`UnixDatagram::send`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::send`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # let (one, other) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let (ctx, cancel) = Context::background().with_timeout(Duration::from_secs(5));
    /// one.with_ctx(&ctx).send(b"hello")?;
    /// cancel.cancel();
    /// assert!(one.with_ctx(&ctx).send(b"hello").is_err());
    /// # let _ = other;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send_within(Some(self.ctx), bytes)
    }

    /// Receives a datagram like [`UnixDatagram::recv_from`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::recv_from`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # let (one, other) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert!(other.with_ctx(&ctx).recv_from(&mut [0; 10]).is_err(), "no datagram comes");
    /// # let _ = one;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_from(&self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from_within(Some(self.ctx), bytes)
    }

    /// Receives a datagram like [`UnixDatagram::recv`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::recv`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # let (one, other) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert!(other.with_ctx(&ctx).recv(&mut [0; 10]).is_err(), "no datagram comes");
    /// # let _ = one;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.recv_within(Some(self.ctx), bytes)
    }
}

/// Operations that all sockets have.
impl UnixDatagram {
    /// Converts a `std` socket into a socket of this module.
    ///
    /// The socket and all of its duplicates become non-blocking. Its timeouts (`SO_RCVTIMEO`,
    /// `SO_SNDTIMEO`) stay in force. Does not block.
    ///
    /// # Errors
    /// If the socket cannot be registered with the poller or made non-blocking. In that case the
    /// socket is closed, and its duplicates are as they were before.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// // To the type of `std`, and back.
    /// let socket = UnixDatagram::from_std(socket.into_std()?)?;
    /// # let _ = socket;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(socket: unix::UnixDatagram) -> io::Result<Self> {
        Socket::from_std(socket).map(|socket| Self { socket })
    }

    /// Converts the socket into a blocking `std` socket, with the timeouts that were set here.
    ///
    /// If there are other handles, the result is a duplicate, which is non-blocking like the
    /// original. Does not block.
    ///
    /// # Errors
    /// If there are other handles and no descriptor is free for a duplicate, or if the system
    /// refuses to make the socket blocking. In both cases this handle is closed.
    ///
    /// ```
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let socket: std::os::unix::net::UnixDatagram = socket.into_std()?;
    /// # let _ = socket;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<unix::UnixDatagram> {
        self.socket.into_std()
    }

    /// Returns another handle to the same socket.
    ///
    /// The handles share everything, including deadlines and [`close`](Self::close). The new handle
    /// takes no descriptor of its own. Does not block.
    ///
    /// # Errors
    /// None; the signature is the same as in `std`.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let clone = socket.try_clone()?;
    /// assert_eq!(clone.as_raw_fd(), socket.as_raw_fd());
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
    /// If the socket is closed.
    ///
    /// ```
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// assert!(socket.take_error()?.is_none());
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
    /// If the socket is closed.
    ///
    /// ```
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Closes the socket for all of its handles.
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
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.close();
    /// assert_eq!(socket.take_error().unwrap_err().kind(), ErrorKind::NotConnected);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        self.socket.close();
    }

    /// Returns a view of the socket with operations that fail when `ctx` ends.
    ///
    /// Does not block and costs nothing.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(5));
    /// let view = socket.with_ctx(&ctx);
    /// # let _ = view;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_ctx<'a>(&'a self, ctx: &'a Context) -> WithCtx<'a, Self> {
        WithCtx::new(self, ctx)
    }
}
