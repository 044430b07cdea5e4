//! Unix domain sockets: streams.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;
use socket2::{Domain, Socket, Type};

use super::cred::UCred;
use super::fd::{Fd, passed};
use super::incoming::Incoming;
use super::macros::{limits, read_write, socket};
use super::ready::{readable, readiness};
use super::serve::{PAUSES, serve};
use super::view::WithCtx;

/// A connection within this machine: `std::os::unix::net::UnixStream` for goroutines, Go's `net.UnixConn`.
///
/// Reading and writing block the calling goroutine, or thread, and can go on at the same time; see [the module](super).
/// Dropping the last handle closes it.
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
    fd: Arc<Fd<net::UnixStream>>,
}

socket!(UnixStream, net::UnixStream, "UnixStream::pair()?.0");
limits!([] UnixStream, "UnixStream::pair()?.0");
readiness!([] UnixStream, "UnixStream::pair()?.0");
read_write!(UnixStream);

impl UnixStream {
    /// Connects to the listener at this path. Blocks only while too many connections wait there to be accepted: the
    /// system does not say when there is room again, so it is tried every few milliseconds. (Go's `net.DialUnix` fails
    /// then.)
    ///
    /// # Errors
    /// What the system says.
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

    /// As [`connect`](Self::connect), to an address.
    ///
    /// # Errors
    /// What the system says.
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

    /// As [`connect`](Self::connect), as long as `ctx` lasts: Go's `Dialer.DialContext`.
    ///
    /// # Errors
    /// As there, and that of the context if it ends first.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::UnixStream;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert_eq!(UnixStream::connect_ctx(&ctx, "/tmp/service.sock").unwrap_err().to_string(), "context canceled");
    /// ```
    pub fn connect_ctx(ctx: &Context, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_addr_ctx(ctx, &SocketAddr::from_pathname(path)?)
    }

    /// As [`connect_ctx`](Self::connect_ctx), to an address.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::net::UnixStream;
    /// use std::os::unix::net::SocketAddr;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let addr = SocketAddr::from_pathname("/tmp/service.sock")?;
    /// assert_eq!(UnixStream::connect_addr_ctx(&ctx, &addr).unwrap_err().to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_addr_ctx(ctx: &Context, addr: &SocketAddr) -> io::Result<Self> {
        ctx.err().map_or(Ok(()), Err)?;
        Self::connect_within(Some(ctx), addr)
    }

    fn connect_within(ctx: Option<&Context>, addr: &SocketAddr) -> io::Result<Self> {
        // What a `SocketAddr` says is `std`'s secret, and `std`'s streams block while they connect. A socket for datagrams does not look at what it is.
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let mut socket = net::UnixDatagram::from(OwnedFd::from(socket));
        match socket.connect_addr(addr) {
            // The queue of the listener is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let fd = Fd::own(socket)?;
                fd.run_with_pauses(ctx, |socket| socket.connect_addr(addr))?;
                socket = fd.into_inner();
            }
            connected => connected?,
        }
        Self::own(OwnedFd::from(socket).into())
    }

    /// Two sockets that are connected with each other. Does not block.
    ///
    /// # Errors
    /// What the system says.
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
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::own(one)?, Self::own(other)?))
    }

    /// The own address.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixStream::pair()?;
    /// assert!(one.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.local_addr()
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixStream::pair()?;
    /// assert!(one.peer_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.peer_addr()
    }

    /// Which process is at the other end, and who it belongs to, by the system's knowledge: as they were when it
    /// connected, or listened, or made the pair. Does not block. In Go: `GetsockoptUcred` with `SO_PEERCRED`.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixStream::pair()?;
    /// let peer = one.peer_cred()?;
    /// println!("user {}, group {}, process {:?}", peer.uid(), peer.gid(), peer.pid());
    /// # assert!(peer.pid().is_none_or(|pid| pid as u32 == std::process::id()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self.fd.open()?.as_fd())
    }

    /// Ends one direction or both, for all handles: after `Write` the peer reads the end of the stream. Does not block.
    ///
    /// # Errors
    /// If it is closed.
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
        self.fd.open()?.shutdown(how)
    }

    fn read_within(&self, ctx: Option<&Context>, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return self.fd.read_nothing(ctx);
        }
        self.fd.run(Direction::Read, ctx, |mut socket| socket.read(bytes))
    }

    fn read_vectored_within(&self, ctx: Option<&Context>, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let asked = passed(parts);
        let parts = &mut parts[asked];
        if parts.is_empty() {
            return self.fd.read_nothing(ctx);
        }
        self.fd.run(Direction::Read, ctx, |mut socket| socket.read_vectored(parts))
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

/// Binding makes a file, which goes again if the socket is not to be had after all.
pub(super) fn or_unlink<S>(addr: &SocketAddr, bound: io::Result<S>) -> io::Result<S> {
    if let (Err(_), Some(path)) = (&bound, addr.as_pathname()) {
        let _ = fs::remove_file(path);
    }
    bound
}

/// A path that accepts connections: `std::os::unix::net::UnixListener` for goroutines, Go's `net.UnixListener`.
///
/// Several may accept at once, each connection goes to one of them. Dropping the last handle closes it, but leaves the
/// path where it is, as `std` does.
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
    fd: Arc<Fd<net::UnixListener>>,
}

