//! Unix domain sockets: listeners.

use std::fs;
use std::io;
use std::iter::FusedIterator;
use std::os::unix::net::{self as unix, SocketAddr};
use std::path::Path;
use std::time::Duration;

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;

use super::incoming::Incoming;
use super::serve::{PAUSES, options_of, serve};
use super::socket::Socket;
use super::unix_stream::UnixStream;
use super::with_ctx::WithCtx;
use crate::builder::Builder;

/// A Unix socket that accepts connections at a path.
///
/// The counterpart of `std::os::unix::net::UnixListener`, and of Go's `net.UnixListener`.
///
/// Several goroutines may accept at the same time: each connection goes to one of them. Dropping
/// the last handle closes the listener, but leaves the file at the path, like `std`.
///
/// ```no_run
/// use greenthread::net::UnixListener;
///
/// let listener = UnixListener::bind("/tmp/service.sock")?;
/// for stream in listener.incoming() {
///     println!("{:?}", stream?);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener {
    pub(super) socket: Socket<unix::UnixListener>,
}

impl UnixListener {
    /// Listens at a path where no file exists yet.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// use greenthread::net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("bind-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// assert!(UnixListener::bind(&path).is_err(), "the file exists by now");
    /// std::fs::remove_file(&path)?; // it stays when the listener is dropped
    /// # drop(listener);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Listens at an address, like [`bind`](Self::bind).
    ///
    /// # Errors
    /// The system's error.
    ///
    /// ```
    /// use greenthread::net::UnixListener;
    /// use std::os::unix::net::SocketAddr;
    /// # let path = std::env::temp_dir().join(format!("bind-addr-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind_addr(&SocketAddr::from_pathname(&path)?)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<Self> {
        let socket = unlink_on_error(addr, Socket::own(unix::UnixListener::bind_addr(addr)?))?;
        Ok(Self { socket })
    }

    /// Accepts the next connection and returns it with the peer's address.
    ///
    /// Blocks until a connection arrives.
    ///
    /// # Errors
    /// The system's error, for example if no descriptor is free; also if the listener is closed, or
    /// its deadline has passed.
    ///
    /// ```
    /// use greenthread::net::{UnixListener, UnixStream};
    /// # let path = std::env::temp_dir().join(format!("accept-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path)?;
    /// let (_server, addr) = listener.accept()?;
    /// assert!(addr.is_unnamed(), "clients have no path");
    /// # std::fs::remove_file(&path)?;
    /// # drop(client);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.accept_within(None)
    }

    fn accept_within(&self, ctx: Option<&Context>) -> io::Result<(UnixStream, SocketAddr)> {
        let (socket, addr) = self.socket.run_io(Direction::Read, ctx, unix::UnixListener::accept)?;
        Ok((UnixStream::own(socket)?, addr))
    }

    /// Returns an endless iterator over the connections.
    ///
    /// ```
    /// use greenthread::net::{UnixListener, UnixStream};
    /// # let path = std::env::temp_dir().join(format!("incoming-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path)?;
    /// for stream in listener.incoming().take(1) {
    ///     println!("{:?}", stream?);
    /// }
    /// # std::fs::remove_file(&path)?;
    /// # drop(client);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_, Self> {
        Incoming { listener: self }
    }

    /// Serves connections until `ctx` ends, and then lets them finish.
    ///
    /// Like [`TcpListener::serve`](super::TcpListener::serve) in every respect. The file at the
    /// path is not removed.
    ///
    /// # Errors
    /// The errors of [`TcpListener::serve`](super::TcpListener::serve).
    ///
    /// ```
    /// use greenthread::{ctx::Context, net::UnixListener};
    /// use std::time::Duration;
    ///
    /// # let name = format!("greenthread-serve-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir(&folder)?;
    /// # let path = folder.join("socket");
    /// let listener = UnixListener::bind(&path)?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// listener.serve(&ctx, Duration::from_secs(10), |_ctx, _stream| ())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn serve(
        &self,
        ctx: &Context,
        grace: Duration,
        handler: impl Fn(&Context, UnixStream) + Send + Sync + 'static,
    ) -> io::Result<()> {
        self.serve_with(&Builder::new(), ctx, grace, handler)
    }

    /// Serves connections like [`serve`](Self::serve), in goroutines as `builder` says.
    ///
    /// Like [`TcpListener::serve_with`](super::TcpListener::serve_with) in every respect.
    ///
    /// # Errors
    /// The errors of [`TcpListener::serve_with`](super::TcpListener::serve_with).
    ///
    /// ```
    /// use greenthread::{Builder, ctx::Context, net::UnixListener};
    /// use std::time::Duration;
    ///
    /// # let name = format!("greenthread-serve-with-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # std::fs::create_dir(&folder)?;
    /// # let path = folder.join("socket");
    /// let listener = UnixListener::bind(&path)?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// let builder = Builder::new().stack_size(4 << 20);
    /// listener.serve_with(&builder, &ctx, Duration::from_secs(10), |_ctx, _stream| ())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn serve_with(
        &self,
        builder: &Builder,
        ctx: &Context,
        grace: Duration,
        handler: impl Fn(&Context, UnixStream) + Send + Sync + 'static,
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
    /// use greenthread::net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("local-addr-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.open()?.local_addr()
    }
}

/// Removes the file that binding created if the socket could not be registered.
pub(super) fn unlink_on_error<S>(addr: &SocketAddr, registered: io::Result<S>) -> io::Result<S> {
    if let (Err(_), Some(path)) = (&registered, addr.as_pathname()) {
        let _ = fs::remove_file(path);
    }
    registered
}

impl WithCtx<'_, UnixListener> {
    /// Accepts like [`UnixListener::accept`], unless the context ends first.
    ///
    /// # Errors
    /// The errors of [`UnixListener::accept`], and the context's error.
    ///
    /// ```
    /// use greenthread::{ctx::Context, net::UnixListener};
    /// use std::time::Duration;
    /// # let path = std::env::temp_dir().join(format!("accept-ctx-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// assert!(listener.with_ctx(&ctx).accept().is_err(), "no client connects");
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.socket.accept_within(Some(self.ctx))
    }
}

impl Iterator for Incoming<'_, UnixListener> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_, UnixListener> {}

/// Operations that all sockets have.
impl UnixListener {
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
    /// use greenthread::net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("from-std-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    ///
    /// // To the type of `std`, and back.
    /// let listener = UnixListener::from_std(listener.into_std()?)?;
    /// # let _ = listener;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(listener: unix::UnixListener) -> io::Result<Self> {
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
    /// # let path = std::env::temp_dir().join(format!("into-std-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    ///
    /// let listener: std::os::unix::net::UnixListener = listener.into_std()?;
    /// # let _ = listener;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<unix::UnixListener> {
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
    /// # let path = std::env::temp_dir().join(format!("try-clone-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
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
    /// # let path = std::env::temp_dir().join(format!("take-error-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
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
    /// # let name = format!("set-nonblocking-{}.sock", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
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
    /// # let path = std::env::temp_dir().join(format!("close-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
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
    /// # let path = std::env::temp_dir().join(format!("with-ctx-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
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
