//! Sockets that block the goroutine and never the thread: Go's `net`, with the names and traits of `std::net`.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | serve, call | [`TcpListener`], [`TcpStream`] | `net.Listen`, `net.Dial` |
//! | serve until a signal, and end gracefully | [`TcpListener::serve`], [`UnixListener::serve`] | `http.Server.Shutdown` |
//! | find the addresses of a name | [`lookup_host`], [`lookup_host_ctx`] | `net.LookupHost` |
//! | send datagrams | [`UdpSocket`], [`UnixDatagram`] | `net.ListenPacket` |
//! | talk within one machine | [`UnixListener`], [`UnixStream`] | `net.Listen("unix", ..)` |
//! | wait for a pipe, a terminal, any descriptor | [`Async`] | `os.File` |
//! | wait until an operation would not block | `readable`, `writable`, `priority` | `SyscallConn` |
//! | end an operation at a time | `set_deadline`, `set_read_deadline`, `set_write_deadline` | the same |
//! | end it when it takes too long | `set_read_timeout`, `set_write_timeout`, as in `std` | nothing |
//! | end it with a context | `with_ctx`, [`TcpStream::connect_ctx`], [`UnixStream::connect_ctx`] | a goroutine that closes |
//! | end all operations | `close`, or dropping | `Close` |
//!
//! ```
//! use greenthread::go;
//! use greenthread::net::{TcpListener, TcpStream};
//! use std::io::{self, Read, Write};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let addr = listener.local_addr()?;
//! go!(move || {
//!     for stream in listener.incoming() {
//!         let stream = stream.unwrap();
//!         go!(move || io::copy(&mut &stream, &mut &stream));
//!     }
//! });
//! let mut stream = TcpStream::connect(addr)?;
//! stream.write_all(b"hello")?;
//! let mut echo = [0; 5];
//! stream.read_exact(&mut echo)?;
//! assert_eq!(&echo, b"hello");
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # Who may do what at once
//! Everything takes `&self`. One may read while another writes: `&TcpStream` is `Read` and `Write`, and `try_clone`
//! makes another handle. Those who read, or accept, at the same time take turns, and so do those who write. Turns are
//! taken as with a [`Mutex`](crate::sync::Mutex): in no strict order, but nobody waits long. All of it works from
//! goroutines and from other threads.
//!
//! # Deadlines
//! The rules are Go's. A deadline is a point in time; it stays until it is changed, and counts for the operation that
//! waits just then, too. One that has passed makes operations fail ([`TimedOut`](std::io::ErrorKind::TimedOut), "i/o
//! timeout"), even if there is something to read. A later one, or none, makes them work again.
//!
//! # What it costs
//! An operation is tried first, and waits only if it would block. Each socket is registered with the poller once. A
//! waiting goroutine costs its stack, and no thread.

mod any;
mod cred;
mod eyeballs;
mod fd;
mod incoming;
mod lookup;
mod macros;
mod ready;
mod serve;
mod tcp;
mod udp;
mod unix;
mod unix_datagram;
mod view;
mod watch_error;
#[cfg(test)]
#[path = "../../tests/common/watchdog.rs"]
mod watchdog;

pub use any::Async;
pub use cred::UCred;
pub use incoming::Incoming;
pub use lookup::{Resolve, Resolver, lookup_host, lookup_host_ctx};
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixListener, UnixStream};
pub use unix_datagram::UnixDatagram;
pub use view::{WithCtx, WithCtxMut};
pub use watch_error::WatchError;
