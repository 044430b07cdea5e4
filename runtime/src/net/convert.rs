//! Conversions from and to `std`'s sockets and descriptors, and access to the descriptor of each
//! socket.
//!
//! All conversions can fail, so they are `TryFrom` and not `From`: registering a descriptor takes
//! system memory, and a duplicate takes a descriptor. `FromRawFd` could not report an error either.

use std::fmt;
use std::io;
use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;

use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use super::udp::UdpSocket;
use super::unix_datagram::UnixDatagram;
use super::unix_listener::UnixListener;
use super::unix_stream::UnixStream;

impl TryFrom<net::TcpStream> for TcpStream {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(socket: net::TcpStream) -> io::Result<Self> {
        Self::from_std(socket)
    }
}

impl TryFrom<TcpStream> for net::TcpStream {
    type Error = io::Error;

    /// Does what [`TcpStream::into_std`] does.
    fn try_from(socket: TcpStream) -> io::Result<Self> {
        socket.into_std()
    }
}

impl TryFrom<OwnedFd> for TcpStream {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::from_std(fd.into())
    }
}

impl TryFrom<TcpStream> for OwnedFd {
    type Error = io::Error;

    /// Does what [`TcpStream::into_std`] does.
    fn try_from(socket: TcpStream) -> io::Result<Self> {
        socket.into_std().map(Self::from)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.lend().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.lend().as_raw_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl TryFrom<net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(socket: net::TcpListener) -> io::Result<Self> {
        Self::from_std(socket)
    }
}

impl TryFrom<TcpListener> for net::TcpListener {
    type Error = io::Error;

    /// Does what [`TcpListener::into_std`] does.
    fn try_from(socket: TcpListener) -> io::Result<Self> {
        socket.into_std()
    }
}

impl TryFrom<OwnedFd> for TcpListener {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::from_std(fd.into())
    }
}

impl TryFrom<TcpListener> for OwnedFd {
    type Error = io::Error;

    /// Does what [`TcpListener::into_std`] does.
    fn try_from(socket: TcpListener) -> io::Result<Self> {
        socket.into_std().map(Self::from)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.lend().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.lend().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl TryFrom<net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(socket: net::UdpSocket) -> io::Result<Self> {
        Self::from_std(socket)
    }
}

impl TryFrom<UdpSocket> for net::UdpSocket {
    type Error = io::Error;

    /// Does what [`UdpSocket::into_std`] does.
    fn try_from(socket: UdpSocket) -> io::Result<Self> {
        socket.into_std()
    }
}

impl TryFrom<OwnedFd> for UdpSocket {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::from_std(fd.into())
    }
}

impl TryFrom<UdpSocket> for OwnedFd {
    type Error = io::Error;

    /// Does what [`UdpSocket::into_std`] does.
    fn try_from(socket: UdpSocket) -> io::Result<Self> {
        socket.into_std().map(Self::from)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.lend().as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.lend().as_raw_fd()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl TryFrom<unix::UnixStream> for UnixStream {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(socket: unix::UnixStream) -> io::Result<Self> {
        Self::from_std(socket)
    }
}

impl TryFrom<UnixStream> for unix::UnixStream {
    type Error = io::Error;

    /// Does what [`UnixStream::into_std`] does.
    fn try_from(socket: UnixStream) -> io::Result<Self> {
        socket.into_std()
    }
}

impl TryFrom<OwnedFd> for UnixStream {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::from_std(fd.into())
    }
}

impl TryFrom<UnixStream> for OwnedFd {
    type Error = io::Error;

    /// Does what [`UnixStream::into_std`] does.
    fn try_from(socket: UnixStream) -> io::Result<Self> {
        socket.into_std().map(Self::from)
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.lend().as_fd()
    }
}

impl AsRawFd for UnixStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.lend().as_raw_fd()
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl TryFrom<unix::UnixListener> for UnixListener {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(socket: unix::UnixListener) -> io::Result<Self> {
        Self::from_std(socket)
    }
}

impl TryFrom<UnixListener> for unix::UnixListener {
    type Error = io::Error;

    /// Does what [`UnixListener::into_std`] does.
    fn try_from(socket: UnixListener) -> io::Result<Self> {
        socket.into_std()
    }
}

impl TryFrom<OwnedFd> for UnixListener {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::from_std(fd.into())
    }
}

impl TryFrom<UnixListener> for OwnedFd {
    type Error = io::Error;

    /// Does what [`UnixListener::into_std`] does.
    fn try_from(socket: UnixListener) -> io::Result<Self> {
        socket.into_std().map(Self::from)
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.lend().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.lend().as_raw_fd()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl TryFrom<unix::UnixDatagram> for UnixDatagram {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(socket: unix::UnixDatagram) -> io::Result<Self> {
        Self::from_std(socket)
    }
}

impl TryFrom<UnixDatagram> for unix::UnixDatagram {
    type Error = io::Error;

    /// Does what [`UnixDatagram::into_std`] does.
    fn try_from(socket: UnixDatagram) -> io::Result<Self> {
        socket.into_std()
    }
}

impl TryFrom<OwnedFd> for UnixDatagram {
    type Error = io::Error;

    /// Does what [`from_std`](Self::from_std) does.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::from_std(fd.into())
    }
}

impl TryFrom<UnixDatagram> for OwnedFd {
    type Error = io::Error;

    /// Does what [`UnixDatagram::into_std`] does.
    fn try_from(socket: UnixDatagram) -> io::Result<Self> {
        socket.into_std().map(Self::from)
    }
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.lend().as_fd()
    }
}

impl AsRawFd for UnixDatagram {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.lend().as_raw_fd()
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
