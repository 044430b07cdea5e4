//! TCP listeners.

use std::io;
use std::iter::FusedIterator;
use std::net::{self, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;
use socket2::{Domain, Protocol, SockRef, Type};

use super::incoming::Incoming;
use super::lookup::resolve;
use super::serve::{PAUSES, options_of, serve};
use super::socket::Socket;
use super::tcp_stream::TcpStream;
use super::with_ctx::WithCtx;
use crate::builder::Builder;

/// The number of connections that may wait to be accepted: Go's value, which the system may lower
/// (`net.core.somaxconn`).
///
/// `std` uses 128, which is too low for a crowd of clients.
const BACKLOG: i32 = 4096;

/// A TCP port that accepts connections.
///
/// The counterpart of `std::net::TcpListener`, and of Go's `net.TCPListener`.
///
/// Several goroutines may accept at the same time: each connection goes to one of them. Dropping
/// the last handle closes the listener.
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
    pub(super) socket: Socket<net::TcpListener>,
}

impl TcpListener {
    /// Listens on an address, or on the first of several that works.
    ///
    /// Port 0 means any free port, which [`local_addr`](Self::local_addr) returns. The address may
    /// have been in use just before (`SO_REUSEADDR`), and up to 4096 connections may wait to be
    /// accepted, as in Go. Does not block, except to look up a name.
    ///
    /// # Errors
    /// The error of the last address.
    ///
    /// ```
    /// let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// println!("listening on {}", listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses");
        for addr in resolve(addr)? {
            match Self::bind_to(addr) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind_to(addr: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        Socket::own_tcp(socket.into()).map(|socket| Self { socket })
    }

    /// Accepts the next connection and returns it with the peer's address.
    ///
    /// Blocks until a connection arrives. A connection that was aborted before it was accepted is
    /// skipped.
    ///
    /// # Errors
    /// The system's error, for example if no descriptor is free; also if the listener is closed, or
    /// its deadline has passed.
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
        let (socket, addr) = self.socket.run_io(Direction::Read, ctx, accept)?;
        let stream = TcpStream::own(socket)?;
        if !self.socket.is_plain_tcp() {
            // The connection inherits any change that was made to the listener's descriptor.
            stream.socket.lend();
        }
        Ok((stream, addr))
    }

