//! TCP.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::eyeballs::{self, ATTEMPT_DELAY};
use super::fd::{Fd, passed};
use super::incoming::Incoming;
use super::lookup::{Resolve, resolve, resolve_ctx};
use super::macros::{limits, options, read_write, socket};
use super::ready::{readable, readiness};
use super::serve::{PAUSES, serve};
use super::view::WithCtx;

/// How many connections may wait to be accepted: Go's number, which the system may lower (`net.core.somaxconn`).
/// `std`'s 128 are too few for a crowd.
const BACKLOG: i32 = 4096;

/// A TCP connection: `std::net::TcpStream` for goroutines, Go's `net.TCPConn`.
///
/// Reading and writing block the calling goroutine, or thread, and can go on at the same time; see [the module](super).
/// Dropping the last handle closes it.
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
    fd: Arc<Fd<net::TcpStream>>,
}

socket!(TcpStream, net::TcpStream, "TcpStream::connect(TcpListener::bind(\"127.0.0.1:0\")?.local_addr()?)?");
limits!([] TcpStream, "TcpStream::connect(TcpListener::bind(\"127.0.0.1:0\")?.local_addr()?)?");
readiness!([] TcpStream, "TcpStream::connect(TcpListener::bind(\"127.0.0.1:0\")?.local_addr()?)?");
read_write!(TcpStream);

options!(TcpStream, "TcpStream::connect(TcpListener::bind(\"127.0.0.1:0\")?.local_addr()?)?":
    /// Whether small writes are sent at once (`TCP_NODELAY`).
    nodelay,
    /// Sets whether small writes are sent at once (`TCP_NODELAY`). Off in the beginning, as in `std`; Go sets it.
    set_nodelay: bool = true;
    /// The time to live of packets (`IP_TTL`).
    ttl,
    /// Sets the time to live of packets (`IP_TTL`).
    set_ttl: u32 = 64;
);

