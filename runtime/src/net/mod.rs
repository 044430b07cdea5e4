//! Sockets that block the goroutine but never the thread: Go's `net`, with the names and traits of
//! `std::net`.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | listen, connect | [`TcpListener`], [`TcpStream`] | `net.Listen`, `net.Dial` |
//! | serve until a signal | `serve` of [`TcpListener`], [`UnixListener`] | `http.Server.Shutdown` |
//! | find the addresses of a name | [`lookup_host`], [`lookup_host_ctx`] | `net.LookupHost` |
//! | send datagrams | [`UdpSocket`], [`UnixDatagram`] | `net.ListenPacket` |
//! | communicate within one machine | [`UnixListener`], [`UnixStream`] | `net.Listen("unix", ..)` |
//! | wait for a pipe, a terminal, any descriptor | [`Async`] | `os.File` |
//! | wait until an operation would not block | `readable`, `writable`, `priority` | `SyscallConn` |
//! | end operations at a given time | `set_deadline` | `SetDeadline` |
//! | end only reads, or only writes | `set_read_deadline`, `set_write_deadline` | the same |
//! | end each slow operation, as in `std` | `set_read_timeout`, `set_write_timeout` | |
//! | end an operation with a context | `with_ctx` | a goroutine that closes |
//! | end a connect with a context | [`connect_ctx`](TcpStream::connect_ctx) | `DialContext` |
//! | end all operations | `close`, or dropping | `Close` |
//! | convert from and to `std` | `from_std`, `into_std`, `TryFrom` | `net.FileConn`, `File` |
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
//! # Concurrent operations
//! All operations take `&self`. One goroutine may read while another writes: `&TcpStream`
//! implements `Read` and `Write`, and `try_clone` makes another handle. Concurrent reads (or
//! accepts) take turns, and so do concurrent writes. The turns work as with a
//! [`Mutex`](crate::sync::Mutex): the order is not strict, but no operation waits for a long time.
//! All operations work from goroutines and from other threads.
//!
//! # Deadlines
//! The rules are Go's. A deadline is a point in time. It stays set until it is changed, and also
//! applies to an operation that is already waiting. Once the deadline has passed, operations fail
//! ([`TimedOut`](std::io::ErrorKind::TimedOut), "i/o timeout"), even if there is something to read.
//! Setting a later deadline, or removing the deadline, makes operations work again.
//!
//! # Costs
//! Each operation is attempted first, and waits only if it would block. Each socket is registered
//! with the poller once. A waiting goroutine costs its stack, but no thread.

// # From a read to the scheduler
//
// The path of a read that has to wait, one file per step:
//
// 1. `tcp_stream.rs`: `impl Read for TcpStream`, one line. `Socket` (`socket.rs`) is a shared
//    handle to an `AsyncFd`, and dereferences to it.
// 2. `async_fd.rs`: `AsyncFd::read` takes its turn (`IoOp::start`), tries (`IoOp::run`), and, when
//    the attempt would block, calls `IoOp::wait_for_event`.
// 3. `scheduler/src/netpoll/descriptor.rs`: `Descriptor::wait` publishes the waiter in the poll
//    word of the direction.
// 4. `scheduler/src/wait/blocker.rs`: `Blocker::block_if`.
// 5. `scheduler/src/wait/park.rs`: the goroutine parks.
//
// All other operations follow the same path from step 2 on. Under a context, step 2 goes through
// `wait_or_close` (`runtime/src/io_wait.rs`). The context's channel can also end that wait.

mod any_fd;
mod async_fd;
mod convert;
mod cred;
mod deadlines;
mod error;
mod eyeballs;
mod half;
mod incoming;
mod lookup;
mod multicast;
mod nonblocking;
mod readiness;
mod serve;
mod socket;
mod tcp_listener;
mod tcp_stream;
mod udp;
mod unix_datagram;
mod unix_listener;
mod unix_stream;
mod watch_error;
#[cfg(test)]
#[path = "../../tests/common/watchdog.rs"]
mod watchdog;
mod with_ctx;

pub use any_fd::Async;
pub use cred::UCred;
pub use incoming::Incoming;
pub use lookup::{Resolve, Resolver, lookup_host, lookup_host_ctx};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
pub use unix_datagram::UnixDatagram;
pub use unix_listener::UnixListener;
pub use unix_stream::UnixStream;
pub use watch_error::WatchError;
pub use with_ctx::{WithCtx, WithCtxMut};

#[cfg(test)]
mod tests {
    use std::io::PipeReader;

    use super::*;

    fn is_send_and_sync<T: Send + Sync>() {}

    #[test]
    fn sockets_and_views_are_send_and_sync() {
        is_send_and_sync::<(TcpStream, TcpListener, UdpSocket)>();
        is_send_and_sync::<(UnixStream, UnixListener, UnixDatagram)>();
        is_send_and_sync::<(Async<PipeReader>, WatchError<PipeReader>, UCred)>();
        is_send_and_sync::<(WithCtx<'_, TcpStream>, WithCtxMut<'_, Async<PipeReader>>, Incoming<'_, TcpListener>)>();
    }
}
