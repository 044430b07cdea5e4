//! Waiting until an operation would not block, for callers that then perform it themselves:
//! `ioctl`, `sendfile`, a C library.

use std::io;

use greenthread_scheduler::Direction;

use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use super::udp::UdpSocket;
use super::unix_datagram::UnixDatagram;
use super::unix_listener::UnixListener;
use super::unix_stream::UnixStream;
use super::with_ctx::WithCtx;

impl TcpStream {
    /// Blocks until there is something to read, or the end is reached.
    ///
    /// Takes turns with other operations that read.
    ///
    /// Use it for operations that this type does not have: wait, try the operation on the
    /// [descriptor](std::os::fd::AsFd), and wait again if the operation would block. Go's
    /// `SyscallConn().Read`.
    ///
    /// # Errors
    /// If the stream is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::{Duration, Instant};
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// match stream.readable() {
    ///     Ok(()) => println!("ready"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Read)
    }

    /// Blocks until a write would not block, or would fail.
    ///
    /// Takes turns with other operations that write. Otherwise like [`readable`](Self::readable).
    /// Go's `SyscallConn().Write`.
    ///
    /// # Errors
    /// If the stream is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Write)
    }

    /// Blocks until the system reports an out-of-band event (`POLLPRI`), or the peer hangs up.
    ///
    /// Such events are TCP urgent data, a change of a sysfs file, and an alarm of the kernel's
    /// pressure stall information. The event may be one that was already reported and handled
    /// before the call. One goroutine may wait for the event while another reads; several such
    /// waits take turns. A read deadline ends the wait; a timeout does not. Go has no counterpart.
    ///
    /// # Errors
    /// If the stream is closed or the read deadline has passed;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on systems other than Linux.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// if let Err(error) = stream.priority() {
    ///     println!("nothing urgent: {error}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Priority)
    }
}

impl WithCtx<'_, TcpStream> {
    /// Blocks like [`TcpStream::readable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`TcpStream::readable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = stream.with_ctx(&ctx).readable().unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Read)
    }

    /// Blocks like [`TcpStream::writable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`TcpStream::writable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// stream.with_ctx(&Context::background()).writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Write)
    }

    /// Blocks like [`TcpStream::priority`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`TcpStream::priority`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let stream = greenthread::net::TcpStream::connect(listener.local_addr()?)?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(stream.with_ctx(&ctx).priority().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Priority)
    }
}

impl UnixStream {
    /// Blocks until there is something to read, or the end is reached.
    ///
    /// Takes turns with other operations that read.
    ///
    /// Use it for operations that this type does not have: wait, try the operation on the
    /// [descriptor](std::os::fd::AsFd), and wait again if the operation would block. Go's
    /// `SyscallConn().Read`.
    ///
    /// # Errors
    /// If the stream is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::{Duration, Instant};
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// match stream.readable() {
    ///     Ok(()) => println!("ready"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Read)
    }

    /// Blocks until a write would not block, or would fail.
    ///
    /// Takes turns with other operations that write. Otherwise like [`readable`](Self::readable).
    /// Go's `SyscallConn().Write`.
    ///
    /// # Errors
    /// If the stream is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Write)
    }

    /// Blocks until the system reports an out-of-band event (`POLLPRI`), or the peer hangs up.
    ///
    /// Such events are TCP urgent data, a change of a sysfs file, and an alarm of the kernel's
    /// pressure stall information. The event may be one that was already reported and handled
    /// before the call. One goroutine may wait for the event while another reads; several such
    /// waits take turns. A read deadline ends the wait; a timeout does not. Go has no counterpart.
    ///
    /// # Errors
    /// If the stream is closed or the read deadline has passed;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on systems other than Linux.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// if let Err(error) = stream.priority() {
    ///     println!("nothing urgent: {error}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Priority)
    }
}

impl WithCtx<'_, UnixStream> {
    /// Blocks like [`UnixStream::readable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UnixStream::readable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = stream.with_ctx(&ctx).readable().unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Read)
    }

    /// Blocks like [`UnixStream::writable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UnixStream::writable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// stream.with_ctx(&Context::background()).writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Write)
    }

    /// Blocks like [`UnixStream::priority`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UnixStream::priority`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (stream, _peer) = greenthread::net::UnixStream::pair()?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(stream.with_ctx(&ctx).priority().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Priority)
    }
}

impl UdpSocket {
    /// Blocks until there is a datagram to receive.
    ///
    /// Takes turns with other operations that receive.
    ///
    /// Use it for operations that this type does not have: wait, try the operation on the
    /// [descriptor](std::os::fd::AsFd), and wait again if the operation would block. Go's
    /// `SyscallConn().Read`.
    ///
    /// # Errors
    /// If the socket is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::{Duration, Instant};
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// match socket.readable() {
    ///     Ok(()) => println!("ready"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Read)
    }

    /// Blocks until a write would not block, or would fail.
    ///
    /// Takes turns with other operations that send. Otherwise like [`readable`](Self::readable).
    /// Go's `SyscallConn().Write`.
    ///
    /// # Errors
    /// If the socket is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Write)
    }

    /// Blocks until the system reports an out-of-band event (`POLLPRI`), or the peer hangs up.
    ///
    /// Such events are TCP urgent data, a change of a sysfs file, and an alarm of the kernel's
    /// pressure stall information. The event may be one that was already reported and handled
    /// before the call. One goroutine may wait for the event while another reads; several such
    /// waits take turns. A read deadline ends the wait; a timeout does not. Go has no counterpart.
    ///
    /// # Errors
    /// If the socket is closed or the read deadline has passed;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on systems other than Linux.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// if let Err(error) = socket.priority() {
    ///     println!("nothing urgent: {error}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Priority)
    }
}

