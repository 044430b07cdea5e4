//! TCP connections.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};

use super::error;
use super::eyeballs::{self, ATTEMPT_DELAY};
use super::lookup::{Resolve, resolve, resolve_ctx};
use super::socket::Socket;
use super::with_ctx::WithCtx;

/// A TCP connection.
///
/// The counterpart of `std::net::TcpStream`, and of Go's `net.TCPConn`.
///
/// Reading and writing block the calling goroutine or thread, and can be in progress at the same
/// time; see [the module](super). Dropping the last handle closes the connection.
///
/// ```
/// use greenthread::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (mut server, _addr) = listener.accept()?;
/// client.write_all(b"all there is")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut text = String::new();
/// server.read_to_string(&mut text)?;
/// assert_eq!(text, "all there is");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    pub(super) socket: Socket<net::TcpStream>,
}

impl Read for TcpStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.read(None, bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored(None, parts)
    }
}

impl Write for TcpStream {
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

impl Read for &TcpStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.read(None, bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored(None, parts)
    }
}

impl Write for &TcpStream {
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

impl Read for WithCtx<'_, TcpStream> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.socket.read(Some(self.ctx), bytes)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.socket.read_vectored(Some(self.ctx), parts)
    }
}

impl Write for WithCtx<'_, TcpStream> {
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

