//! Closing sockets that other goroutines use: all of them are woken, and none of them reaches a
//! descriptor that was opened since.

use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::net;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{check, check_from_thread, parked, storm, until};
use greenthread::ctx::Context;
use greenthread::net::{Async, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use greenthread::{debug, scope, spawn, time, yield_now};

/// Checks that `result` is the error of an operation on a closed socket.
fn assert_closed<T>(result: io::Result<T>) {
    let error = result.err().expect("the socket is closed");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::NotConnected, "use of closed network connection")
    );
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn fill(stream: &TcpStream) {
    stream.set_nonblocking(true).unwrap();
    // When the buffer is full, the peer's system may still be about to take something out of it.
    let mut full_since = Instant::now();
    while full_since.elapsed() < Duration::from_millis(100) {
        if { stream }.write(&[0; 65_536]).is_ok() {
            full_since = Instant::now();
        } else {
            time::sleep(Duration::from_millis(1));
        }
    }
    stream.set_nonblocking(false).unwrap();
}

fn everybody_is_woken() {
    let (near, far) = tcp_pair();
    let near = &near;
    fill(near);
    scope(|s| {
        // There are two in each direction: one waits for the socket, the other one for its turn.
        let readers: Vec<_> = (0..2).map(|_| s.spawn(move || { near }.read(&mut [0]))).collect();
        let writers: Vec<_> = (0..2).map(|_| s.spawn(move || { near }.write(&[0]))).collect();
        until(|| parked("IO wait") == 2 && parked("sync.Mutex.Lock") == 2);
        near.close();
        readers.into_iter().chain(writers).for_each(|one| assert_closed(one.join().unwrap()));
    });
    near.close();
    assert_closed({ near }.read(&mut [0]));
    assert_closed({ near }.write(&[0]));
    assert_closed({ near }.write_vectored(&[]));
    assert_closed(near.peek(&mut [0]));
    assert_closed(near.set_deadline(None));
    assert_closed(near.set_read_timeout(None));
    assert_closed(near.local_addr());
    assert_closed(near.peer_addr());
    assert_closed(near.nodelay());
    assert_closed(near.shutdown(net::Shutdown::Both));
    let clone = near.try_clone().unwrap();
    assert_closed({ &clone }.read(&mut [0]));
    // The peer gets what was sent and then the end, although handles are left.
    let mut all = Vec::new();
    (&far).read_to_end(&mut all).unwrap();
    assert!(!all.is_empty());
}

#[test]
fn closing_streams_ends_waits_of_goroutines() {
    check(everybody_is_woken);
}

#[test]
fn closing_streams_ends_waits_of_a_thread() {
    check_from_thread(everybody_is_woken);
}

#[test]
fn closing_listeners_ends_accepts() {
    check(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = &listener;
        scope(|s| {
            let acceptors: Vec<_> = (0..3).map(|_| s.spawn(move || listener.accept())).collect();
            until(|| parked("IO wait") == 1 && parked("sync.Mutex.Lock") == 2);
            listener.close();
            acceptors.into_iter().for_each(|one| assert_closed(one.join().unwrap()));
        });
        assert_closed(listener.incoming().next().expect("the iterator never ends"));
        let error = TcpStream::connect(addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "the listener is closed");
        let again = TcpListener::bind(addr).unwrap();
        assert_ne!(
            again.as_raw_fd(),
            listener.as_raw_fd(),
            "the descriptor number stays in use as long as the handle exists"
        );
    });
}

#[test]
fn closing_datagram_sockets_ends_waits() {
    check(|| {
        let udp = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let (unix, _other) = UnixDatagram::pair().unwrap();
        let unix = Arc::new(unix);
        let of_udp = spawn({
            let udp = Arc::clone(&udp);
            move || udp.recv_from(&mut [0]).map(drop)
        });
        let of_unix = spawn({
            let unix = Arc::clone(&unix);
            move || unix.recv(&mut [0]).map(drop)
        });
        until(|| parked("IO wait") == 2);
        let addr = udp.local_addr().unwrap();
        udp.close();
        unix.close();
        assert_closed(of_udp.join().unwrap());
        assert_closed(of_unix.join().unwrap());
        assert_closed(udp.send_to(&[1], addr));
        assert_closed(unix.send(&[1]));
        UdpSocket::bind(addr).unwrap();
    });
}