impl TcpStream {
    /// Connects to an address; if there are several, to the one that accepts first. Blocks until it is connected, or
    /// the system gives up. Looking up a name keeps nobody else waiting: see [`lookup_host`](super::lookup_host).
    ///
    /// Several addresses are tried as RFC 8305 says ("happy eyeballs"): IPv6 and IPv4 in turn, the next one begins when
    /// one has failed or 250 ms have passed, the first connection wins, and the others are given up.
    ///
    /// # Errors
    /// That of the lookup; that of the address that failed first.
    ///
    /// ```no_run
    /// let stream = greenthread::net::TcpStream::connect("localhost:8080")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_to_any(None, resolve(addr)?)
    }

    /// As [`connect`](Self::connect), to one address, for no longer than `timeout`.
    ///
    /// # Errors
    /// As there; [`TimedOut`](io::ErrorKind::TimedOut) if that was not enough; `InvalidInput` if `timeout` is zero.
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
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        Self::connect_within(*addr, Instant::now().checked_add(timeout), None)
    }

    /// As [`connect`](Self::connect), as long as `ctx` lasts: Go's `Dialer.DialContext`. It ends the wait for a lookup
    /// too; the lookup itself cannot be ended, and is left behind ([`Resolve`]).
    ///
    /// # Errors
    /// As there, and that of the context if it ends first.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::TcpStream;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert_eq!(TcpStream::connect_ctx(&ctx, "127.0.0.1:9").unwrap_err().to_string(), "context canceled");
    /// ```
    pub fn connect_ctx(ctx: &Context, addr: impl Resolve) -> io::Result<Self> {
        Self::connect_to_any(Some(ctx), resolve_ctx(ctx, addr)?)
    }

    fn connect_to_any(ctx: Option<&Context>, addrs: impl Iterator<Item = SocketAddr>) -> io::Result<Self> {
        eyeballs::connect(ctx, addrs.collect(), ATTEMPT_DELAY, |ctx, addr| Self::connect_within(addr, None, ctx))
    }

    fn connect_within(addr: SocketAddr, until: Option<Instant>, ctx: Option<&Context>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&addr.into()) {
            Err(error) if !is_under_way(&error) => return Err(error),
            _ => {}
        }
        // Only now: the system reports a socket that does not connect yet as hung up.
        let stream = Self::own(socket.into())?;
        stream.set_write_deadline(until)?;
        stream.fd.run(Direction::Write, ctx, connected)?;
        stream.set_write_deadline(None)?;
        Ok(stream)
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// If it is closed, or was never connected.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.peer_addr()
    }

    /// The own address.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert!(stream.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.local_addr()
    }

    /// Ends one direction or both, for all handles: after `Write` the peer reads the end of the stream. Does not block. Go's
    /// `CloseWrite` and `CloseRead`.
    ///
    /// # Errors
    /// If it is closed, or the peer has ended the connection.
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
        self.fd.open()?.shutdown(how)
    }

    /// Reads without taking: the next read gets the same bytes. Blocks until there are some.
    ///
    /// # Errors
    /// As reading.
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
        self.fd.run(Direction::Read, None, |socket| socket.peek(bytes))
    }

    /// How long closing waits for what was written to be acknowledged (`SO_LINGER`). Does not block.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.linger()?, None, "closing does not wait");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.fd.open()?).linger()
    }

    /// Sets how long closing waits for what was written to be acknowledged (`SO_LINGER`), in whole seconds; then the
    /// connection is reset. With less than one second it is reset at once; anything else blocks the thread that drops
    /// or closes. Go's `SetLinger`.
    ///
    /// # Errors
    /// If it is closed.
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
        // The system counts in 32 bits, of which a longer time would lose those that it has beyond: 2^32 seconds would be 0.
        const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);
        SockRef::from(self.fd.open()?).set_linger(linger.map(|linger| linger.min(LONGEST)))
    }

    /// After how long a silence the peer is asked whether it is still there (`SO_KEEPALIVE`, `TCP_KEEPIDLE`). Does not block.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.keepalive()?, None, "never, in the beginning");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        let socket = SockRef::from(self.fd.open()?);
        if socket.keepalive()? { socket.tcp_keepalive_time().map(Some) } else { Ok(None) }
    }

    /// Sets after how long a silence the peer is asked whether it is still there; whole seconds, at least one. `None` is
    /// never, as in the beginning. Does not block. Go's `SetKeepAliveConfig`.
    ///
    /// # Errors
    /// What the system says, as that the time is too short or too long; and if it is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    /// stream.set_keepalive(Some(Duration::from_secs(15)))?;
    /// assert_eq!(stream.keepalive()?, Some(Duration::from_secs(15)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_keepalive(&self, silence: Option<Duration>) -> io::Result<()> {
        let socket = SockRef::from(self.fd.open()?);
        match silence {
            None => socket.set_keepalive(false),
            Some(silence) => {
                let before = socket.keepalive()?;
                let set = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(silence));
                if set.is_err() {
                    // It sets `SO_KEEPALIVE` first.
                    let _ = socket.set_keepalive(before);
                }
                set
            }
        }
    }

    fn read_within(&self, ctx: Option<&Context>, bytes: &mut [u8]) -> io::Result<usize> {
        match bytes.len() {
            0 => self.fd.read_nothing(ctx),
            len => self.fd.read(ctx, len, |mut socket| socket.read(bytes)),
        }
    }

    fn read_vectored_within(&self, ctx: Option<&Context>, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let asked = passed(parts);
        let parts = &mut parts[asked];
        match parts.iter().map(|part| part.len()).sum() {
            0 => self.fd.read_nothing(ctx),
            len => self.fd.read(ctx, len, |mut socket| socket.read_vectored(parts)),
        }
    }

    fn write_within(&self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize> {
        self.fd.send(ctx, bytes)
    }

    fn write_vectored_within(&self, ctx: Option<&Context>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.fd.send_vectored(ctx, parts)
    }

    fn flush_within(&self, _: Option<&Context>) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the system goes on connecting by itself.
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted || error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Whether the system has connected by now.
fn connected(socket: &net::TcpStream) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}

