//! Multicast groups and options of UDP sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::udp::UdpSocket;

impl UdpSocket {
    /// Joins a multicast group on the interface with this address, or on any interface
    /// (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
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
        self.socket.open()?.join_multicast_v4(group, interface)
    }

    /// Joins a multicast group on the interface with this index, or on any interface if the index
    /// is 0 (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    /// use std::net::Ipv6Addr;
    ///
    /// let group: Ipv6Addr = "ff02::fb".parse().unwrap();
    /// // The calls fail where there is no IPv6.
    /// if let Ok(socket) = UdpSocket::bind("[::]:0")
    ///     && socket.join_multicast_v6(&group, 0).is_ok()
    /// {
    ///     socket.leave_multicast_v6(&group, 0)?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.open()?.join_multicast_v6(group, interface)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v4).
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
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
        self.socket.open()?.leave_multicast_v4(group, interface)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v6).
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    /// use std::net::Ipv6Addr;
    ///
    /// let group: Ipv6Addr = "ff02::fb".parse().unwrap();
    /// // The calls fail where there is no IPv6.
    /// if let Ok(socket) = UdpSocket::bind("[::]:0")
    ///     && socket.join_multicast_v6(&group, 0).is_ok()
    /// {
    ///     socket.leave_multicast_v6(&group, 0)?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.open()?.leave_multicast_v6(group, interface)
    }

    /// Returns `true` if this machine receives its own multicasts, for IPv4 (`IP_MULTICAST_LOOP`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_multicast_loop_v4(true)?;
    /// assert_eq!(socket.multicast_loop_v4()?, true);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket.open()?.multicast_loop_v4()
    }

    /// Sets whether this machine receives its own multicasts, for IPv4 (`IP_MULTICAST_LOOP`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_multicast_loop_v4(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_loop_v4(&self, value: bool) -> io::Result<()> {
        self.socket.open()?.set_multicast_loop_v4(value)
    }

    /// Returns the time to live of multicasts, for IPv4 (`IP_MULTICAST_TTL`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_multicast_ttl_v4(4)?;
    /// assert_eq!(socket.multicast_ttl_v4()?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket.open()?.multicast_ttl_v4()
    }

    /// Sets the time to live of multicasts, for IPv4 (`IP_MULTICAST_TTL`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed, or the system reports an error.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_multicast_ttl_v4(4)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_ttl_v4(&self, value: u32) -> io::Result<()> {
        self.socket.open()?.set_multicast_ttl_v4(value)
    }

    /// Returns `true` if this machine receives its own multicasts, for IPv6
    /// (`IPV6_MULTICAST_LOOP`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// The system's error, for example if the socket is an IPv4 socket; also if the socket is
    /// closed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// // The calls fail where there is no IPv6.
    /// if let Ok(socket) = UdpSocket::bind("[::1]:0") {
    ///     socket.set_multicast_loop_v6(false)?;
    ///     assert!(!socket.multicast_loop_v6()?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.socket.open()?.multicast_loop_v6()
    }

    /// Sets whether this machine receives its own multicasts, for IPv6 (`IPV6_MULTICAST_LOOP`).
    ///
    /// Does not block.
    ///
    /// # Errors
    /// The system's error, for example if the socket is an IPv4 socket; also if the socket is
    /// closed.
    ///
    /// ```
    /// use greenthread::net::UdpSocket;
    ///
    /// // The calls fail where there is no IPv6.
    /// if let Ok(socket) = UdpSocket::bind("[::1]:0") {
    ///     socket.set_multicast_loop_v6(false)?;
    ///     assert!(!socket.multicast_loop_v6()?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_loop_v6(&self, value: bool) -> io::Result<()> {
        self.socket.open()?.set_multicast_loop_v6(value)
    }
}