    /// Returns an endless iterator over the connections.
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
        Incoming { listener: self }
    }

    /// Serves connections until `ctx` ends, and then lets them finish.
    ///
    /// Go's `http.Server` with its `Shutdown`, without the HTTP. Each connection is passed to
    /// `handler`, in a goroutine and with a context of its own. Blocks until the last handler has
    /// returned.
    ///
    /// When `ctx` ends, the listener is [closed](Self::close). The handlers then have the time
    /// `grace` to finish. After that their contexts are canceled, and the call waits until the
    /// handlers have returned. So a handler that may take a long time has to check its context, for
    /// example by reading through [`with_ctx`](TcpStream::with_ctx). The handlers' contexts carry
    /// the values of `ctx`, but neither its cancellation nor its deadline. Each context is also
    /// canceled when its handler returns.
    ///
    /// Serving continues unless the listener itself is unusable. Accepting may fail because no
    /// descriptors or buffers are left, or because the network or a firewall has aborted a
    /// connection (the errors after which `accept(2)` asks to try again). The server then prints
    /// the error to stderr, each error at most once a minute, and tries again after a pause. The
    /// pause starts at 5 ms and doubles up to 1 s until a connection is accepted; other connections
    /// wait in the system's queue. A connection is closed, with a report on stderr, if it cannot be
    /// registered with the poller. A panic in a handler ends only that handler's connection.
    ///
    /// # Errors
    /// If no more connections can be accepted because the listener was closed through another
    /// handle, its deadline has passed, or the system reports that it is not a listener. The error
    /// is returned after the handlers have had their grace period. The end of `ctx` is not an
    /// error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::{TcpListener, TcpStream};
    /// use std::io::{self, Read, Write};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// // A server uses `signal::notify_context` with `Signal::SIGTERM` and `Signal::SIGINT`.
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
    #[track_caller]
    pub fn serve(
        &self,
        ctx: &Context,
        grace: Duration,
        handler: impl Fn(&Context, TcpStream) + Send + Sync + 'static,
    ) -> io::Result<()> {
        self.serve_with(&Builder::new(), ctx, grace, handler)
    }

    /// Serves connections like [`serve`](Self::serve), in goroutines with the name, the stack size,
    /// and the placement that `builder` says.
    ///
    /// This is for handlers that recurse deeply, such as parsers, and for servers that turn
    /// connections away rather than let them wait for a stack
    /// ([`reserve_stack`](Builder::reserve_stack)): such a connection is closed, with a report on
    /// stderr at most once a minute. Go has no counterpart.
    ///
    /// # Errors
    /// The errors of [`serve`](Self::serve); [`InvalidInput`](io::ErrorKind::InvalidInput), before
    /// the first connection is accepted, if the stack size is not possible.
    ///
    /// ```
    /// use greenthread::Builder;
    /// use greenthread::ctx::Context;
    /// use greenthread::net::TcpListener;
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// let builder = Builder::new().name("connection").stack_size(4 << 20);
    /// listener.serve_with(&builder, &ctx, Duration::from_secs(10), |_ctx, _stream| ())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn serve_with(
        &self,
        builder: &Builder,
        ctx: &Context,
        grace: Duration,
        handler: impl Fn(&Context, TcpStream) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let options = options_of(builder);
        serve(options, ctx, grace, PAUSES, || Ok(self.accept_within(Some(ctx))?.0), || self.close(), handler)
    }

    /// Returns the address that the listener is bound to.
    ///
    /// # Errors
    /// If the listener is closed.
    ///
    /// ```
    /// let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// assert_ne!(listener.local_addr()?.port(), 0, "the system has chosen one");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.local_addr()
    }

    /// Returns `true` if the listener accepts connections over IPv6 only (`IPV6_V6ONLY`).
    ///
    /// # Errors
    /// If the listener is closed, or has an IPv4 address.
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
        SockRef::from(self.socket.open()?).only_v6()
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
    ///
    /// listener.set_ttl(64)?;
    /// assert_eq!(listener.ttl()?, 64);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.open()?.ttl()
    }

    /// Sets the time to live of packets (`IP_TTL`).
    ///
    /// The value also applies to accepted connections. Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// listener.set_ttl(64)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, value: u32) -> io::Result<()> {
        self.socket.open()?.set_ttl(value)
    }
}

impl WithCtx<'_, TcpListener> {
    /// Accepts like [`TcpListener::accept`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`TcpListener::accept`], and the context's error.
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

impl Iterator for Incoming<'_, TcpListener> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_, TcpListener> {}

/// Operations that all sockets have.
impl TcpListener {
    /// Converts a `std` listener into a listener of this module.
    ///
    /// The socket and all of its duplicates become non-blocking. Its timeouts (`SO_RCVTIMEO`,
    /// `SO_SNDTIMEO`) stay in force. Does not block.
    ///
    /// # Errors
    /// If the socket cannot be registered with the poller or made non-blocking. In that case the
    /// socket is closed, and its duplicates are as they were before.
    ///
    /// ```
    /// use greenthread::net::TcpListener;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// // To the type of `std`, and back.
    /// let listener = TcpListener::from_std(listener.into_std()?)?;
    /// # let _ = listener;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        Socket::from_std(listener).map(|socket| Self { socket })
    }

    /// Converts the listener into a blocking `std` listener, with the timeouts that were set here.
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
    ///
    /// let listener: std::net::TcpListener = listener.into_std()?;
    /// # let _ = listener;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        self.socket.into_std()
    }

    /// Returns another handle to the same listener.
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
    ///
    /// let clone = listener.try_clone()?;
    /// assert_eq!(clone.as_raw_fd(), listener.as_raw_fd());
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
    /// If the listener is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// assert!(listener.take_error()?.is_none());
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
    /// If the listener is closed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// listener.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Closes the listener for all of its handles.
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
    ///
    /// listener.close();
    /// assert_eq!(listener.take_error().unwrap_err().kind(), ErrorKind::NotConnected);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        self.socket.close();
    }

    /// Returns a view of the listener with operations that fail when `ctx` ends.
    ///
    /// Does not block and costs nothing.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use std::time::Duration;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(5));
    /// let view = listener.with_ctx(&ctx);
    /// # let _ = view;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_ctx<'a>(&'a self, ctx: &'a Context) -> WithCtx<'a, Self> {
        WithCtx::new(self, ctx)
    }
}