/// Tries all addresses in turn until `connect` succeeds.
fn each<R>(addrs: impl ToSocketAddrs, mut attempt: impl FnMut(SocketAddr) -> io::Result<R>) -> io::Result<R> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses");
    for addr in resolve(addrs)? {
        match attempt(addr) {
            Ok(result) => return Ok(result),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A TCP port that accepts connections: `std::net::TcpListener` for goroutines, Go's `net.TCPListener`.
///
/// Several may accept at once, each connection goes to one of them. Dropping the last handle closes it.
///
/// ```
/// use greenthread::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
/// let (_server, addr) = listener.accept()?;
/// assert_eq!(addr, client.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    fd: Arc<Fd<net::TcpListener>>,
}

socket!(TcpListener, net::TcpListener, "TcpListener::bind(\"127.0.0.1:0\")?");
readable!([] TcpListener, "TcpListener::bind(\"127.0.0.1:0\")?");

options!(TcpListener, "TcpListener::bind(\"127.0.0.1:0\")?":
    /// The time to live of packets (`IP_TTL`).
    ttl,
    /// Sets the time to live of packets (`IP_TTL`), for accepted connections too.
    set_ttl: u32 = 64;
);

impl TcpListener {
    /// Listens on an address; if there are several, on the first that is possible. Port 0 means any:
    /// [`local_addr`](Self::local_addr) tells. The address may have been in use just before (`SO_REUSEADDR`), and up to
    /// 4096 connections may wait to be accepted, as in Go. Does not block, but for the look-up of a name.
    ///
    /// # Errors
    /// That of the last address.
    ///
    /// ```
    /// let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// println!("listening on {}", listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        each(addr, |addr| {
            let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&addr.into())?;
            socket.listen(BACKLOG)?;
            Self::own(socket.into())
        })
    }

    /// The next connection, and the address of the peer. Blocks until there is one.
    ///
    /// One that was given up before it was accepted is passed over.
    ///
    /// # Errors
    /// What the system says, as that there are too many descriptors; if the listener is closed, or its deadline has passed.
    ///
    /// ```
    /// use greenthread::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// let (server, addr) = listener.accept()?;
    /// # let _ = (client, server, addr);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_within(None)
    }

    fn accept_within(&self, ctx: Option<&Context>) -> io::Result<(TcpStream, SocketAddr)> {
        let accept = |listener: &net::TcpListener| loop {
            match listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                result => return result,
            }
        };
        let (socket, addr) = self.fd.run(Direction::Read, ctx, accept)?;
        let stream = TcpStream::own(socket)?;
        if !self.fd.is_plain() {
            // It has inherited what was done to the listener.
            stream.fd.lend();
        }
        Ok((stream, addr))
    }

    /// All connections, one after the other, for ever.
    ///
    /// ```
    /// use greenthread::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let _client = TcpStream::connect(listener.local_addr()?)?;
    /// for stream in listener.incoming().take(1) {
    ///     println!("{:?}", stream?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_, Self> {
        Incoming::new(self)
    }

    /// Serves connections until `ctx` ends, each with `handler` in a goroutine and with a context of its own, and then
    /// lets them finish: Go's `http.Server` with its `Shutdown`, without the HTTP. Blocks until the last handler has
    /// returned.
    ///
    /// When `ctx` ends the listener is [closed](Self::close). The handlers have `grace` from then on; when it is over
    /// their contexts are cancelled, and they are waited for. So a handler that may take long looks at its context, as
    /// by reading through [`with_ctx`](TcpStream::with_ctx). The contexts have the values of `ctx`, and neither its end
    /// nor its deadline. Each is cancelled, too, when its handler returns.
    ///
    /// It goes on unless the listener is dead. When there are no descriptors or buffers left, or
    /// the network or a firewall has struck a connection (the errors after which `accept(2)` asks
    /// to try again), it says so on stderr, for each error once a minute at most, and tries again
    /// after a pause of 5 ms, which doubles up to 1 s until a connection is accepted; others wait
    /// in the system's queue meanwhile. A connection that cannot be watched is closed, and so is one
    /// whose handler cannot begin, as there is no stack for it; stderr says so. A panic in a handler
    /// ends that connection, and no other.
    ///
    /// # Errors
    /// If nothing more can be accepted, because somebody else closes the listener, its deadline has
    /// passed, or the system says that it is no listener; after the handlers have had their grace.
    /// That `ctx` has ended is no error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::{TcpListener, TcpStream};
    /// use std::io::{self, Read, Write};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// // In a server: `signal::notify_context(&Context::background(), &[Signal::SIGTERM, Signal::SIGINT])`.
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let server = greenthread::spawn(move || {
    ///     listener.serve(&ctx, Duration::from_secs(10), |ctx, stream| {
    ///         let _ = io::copy(&mut stream.with_ctx(ctx), &mut &stream);
    ///     })
    /// });
    /// client.write_all(b"hello")?;
    /// client.read_exact(&mut [0; 5])?;
    /// cancel.cancel();
    /// drop(client);
    /// server.join().unwrap()?;
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn serve(
        &self,
        ctx: &Context,
        grace: Duration,
        handler: impl Fn(&Context, TcpStream) + Send + Sync + 'static,
    ) -> io::Result<()> {
        serve(ctx, grace, PAUSES, || Ok(self.accept_within(Some(ctx))?.0), || self.close(), handler)
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// assert_ne!(listener.local_addr()?.port(), 0, "the system has chosen one");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.local_addr()
    }

    /// Whether it takes connections over IPv6 only (`IPV6_V6ONLY`).
    ///
    /// # Errors
    /// If it is closed, or has an IPv4 address.
    ///
    /// ```
    /// use greenthread::net::TcpListener;
    ///
    /// if let Ok(listener) = TcpListener::bind("[::1]:0") {
    ///     println!("{}", listener.only_v6()?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn only_v6(&self) -> io::Result<bool> {
        SockRef::from(self.fd.open()?).only_v6()
    }
}

impl WithCtx<'_, TcpListener> {
    /// As [`TcpListener::accept`], as long as the context lasts.
    ///
    /// # Errors
    /// As there, and that of the context.
    ///
    /// ```
    /// use greenthread::{ctx::Context, net::TcpListener};
    /// use std::time::Duration;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// assert!(listener.with_ctx(&ctx).accept().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept_within(Some(self.ctx))
    }
}
