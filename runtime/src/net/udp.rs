//! UDP sockets.

use std::io;
use std::net::{self, SocketAddr, ToSocketAddrs};

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;

use super::lookup::{Resolve, resolve, resolve_ctx};
use super::socket::Socket;
use super::with_ctx::WithCtx;

/// A UDP socket.
///
/// The counterpart of `std::net::UdpSocket`, and of Go's `net.UDPConn`.
///
/// Receiving blocks the calling goroutine or thread until a datagram arrives; sending blocks while
/// the system has no room. Both can be in progress at the same time; see [the module](super).
///
/// ```
/// use greenthread::net::UdpSocket;
///
/// let one = UdpSocket::bind("127.0.0.1:0")?;
/// let other = UdpSocket::bind("127.0.0.1:0")?;
/// one.send_to(b"hello", other.local_addr()?)?;
/// let mut bytes = [0; 100];
/// let (len, from) = other.recv_from(&mut bytes)?;
/// assert_eq!((&bytes[..len], from), (&b"hello"[..], one.local_addr()?));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    pub(super) socket: Socket<net::UdpSocket>,
}

impl UdpSocket {
    /// Makes a socket bound to an address, or to the first of several that works.
    ///
    /// Does not block, except to look up a name.
    ///
    /// # Errors
    /// The error of the last address.
    ///
    /// ```
    /// let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    /// println!("{}", socket.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let socket = net::UdpSocket::bind(&resolve(addr)?.collect::<Vec<_>>()[..])?;
        Socket::own(socket).map(|socket| Self { socket })
    }

    /// Sets the address that [`send`](Self::send) sends to and [`recv`](Self::recv) receives from.
    ///
    /// Datagrams from other addresses are dropped from then on. Does not block, except to look up a
    /// name.
    ///
    /// # Errors
    /// The error of the last address; also if the socket is closed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// one.connect(other.local_addr()?)?;
    /// one.send(b"hello")?;
    /// assert_eq!(one.peer_addr()?, other.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        self.socket.open()?.connect(&resolve(addr)?.collect::<Vec<_>>()[..])
    }

    /// Returns the address that the socket is connected to.
    ///
    /// # Errors
    /// If the socket is closed or not connected.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// assert!(one.peer_addr().is_err(), "not connected");
    /// one.connect(other.local_addr()?)?;
    /// assert_eq!(one.peer_addr()?, other.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.peer_addr()
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    /// assert_ne!(socket.local_addr()?.port(), 0, "the system has chosen one");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.local_addr()
    }

    /// Sends a datagram to an address, or to the first of several, and returns the datagram's
    /// length.
    ///
    /// Blocks while the system has no room for the datagram.
    ///
    /// # Errors
    /// The system's error, for example if the datagram is too long; also if the socket is closed,
    /// or a deadline or timeout has passed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// one.send_to(b"hello", other.local_addr()?)?;
    /// assert_eq!(other.recv(&mut [0; 10])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_to(&self, bytes: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        self.send_to_first(None, bytes, resolve(addr)?)
    }

    fn send_to_first(
        &self,
        ctx: Option<&Context>,
        bytes: &[u8],
        mut addrs: impl Iterator<Item = SocketAddr>,
    ) -> io::Result<usize> {
        let Some(addr) = addrs.next() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to"));
        };
        self.socket.run_io(Direction::Write, ctx, |socket| socket.send_to(bytes, addr))
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
    /// # use greenthread::net::UdpSocket;
    /// # let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// # one.connect(other.local_addr()?)?;
    /// # other.connect(one.local_addr()?)?;
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
    /// # use greenthread::net::UdpSocket;
    /// # let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// # one.connect(other.local_addr()?)?;
    /// # other.connect(one.local_addr()?)?;
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
    /// # use greenthread::net::UdpSocket;
    /// # let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// # one.connect(other.local_addr()?)?;
    /// # other.connect(one.local_addr()?)?;
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

    /// Receives a datagram without removing it: the next receive operation returns it again.
    ///
    /// Otherwise like [`recv_from`](Self::recv_from).
    ///
    /// # Errors
    /// The errors of [`recv_from`](Self::recv_from).
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// one.send_to(b"hello", other.local_addr()?)?;
    /// assert_eq!(other.peek_from(&mut [0; 10])?, (5, one.local_addr()?));
    /// assert_eq!(other.recv(&mut [0; 10])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peek_from(&self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.run_io(Direction::Read, None, |socket| socket.peek_from(bytes))
    }

    /// Receives a datagram without removing it: the next receive operation returns it again.
    ///
    /// Otherwise like [`recv`](Self::recv).
    ///
    /// # Errors
    /// The errors of [`recv`](Self::recv).
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// one.send_to(b"hello", other.local_addr()?)?;
    /// assert_eq!(other.peek(&mut [0; 10])?, 5);
    /// assert_eq!(other.recv(&mut [0; 10])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.run_io(Direction::Read, None, |socket| socket.peek(bytes))
    }

    /// Returns `true` if datagrams may go to a broadcast address (`SO_BROADCAST`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_broadcast(true)?;
    /// assert_eq!(socket.broadcast()?, true);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.open()?.broadcast()
    }

    /// Sets whether datagrams may go to a broadcast address (`SO_BROADCAST`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_broadcast(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_broadcast(&self, value: bool) -> io::Result<()> {
        self.socket.open()?.set_broadcast(value)
    }

    /// Returns the time to live of packets (`IP_TTL`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_ttl(64)?;
    /// assert_eq!(socket.ttl()?, 64);
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
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_ttl(64)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, value: u32) -> io::Result<()> {
        self.socket.open()?.set_ttl(value)
    }
}