socket!(
    UnixListener,
    net::UnixListener,
    "{
    let path = std::env::temp_dir().join(format!(\"closing-{}.sock\", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    std::fs::remove_file(path)?;
    listener
}"
);
readable!(
    [] UnixListener,
    "{
    let path = std::env::temp_dir().join(format!(\"waiting-{}.sock\", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    std::fs::remove_file(path)?;
    listener
}"
);

impl UnixListener {
    /// Listens at a path, at which there must be nothing yet. Does not block.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// ```
    /// use greenthread::net::UnixListener;
    /// # let path = std::env::temp_dir().join(format!("bind-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// assert!(UnixListener::bind(&path).is_err(), "there is something by now");
    /// std::fs::remove_file(&path)?; // it stays when the listener is dropped
    /// # drop(listener);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// As [`bind`](Self::bind), with an address.
    ///
    /// # Errors
    /// What the system says.
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
        or_unlink(addr, Self::own(net::UnixListener::bind_addr(addr)?))
    }

    /// The next connection, and the address of the peer. Blocks until there is one.
    ///
    /// # Errors
    /// What the system says, as that there are too many descriptors; if the listener is closed, or its deadline has passed.
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
        let (socket, addr) = self.fd.run(Direction::Read, ctx, net::UnixListener::accept)?;
        Ok((UnixStream::own(socket)?, addr))
    }

    /// All connections, one after the other, for ever.
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
        Incoming::new(self)
    }

    /// Serves connections until `ctx` ends, and then lets them finish: as
    /// [`TcpListener::serve`](super::TcpListener::serve) in all. The file at the path stays.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use greenthread::{ctx::Context, net::UnixListener};
    /// use std::time::Duration;
    ///
    /// # let folder = std::env::temp_dir().join(format!("greenthread-serve-{}", std::process::id()));
    /// # std::fs::create_dir(&folder)?;
    /// # let path = folder.join("socket");
    /// let listener = UnixListener::bind(&path)?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// listener.serve(&ctx, Duration::from_secs(10), |_ctx, _stream| ())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve(
        &self,
        ctx: &Context,
        grace: Duration,
        handler: impl Fn(&Context, UnixStream) + Send + Sync + 'static,
    ) -> io::Result<()> {
        serve(ctx, grace, PAUSES, || Ok(self.accept_within(Some(ctx))?.0), || self.close(), handler)
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// If it is closed.
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
        self.fd.open()?.local_addr()
    }
}

impl WithCtx<'_, UnixListener> {
    /// As [`UnixListener::accept`], as long as the context lasts.
    ///
    /// # Errors
    /// As there, and that of the context.
    ///
    /// ```
    /// use greenthread::{ctx::Context, net::UnixListener};
    /// use std::time::Duration;
    /// # let path = std::env::temp_dir().join(format!("accept-ctx-{}.sock", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// assert!(listener.with_ctx(&ctx).accept().is_err(), "nobody connects");
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.socket.accept_within(Some(self.ctx))
    }
}
