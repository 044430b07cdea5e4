//! UDP.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use greenthread_ctx::Context;
use greenthread_scheduler::Direction;

use super::fd::Fd;
use super::lookup::{Resolve, resolve, resolve_ctx};
use super::macros::{datagrams, limits, options, socket};
use super::ready::readiness;
use super::view::WithCtx;

/// A UDP socket: `std::net::UdpSocket` for goroutines, Go's `net.UDPConn`.
///
/// Receiving blocks the calling goroutine, or thread, until there is a datagram; sending blocks while the system has no
/// room. Both can go on at the same time; see [the module](super).
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
    fd: Arc<Fd<net::UdpSocket>>,
}

socket!(UdpSocket, net::UdpSocket, "UdpSocket::bind(\"127.0.0.1:0\")?");
limits!([] UdpSocket, "UdpSocket::bind(\"127.0.0.1:0\")?");
readiness!([] UdpSocket, "UdpSocket::bind(\"127.0.0.1:0\")?");
datagrams!(
    UdpSocket,
    SocketAddr,
    "{
    let (one, other) = (UdpSocket::bind(\"127.0.0.1:0\")?, UdpSocket::bind(\"127.0.0.1:0\")?);
    one.connect(other.local_addr()?)?;
    other.connect(one.local_addr()?)?;
    (one, other)
}"
);

options!(UdpSocket, "UdpSocket::bind(\"127.0.0.1:0\")?":
    /// Whether datagrams may go to a broadcast address (`SO_BROADCAST`).
    broadcast,
    /// Sets whether datagrams may go to a broadcast address (`SO_BROADCAST`).
    set_broadcast: bool = true;
    /// Whether this machine gets its own multicasts, IPv4 (`IP_MULTICAST_LOOP`).
    multicast_loop_v4,
    /// Sets whether this machine gets its own multicasts, IPv4 (`IP_MULTICAST_LOOP`).
    set_multicast_loop_v4: bool = true;
    /// The time to live of multicasts, IPv4 (`IP_MULTICAST_TTL`).
    multicast_ttl_v4,
    /// Sets the time to live of multicasts, IPv4 (`IP_MULTICAST_TTL`).
    set_multicast_ttl_v4: u32 = 4;
    /// The time to live of packets (`IP_TTL`).
    ttl,
    /// Sets the time to live of packets (`IP_TTL`).
    set_ttl: u32 = 64;
);

impl UdpSocket {
    /// A socket with this address; if there are several, with the first that is possible. Does not block, but for the
    /// look-up of a name.
    ///
    /// # Errors
    /// That of the last address.
    ///
    /// ```
    /// let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    /// println!("{}", socket.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::own(net::UdpSocket::bind(&resolve(addr)?.collect::<Vec<_>>()[..])?)
    }

    /// Sets the address that [`send`](Self::send) sends to and [`recv`](Self::recv) receives from, and no other from
    /// now on. Does not block, but for the look-up of a name.
    ///
    /// # Errors
    /// That of the last address; if the socket is closed.
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
        self.fd.open()?.connect(&resolve(addr)?.collect::<Vec<_>>()[..])
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// If it is closed, or not connected.
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
        self.fd.open()?.peer_addr()
    }

    /// The own address.
    ///
    /// # Errors
    /// If it is closed.
    ///
    /// ```
    /// let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    /// assert_ne!(socket.local_addr()?.port(), 0, "the system has chosen one");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.open()?.local_addr()
    }

    /// Sends a datagram to an address, the first one if there are several. Returns its length. Blocks while the system
    /// has no room.
    ///
    /// # Errors
    /// What the system says, as that it is too long; if the socket is closed, or a deadline or timeout has passed.
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
        self.fd.run(Direction::Write, ctx, |socket| socket.send_to(bytes, addr))
    }

    /// As [`recv_from`](Self::recv_from), without taking the datagram: the next one who receives gets it again.
    ///
    /// # Errors
    /// As there.
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
        self.fd.run(Direction::Read, None, |socket| socket.peek_from(bytes))
    }

    /// As [`recv`](Self::recv), without taking the datagram: the next one who receives gets it again.
    ///
    /// # Errors
    /// As there.
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
        self.fd.run(Direction::Read, None, |socket| socket.peek(bytes))
    }

    /// Joins a multicast group, on the interface with this address, or any (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// What the system says, and if the socket is closed.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let group = Ipv4Addr::new(224, 0, 0, 251);
    /// socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    /// socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.open()?.join_multicast_v4(group, interface)
    }

    /// Joins a multicast group, on the interface with this index, or any if that is 0 (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// What the system says, and if the socket is closed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    /// use std::net::Ipv6Addr;
    ///
    /// let group: Ipv6Addr = "ff02::fb".parse().unwrap();
    /// // Where there is no IPv6 the system says so.
    /// if let Ok(socket) = UdpSocket::bind("[::]:0")
    ///     && socket.join_multicast_v6(&group, 0).is_ok()
    /// {
    ///     socket.leave_multicast_v6(&group, 0)?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.open()?.join_multicast_v6(group, interface)
    }

    /// Whether this machine gets its own multicasts, IPv6 (`IPV6_MULTICAST_LOOP`). Does not block.
    ///
    /// # Errors
    /// What the system says, as that the socket is one for IPv4; and if it is closed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// // Where there is no IPv6 the system says so.
    /// if let Ok(socket) = UdpSocket::bind("[::1]:0") {
    ///     socket.set_multicast_loop_v6(false)?;
    ///     assert!(!socket.multicast_loop_v6()?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.fd.open()?.multicast_loop_v6()
    }

    /// Sets whether this machine gets its own multicasts, IPv6 (`IPV6_MULTICAST_LOOP`). Does not block.
    ///
    /// # Errors
    /// What the system says, as that the socket is one for IPv4; and if it is closed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// // Where there is no IPv6 the system says so.
    /// if let Ok(socket) = UdpSocket::bind("[::1]:0") {
    ///     socket.set_multicast_loop_v6(false)?;
    ///     assert!(!socket.multicast_loop_v6()?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_loop_v6(&self, value: bool) -> io::Result<()> {
        self.fd.open()?.set_multicast_loop_v6(value)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v4).
    ///
    /// # Errors
    /// What the system says, and if the socket is closed.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let group = Ipv4Addr::new(224, 0, 0, 251);
    /// assert!(socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_err(), "not a member");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.fd.open()?.leave_multicast_v4(group, interface)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v6).
    ///
    /// # Errors
    /// What the system says, and if the socket is closed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    /// use std::net::Ipv6Addr;
    ///
    /// let group: Ipv6Addr = "ff02::fb".parse().unwrap();
    /// // Where there is no IPv6 the system says so.
    /// if let Ok(socket) = UdpSocket::bind("[::]:0")
    ///     && socket.join_multicast_v6(&group, 0).is_ok()
    /// {
    ///     socket.leave_multicast_v6(&group, 0)?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.fd.open()?.leave_multicast_v6(group, interface)
    }
}

impl WithCtx<'_, UdpSocket> {
    /// As [`UdpSocket::send_to`], as long as the context lasts.
    ///
    /// # Errors
    /// As there, and that of the context.
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
}