impl WithCtx<'_, UdpSocket> {
    /// Sends a datagram like [`UdpSocket::send_to`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::send_to`], and the context's error.
    ///
    /// ```
    /// use greenthread::{ctx::Context, net::UdpSocket};
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// one.with_ctx(&ctx).send_to(b"hello", other.local_addr()?)?;
    /// cancel.cancel();
    /// assert!(one.with_ctx(&ctx).send_to(b"hello", other.local_addr()?).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_to(&self, bytes: &[u8], addr: impl Resolve) -> io::Result<usize> {
        self.socket.send_to_first(Some(self.ctx), bytes, resolve_ctx(self.ctx, addr)?)
    }

    /// Sends a datagram like [`UdpSocket::send`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::send`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # use greenthread::net::UdpSocket;
    /// # let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// # one.connect(other.local_addr()?)?;
    /// # other.connect(one.local_addr()?)?;
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

    /// Receives a datagram like [`UdpSocket::recv_from`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::recv_from`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # use greenthread::net::UdpSocket;
    /// # let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// # one.connect(other.local_addr()?)?;
    /// # other.connect(one.local_addr()?)?;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert!(other.with_ctx(&ctx).recv_from(&mut [0; 10]).is_err(), "no datagram comes");
    /// # let _ = one;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_from(&self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from_within(Some(self.ctx), bytes)
    }

    /// Receives a datagram like [`UdpSocket::recv`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::recv`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # use greenthread::net::UdpSocket;
    /// # let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// # one.connect(other.local_addr()?)?;
    /// # other.connect(one.local_addr()?)?;
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
impl UdpSocket {
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
    /// use greenthread::net::UdpSocket;
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// // To the type of `std`, and back.
    /// let socket = UdpSocket::from_std(socket.into_std()?)?;
    /// # let _ = socket;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(socket: net::UdpSocket) -> io::Result<Self> {
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
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// let socket: std::net::UdpSocket = socket.into_std()?;
    /// # let _ = socket;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<net::UdpSocket> {
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
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
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
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
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
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
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
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
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
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
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