impl WithCtx<'_, UdpSocket> {
    /// Blocks like [`UdpSocket::readable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::readable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = socket.with_ctx(&ctx).readable().unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Read)
    }

    /// Blocks like [`UdpSocket::writable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::writable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// socket.with_ctx(&Context::background()).writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Write)
    }

    /// Blocks like [`UdpSocket::priority`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UdpSocket::priority`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let socket = greenthread::net::UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(socket.with_ctx(&ctx).priority().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Priority)
    }
}

impl UnixDatagram {
    /// Blocks until there is a datagram to receive.
    ///
    /// Takes turns with other operations that receive.
    ///
    /// Use it for operations that this type does not have: wait, try the operation on the
    /// [descriptor](std::os::fd::AsFd), and wait again if the operation would block. Go's
    /// `SyscallConn().Read`.
    ///
    /// # Errors
    /// If the socket is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::{Duration, Instant};
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// match socket.readable() {
    ///     Ok(()) => println!("ready"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Read)
    }

    /// Blocks until a write would not block, or would fail.
    ///
    /// Takes turns with other operations that send. Otherwise like [`readable`](Self::readable).
    /// Go's `SyscallConn().Write`.
    ///
    /// # Errors
    /// If the socket is closed, or a deadline or timeout has passed.
    ///
    /// ```
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Write)
    }

    /// Blocks until the system reports an out-of-band event (`POLLPRI`), or the peer hangs up.
    ///
    /// Such events are TCP urgent data, a change of a sysfs file, and an alarm of the kernel's
    /// pressure stall information. The event may be one that was already reported and handled
    /// before the call. One goroutine may wait for the event while another reads; several such
    /// waits take turns. A read deadline ends the wait; a timeout does not. Go has no counterpart.
    ///
    /// # Errors
    /// If the socket is closed or the read deadline has passed;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on systems other than Linux.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// if let Err(error) = socket.priority() {
    ///     println!("nothing urgent: {error}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Priority)
    }
}

impl WithCtx<'_, UnixDatagram> {
    /// Blocks like [`UnixDatagram::readable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::readable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = socket.with_ctx(&ctx).readable().unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Read)
    }

    /// Blocks like [`UnixDatagram::writable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::writable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// socket.with_ctx(&Context::background()).writable()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Write)
    }

    /// Blocks like [`UnixDatagram::priority`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UnixDatagram::priority`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let (socket, _peer) = greenthread::net::UnixDatagram::pair()?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(socket.with_ctx(&ctx).priority().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Priority)
    }
}

impl TcpListener {
    /// Blocks until there is a connection to accept.
    ///
    /// Takes turns with other operations that accept.
    ///
    /// Use it for operations that this type does not have: wait, try the operation on the
    /// [descriptor](std::os::fd::AsFd), and wait again if the operation would block. Go's
    /// `SyscallConn().Read`.
    ///
    /// # Errors
    /// If the listener is closed, or a deadline has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::{Duration, Instant};
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// listener.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// match listener.readable() {
    ///     Ok(()) => println!("ready"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Read)
    }
}

impl WithCtx<'_, TcpListener> {
    /// Blocks like [`TcpListener::readable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`TcpListener::readable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let listener = greenthread::net::TcpListener::bind("127.0.0.1:0")?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = listener.with_ctx(&ctx).readable().unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Read)
    }
}

impl UnixListener {
    /// Blocks until there is a connection to accept.
    ///
    /// Takes turns with other operations that accept.
    ///
    /// Use it for operations that this type does not have: wait, try the operation on the
    /// [descriptor](std::os::fd::AsFd), and wait again if the operation would block. Go's
    /// `SyscallConn().Read`.
    ///
    /// # Errors
    /// If the listener is closed, or a deadline has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::{Duration, Instant};
    /// # let path = std::env::temp_dir().join(format!("readable-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    ///
    /// listener.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
    /// match listener.readable() {
    ///     Ok(()) => println!("ready"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.wait_ready(None, Direction::Read)
    }
}

impl WithCtx<'_, UnixListener> {
    /// Blocks like [`UnixListener::readable`], but only until the context ends.
    ///
    /// # Errors
    /// The errors of [`UnixListener::readable`], and the context's error.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// # let path = std::env::temp_dir().join(format!("readable-ctx-{}.sock", std::process::id()));
    /// # let listener = greenthread::net::UnixListener::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// let error = listener.with_ctx(&ctx).readable().unwrap_err();
    /// assert_eq!(error.to_string(), "context canceled");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.socket.socket.wait_ready(Some(self.ctx), Direction::Read)
    }
}
