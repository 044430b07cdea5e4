//! Deadlines and timeouts of all sockets.

use std::io;
use std::time::{Duration, Instant};

use greenthread_scheduler::Direction;

use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use super::udp::UdpSocket;
use super::unix_datagram::UnixDatagram;
use super::unix_listener::UnixListener;
use super::unix_stream::UnixStream;

impl TcpStream {
    /// Sets the deadline after which operations fail, or removes it with `None`.
    ///
    /// The deadline applies to operations that are already waiting and to all later ones. Once it
    /// has passed, operations fail with [`TimedOut`](io::ErrorKind::TimedOut) until another
    /// deadline is set, even if they would not have to wait. Does not block. Go's `SetDeadline`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// stream.set_deadline(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadlines(deadline)
    }

    /// Sets the deadline for reads.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetReadDeadline`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Read, deadline)
    }

    /// Sets the deadline for writes.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetWriteDeadline`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Write, deadline)
    }

    /// Sets how long each later read operation may take, or removes the limit with `None`.
    ///
    /// An operation that takes longer fails with [`TimedOut`](io::ErrorKind::TimedOut). The timeout
    /// applies to all handles. A deadline that is reached earlier also applies. Does not block.
    ///
    /// # Errors
    /// If the timeout is zero or the stream is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(stream.read_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Read, timeout)
    }

    /// Sets how long each later write operation may take, or removes the limit with `None`.
    ///
    /// Like [`set_read_timeout`](Self::set_read_timeout), but for the other direction.
    ///
    /// # Errors
    /// If the timeout is zero or the stream is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(stream.write_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Write, timeout)
    }

    /// Returns the timeout for reads.
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
    /// assert_eq!(stream.read_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Read)
    }

    /// Returns the timeout for writes.
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
    /// assert_eq!(stream.write_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Write)
    }
}

impl UnixStream {
    /// Sets the deadline after which operations fail, or removes it with `None`.
    ///
    /// The deadline applies to operations that are already waiting and to all later ones. Once it
    /// has passed, operations fail with [`TimedOut`](io::ErrorKind::TimedOut) until another
    /// deadline is set, even if they would not have to wait. Does not block. Go's `SetDeadline`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// stream.set_deadline(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadlines(deadline)
    }

    /// Sets the deadline for reads.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetReadDeadline`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Read, deadline)
    }

    /// Sets the deadline for writes.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetWriteDeadline`.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Write, deadline)
    }

    /// Sets how long each later read operation may take, or removes the limit with `None`.
    ///
    /// An operation that takes longer fails with [`TimedOut`](io::ErrorKind::TimedOut). The timeout
    /// applies to all handles. A deadline that is reached earlier also applies. Does not block.
    ///
    /// # Errors
    /// If the timeout is zero or the stream is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(stream.read_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Read, timeout)
    }

    /// Sets how long each later write operation may take, or removes the limit with `None`.
    ///
    /// Like [`set_read_timeout`](Self::set_read_timeout), but for the other direction.
    ///
    /// # Errors
    /// If the timeout is zero or the stream is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(stream.write_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Write, timeout)
    }

    /// Returns the timeout for reads.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// assert_eq!(stream.read_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Read)
    }

    /// Returns the timeout for writes.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the stream is closed.
    ///
    /// ```
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// assert_eq!(stream.write_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Write)
    }
}

impl UdpSocket {
    /// Sets the deadline after which operations fail, or removes it with `None`.
    ///
    /// The deadline applies to operations that are already waiting and to all later ones. Once it
    /// has passed, operations fail with [`TimedOut`](io::ErrorKind::TimedOut) until another
    /// deadline is set, even if they would not have to wait. Does not block. Go's `SetDeadline`.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// socket.set_deadline(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadlines(deadline)
    }

    /// Sets the deadline for reads.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetReadDeadline`.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Read, deadline)
    }

    /// Sets the deadline for writes.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetWriteDeadline`.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Write, deadline)
    }

    /// Sets how long each later read operation may take, or removes the limit with `None`.
    ///
    /// An operation that takes longer fails with [`TimedOut`](io::ErrorKind::TimedOut). The timeout
    /// applies to all handles. A deadline that is reached earlier also applies. Does not block.
    ///
    /// # Errors
    /// If the timeout is zero or the socket is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(socket.read_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Read, timeout)
    }

    /// Sets how long each later write operation may take, or removes the limit with `None`.
    ///
    /// Like [`set_read_timeout`](Self::set_read_timeout), but for the other direction.
    ///
    /// # Errors
    /// If the timeout is zero or the socket is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_write_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(socket.write_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Write, timeout)
    }

    /// Returns the timeout for reads.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// assert_eq!(socket.read_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Read)
    }

    /// Returns the timeout for writes.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// assert_eq!(socket.write_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Write)
    }
}

impl UnixDatagram {
    /// Sets the deadline after which operations fail, or removes it with `None`.
    ///
    /// The deadline applies to operations that are already waiting and to all later ones. Once it
    /// has passed, operations fail with [`TimedOut`](io::ErrorKind::TimedOut) until another
    /// deadline is set, even if they would not have to wait. Does not block. Go's `SetDeadline`.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// socket.set_deadline(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadlines(deadline)
    }

    /// Sets the deadline for reads.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetReadDeadline`.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Read, deadline)
    }

    /// Sets the deadline for writes.
    ///
    /// Like [`set_deadline`](Self::set_deadline), but for one direction. Go's `SetWriteDeadline`.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadline(Direction::Write, deadline)
    }

    /// Sets how long each later read operation may take, or removes the limit with `None`.
    ///
    /// An operation that takes longer fails with [`TimedOut`](io::ErrorKind::TimedOut). The timeout
    /// applies to all handles. A deadline that is reached earlier also applies. Does not block.
    ///
    /// # Errors
    /// If the timeout is zero or the socket is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(socket.read_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Read, timeout)
    }

    /// Sets how long each later write operation may take, or removes the limit with `None`.
    ///
    /// Like [`set_read_timeout`](Self::set_read_timeout), but for the other direction.
    ///
    /// # Errors
    /// If the timeout is zero or the socket is closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_write_timeout(Some(Duration::from_secs(5)))?;
    /// assert_eq!(socket.write_timeout()?, Some(Duration::from_secs(5)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Direction::Write, timeout)
    }

    /// Returns the timeout for reads.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// assert_eq!(socket.read_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Read)
    }

    /// Returns the timeout for writes.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the socket is closed.
    ///
    /// ```
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// assert_eq!(socket.write_timeout()?, None, "no limit by default");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Direction::Write)
    }
}

impl TcpListener {
    /// Sets the deadline after which operations fail, or removes it with `None`.
    ///
    /// The deadline applies to operations that are already waiting and to all later ones. Once it
    /// has passed, operations fail with [`TimedOut`](io::ErrorKind::TimedOut) until another
    /// deadline is set, even if they would not have to wait. Does not block. Go's `SetDeadline`.
    ///
    /// # Errors
    /// If the listener is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// listener.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// listener.set_deadline(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadlines(deadline)
    }
}

impl UnixListener {
    /// Sets the deadline after which operations fail, or removes it with `None`.
    ///
    /// The deadline applies to operations that are already waiting and to all later ones. Once it
    /// has passed, operations fail with [`TimedOut`](io::ErrorKind::TimedOut) until another
    /// deadline is set, even if they would not have to wait. Does not block. Go's `SetDeadline`.
    ///
    /// # Errors
    /// If the listener is closed.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let path = std::env::temp_dir().join(format!("set-deadline-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    ///
    /// listener.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// listener.set_deadline(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.socket.set_deadlines(deadline)
    }
}
