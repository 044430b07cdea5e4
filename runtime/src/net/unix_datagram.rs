//! Unix domain sockets: datagrams.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use greenthread_ctx::Context;

use super::fd::Fd;
use super::macros::{datagrams, limits, socket};
use super::ready::readiness;
use super::unix::or_unlink;
use super::view::WithCtx;

/// A Unix socket for datagrams: `std::os::unix::net::UnixDatagram` for goroutines, Go's `net.UnixConn` of `unixgram`.
///
/// Receiving blocks the calling goroutine, or thread, until there is a datagram; sending blocks while the receiver has
/// no room. Both can go on at the same time; see [the module](super).
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
    fd: Arc<Fd<net::UnixDatagram>>,
}

socket!(UnixDatagram, net::UnixDatagram, "UnixDatagram::unbound()?");
limits!([] UnixDatagram, "UnixDatagram::unbound()?");
readiness!([] UnixDatagram, "UnixDatagram::pair()?.0");
datagrams!(UnixDatagram, SocketAddr, "UnixDatagram::pair()?");

impl UnixDatagram {
    /// A socket at a path, at which there must be nothing yet. Does not block.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("datagram-bind-{}.sock", std::process::id()));
    ///
    /// let socket = UnixDatagram::bind(&path)?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path)?;
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
    /// use greenthread::net::UnixDatagram;
    /// use std::os::unix::net::SocketAddr;
    /// # let path = std::env::temp_dir().join(format!("datagram-bind-addr-{}.sock", std::process::id()));
    ///
    /// let socket = UnixDatagram::bind_addr(&SocketAddr::from_pathname(&path)?)?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<Self> {
        or_unlink(addr, Self::own(net::UnixDatagram::bind_addr(addr)?))
    }

    /// A socket without an address: for sending. Does not block.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// ```
    /// let socket = greenthread::net::UnixDatagram::unbound()?;
    /// assert!(socket.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unbound() -> io::Result<Self> {
        Self::own(net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected with each other. Does not block.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// ```
    /// let (one, other) = greenthread::net::UnixDatagram::pair()?;
    /// one.send(b"first")?;
    /// one.send(b"second")?;
    /// assert_eq!(other.recv(&mut [0; 10])?, 5, "each datagram by itself");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::own(one)?, Self::own(other)?))
    }

    /// Sets the path that [`send`](Self::send) sends to, and that alone is received from. Does not block.
    ///
    /// # Errors
    /// What the system says, and if the socket is closed.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("datagram-connect-{}.sock", std::process::id()));
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.connect(&path)?;
    /// client.send(b"hello")?;
    /// assert_eq!(server.recv(&mut [0; 10])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.fd.open()?.connect(path)
    }

    /// As [`connect`](Self::connect), with an address.
    ///
    /// # Errors
    /// What the system says, and if the socket is closed.
    ///
    /// ```
    /// use greenthread::net::UnixDatagram;
    /// use std::os::unix::net::SocketAddr;
    /// # let path = std::env::temp_dir().join(format!("datagram-connect-addr-{}.sock", std::process::id()));
    ///
    /// let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
    /// client.connect_addr(&SocketAddr::from_pathname(&path)?)?;
    /// client.send(b"hello")?;
    /// assert_eq!(server.recv(&mut [0; 10])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        self.fd.open()?.connect_addr(addr)
    }

    /// The own address.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// assert!(greenthread::net::UnixDatagram::unbound()?.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// If it is closed, or not connected.
    ///
    /// ```
    /// let (one, _other) = greenthread::net::UnixDatagram::pair()?;
    /// assert!(one.peer_addr()?.is_unnamed());
    /// assert!(greenthread::net::UnixDatagram::unbound()?.peer_addr().is_err(), "not connected");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.peer_addr()
    }

    /// Ends one direction or both, for all handles: sending fails then, or receiving ends. Does not block.
    ///
    /// # Errors
    /// If it is closed.
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
        self.fd.open()?.shutdown(how)
    }

    /// Sends a datagram to the socket at this path. Returns its length. Blocks while that has no room: the system does
    /// not say when it has again, so it is tried every few milliseconds.
    ///
    /// # Errors
    /// What the system says, as that nobody is there; if the socket is closed, or a deadline or timeout has passed.
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
        self.fd.run_with_pauses(ctx, |socket| socket.send_to(bytes, path))
    }

    /// As [`send_to`](Self::send_to), to an address.
    ///
    /// # Errors
    /// As there.
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
        self.fd.run_with_pauses(None, |socket| socket.send_to_addr(bytes, addr))
    }
}

impl WithCtx<'_, UnixDatagram> {
    /// As [`UnixDatagram::send_to`], as long as the context lasts.
    ///
    /// # Errors
    /// As there, and that of the context.
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
}