#[test]
fn closing_a_socket_stops_its_timer() {
    check(|| {
        let (near, _far) = UnixStream::pair().unwrap();
        near.set_deadline(Some(Instant::now() + Duration::from_secs(3600))).unwrap();
        near.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
        let reader = near.try_clone().unwrap();
        let reader = spawn(move || (&reader).read(&mut [0]));
        until(|| parked("IO wait") == 1);
        near.close();
        assert_closed(reader.join().unwrap());
        assert_eq!(debug::stats().timers, 0);
    });
}

/// Sockets are closed while others read, write and set deadlines, and new sockets reuse their
/// numbers at once.
///
/// Each connection carries its own byte, so another byte shows that an operation has reached the
/// wrong descriptor.
#[test]
fn descriptor_numbers_may_be_reused() {
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    fn round(mut random: crate::common::Rng) {
        let own = NEXT.fetch_add(1, Ordering::Relaxed) as u8;
        let (near, far) = if random.one_in(2) {
            let (near, far) = tcp_pair();
            (Ok(near), Ok(far))
        } else {
            let (near, far) = UnixStream::pair().unwrap();
            (Err(near), Err(far))
        };
        match (near, far) {
            (Ok(near), Ok(far)) => talk(&near, &far, own, &mut random, TcpStream::close),
            (Err(near), Err(far)) => talk(&near, &far, own, &mut random, UnixStream::close),
            _ => unreachable!("both are of one kind"),
        }
    }

    fn talk<S>(near: &S, far: &S, own: u8, random: &mut crate::common::Rng, close: fn(&S))
    where
        S: Sync,
        for<'a> &'a S: Read + Write,
    {
        scope(|s| {
            for end in [near, far] {
                s.spawn(move || {
                    let mut bytes = [0; 50];
                    while let Ok(n @ 1..) = { end }.read(&mut bytes) {
                        assert!(bytes[..n].iter().all(|byte| *byte == own), "{bytes:?} on the connection of {own}");
                    }
                });
                s.spawn(move || while { end }.write(&[own; 30]).is_ok() {});
            }
            (0..random.below(20)).for_each(|_| yield_now());
            close(if random.one_in(2) { near } else { far });
            // The other end sees a reset, a broken pipe or the end. Without the second close, its
            // writer might wait forever.
            (0..random.below(3)).for_each(|_| yield_now());
            close(near);
            close(far);
        });
    }

    storm(|random| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let random = random.fork();
                spawn(move || round(random))
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Checks that a read into an empty buffer neither waits nor obeys deadlines, but fails if a read
/// is impossible.
macro_rules! check_empty_read {
    ($socket:expr) => {{
        let mut socket = $socket;
        let (ctx, cancel) = Context::background().with_cancel();
        socket.set_read_deadline(Some(Instant::now())).unwrap();
        let empty = &mut [IoSliceMut::new(&mut [])];
        assert_eq!(socket.read(&mut []).unwrap(), 0);
        assert_eq!(socket.read_vectored(empty).unwrap(), 0);
        assert_eq!(socket.with_ctx(&ctx).read(&mut []).unwrap(), 0);
        cancel.cancel();
        assert_eq!(socket.with_ctx(&ctx).read(&mut []).unwrap_err().to_string(), "context canceled");
        assert_eq!(socket.with_ctx(&ctx).read_vectored(empty).unwrap_err().to_string(), "context canceled");
        socket.close();
        assert_closed(socket.read(&mut []));
        assert_closed(socket.read_vectored(empty));
    }};
}

#[test]
fn a_read_into_an_empty_buffer_does_not_wait() {
    check(|| {
        check_empty_read!(tcp_pair().1);
        check_empty_read!(UnixStream::pair().unwrap().1);
        check_empty_read!(Async::new(io::pipe().unwrap().0).unwrap());
    });
}