impl TcpStream {
    /// Connects to an address, or to whichever of several accepts first.
    ///
    /// Blocks until the connection is made or the system gives up. Looking up a name does not block
    /// other goroutines: see [`lookup_host`](super::lookup_host).
    ///
    /// Several addresses are tried as in RFC 8305 ("happy eyeballs"). IPv6 and IPv4 addresses
    /// alternate, and the next attempt begins when the last one has failed or 250 ms have passed.
    /// The first connection wins, and the other attempts are canceled.
    ///
    /// # Errors
    /// The error of the lookup, or of the address that failed first.
    ///
    /// ```no_run
    /// let stream = greenthread::net::TcpStream::connect("localhost:8080")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_to_any(None, resolve(addr)?)
    }

    /// Connects to one address like [`connect`](Self::connect), but waits no longer than `timeout`.
    ///
    /// # Errors
    /// The errors of [`connect`](Self::connect); [`TimedOut`](io::ErrorKind::TimedOut) if the
    /// timeout has passed; `InvalidInput` if the timeout is zero.
    ///
    /// ```
    /// use greenthread::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(5))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(error::zero_timeout());
        }
        Self::connect_within(None, *addr, Instant::now().checked_add(timeout))
    }

    /// Connects like [`connect`](Self::connect), unless the context ends first.
    ///
    /// Go's `Dialer.DialContext`. The context also ends the wait for a lookup. The lookup itself
    /// cannot be interrupted and continues in the background ([`Resolve`]).
    ///
    /// # Errors
    /// The errors of [`connect`](Self::connect), and the context's error if it ends first.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::TcpStream;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = TcpStream::connect_ctx(&ctx, "127.0.0.1:9").unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// ```
    pub fn connect_ctx(ctx: &Context, addr: impl Resolve) -> io::Result<Self> {
        Self::connect_to_any(Some(ctx), resolve_ctx(ctx, addr)?)
    }

    fn connect_to_any(ctx: Option<&Context>, addrs: impl Iterator<Item = SocketAddr>) -> io::Result<Self> {
        eyeballs::connect(ctx, addrs.collect(), ATTEMPT_DELAY, |ctx, addr| Self::connect_within(ctx, addr, None))
    }

    fn connect_within(ctx: Option<&Context>, addr: SocketAddr, until: Option<Instant>) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&addr.into()) {
            Err(error) if !is_in_progress(&error) => return Err(error),
            _ => {}
        }
        // Registered only now, because the system reports a socket that is not yet connecting as
        // hung up.
        let stream = Self::own(socket.into())?;
        stream.set_write_deadline(until)?;
        stream.socket.run_io(Direction::Write, ctx, check_connected)?;
        stream.set_write_deadline(None)?;
        Ok(stream)
    }

    /// Registers a socket that was made here.
    pub(super) fn own(socket: net::TcpStream) -> io::Result<Self> {
        Socket::own_tcp(socket).map(|socket| Self { socket })
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    /// If the stream is closed, or was never connected.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.peer_addr()
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert!(stream.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.local_addr()
    }

    /// Shuts down one direction or both, for all handles.
    ///
    /// After `Write` the peer reads the end of the stream. Does not block. Go's `CloseWrite` and
    /// `CloseRead`.
    ///
    /// # Errors
    /// If the stream is closed, or the peer has ended the connection.
    ///
    /// ```
    /// use std::io::Read;
    /// use std::net::Shutdown;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.shutdown(Shutdown::Write)?;
    /// assert_eq!(listener.accept()?.0.read(&mut [0])?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.open()?.shutdown(how)
    }

    /// Reads bytes without removing them: the next read returns the same bytes.
    ///
    /// Blocks until bytes are available.
    ///
    /// # Errors
    /// The errors of reading.
    ///
    /// ```
    /// use std::io::Write;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// listener.accept()?.0.write_all(b"hello")?;
    /// let mut bytes = [0; 1];
    /// stream.peek(&mut bytes)?;
    /// assert_eq!(&bytes, b"h");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.run_io(Direction::Read, None, |socket| socket.peek(bytes))
    }

    /// Returns how long closing waits for written bytes to be acknowledged (`SO_LINGER`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.linger()?, None, "closing does not wait");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.socket.open()?).linger()
    }

    /// Sets how long closing waits for written bytes to be acknowledged (`SO_LINGER`).
    ///
    /// Only whole seconds count. After that time the connection is reset; with less than one second
    /// it is reset at once. A time of one second or more blocks the thread that drops or closes the
    /// stream. Go's `SetLinger`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_linger(Some(Duration::ZERO))?;
    /// assert_eq!(stream.linger()?, Some(Duration::ZERO));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        // The system stores the seconds in 32 bits and drops the higher bits: 2^32 seconds would
        // become 0.
        const MAX_LINGER: Duration = Duration::from_secs(i32::MAX as u64);
        SockRef::from(self.socket.open()?).set_linger(linger.map(|linger| linger.min(MAX_LINGER)))
    }

    /// Returns how long the connection may be idle before the peer is probed (`SO_KEEPALIVE`,
    /// `TCP_KEEPIDLE`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.keepalive()?, None, "never by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        let socket = SockRef::from(self.socket.open()?);
        if socket.keepalive()? { socket.tcp_keepalive_time().map(Some) } else { Ok(None) }
    }

    /// Sets how many whole seconds, at least one, the connection may be idle before the peer is
    /// probed.
    ///
    /// With `None`, the default, the peer is never probed. Does not block. Go's
    /// `SetKeepAliveConfig`.
    ///
    /// # Errors
    /// The system's error, for example if the time is too short or too long; also if the stream is
    /// closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_keepalive(Some(Duration::from_secs(15)))?;
    /// assert_eq!(stream.keepalive()?, Some(Duration::from_secs(15)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_keepalive(&self, silence: Option<Duration>) -> io::Result<()> {
        let socket = SockRef::from(self.socket.open()?);
        match silence {
            None => socket.set_keepalive(false),
            Some(silence) => {
                let before = socket.keepalive()?;
                let set = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(silence));
                if set.is_err() {
                    // The call turns `SO_KEEPALIVE` on before it can fail.
                    let _ = socket.set_keepalive(before);
                }
                set
            }
        }
    }

    /// Returns `true` if small writes are sent at once (`TCP_NODELAY`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_nodelay(true)?;
    /// assert_eq!(stream.nodelay()?, true);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.open()?.nodelay()
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// The option is off by default, as in `std`; Go turns it on. Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_nodelay(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nodelay(&self, value: bool) -> io::Result<()> {
        self.socket.open()?.set_nodelay(value)
    }

    /// Returns the time to live of packets (`IP_TTL`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_ttl(64)?;
    /// assert_eq!(stream.ttl()?, 64);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.open()?.ttl()
    }

    /// Sets the time to live of packets (`IP_TTL`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_ttl(64)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, value: u32) -> io::Result<()> {
        self.socket.open()?.set_ttl(value)
    }
}

/// Returns `true` if the system continues to connect in the background.
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted || Errno::from_io_error(error) == Some(Errno::INPROGRESS)
}

/// Returns `WouldBlock` until the socket is connected, or the error if connecting failed.
fn check_connected(socket: &net::TcpStream) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}

/// Operations that all sockets have.
impl TcpStream {
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
    /// use greenthread::net::TcpStream;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// // To the type of `std`, and back.
    /// let stream = TcpStream::from_std(stream.into_std()?)?;
    /// # let _ = stream;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(stream: net::TcpStream) -> io::Result<Self> {
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
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// let stream: std::net::TcpStream = stream.into_std()?;
    /// # let _ = stream;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<net::TcpStream> {
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
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
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
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
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
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
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
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
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
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
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
