//! Sockets other than TCP's, and any other descriptor.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::net::{self, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::common::stream::{LONG, SHORT};
use crate::common::{check, parked, parked_ids, until};
use greenthread::ctx::Context;
use greenthread::net::{Async, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use greenthread::{scope, spawn};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

/// A path for a socket, which is removed on drop.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("greenthread-{}-{n}.sock", process::id())))
    }
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn unix_streams() {
    check(|| {
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(place.as_ref()));
        assert!(listener.take_error().unwrap().is_none());
        let server = spawn(move || {
            for stream in listener.incoming().take(2) {
                let stream = stream.unwrap();
                io::copy(&mut &stream, &mut &stream).unwrap();
            }
        });
        let addr = unix::SocketAddr::from_pathname(&place).unwrap();
        for stream in [UnixStream::connect(&place), UnixStream::connect_addr(&addr)] {
            let mut stream = stream.unwrap();
            assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(place.as_ref()));
            assert!(stream.local_addr().unwrap().is_unnamed());
            stream.write_all(b"around").unwrap();
            stream.flush().unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "around");
        }
        server.join().unwrap();
        assert_eq!(UnixStream::connect(&place).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let other = Place::new();
        let listener = UnixListener::bind_addr(&unix::SocketAddr::from_pathname(&other).unwrap()).unwrap();
        let mut client = unix::UnixStream::connect(&other).unwrap();
        let (mut stream, from) = listener.with_ctx(&Context::background()).accept().unwrap();
        assert!(from.is_unnamed());
        client.write_all(b"abc").unwrap();
        let (mut one, mut two) = ([0; 1], [0; 5]);
        let read = stream.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).unwrap();
        assert_eq!((read, one[0], &two[..2]), (3, b'a', &b"bc"[..]));
        assert_eq!(stream.read(&mut []).unwrap(), 0);
        assert_eq!(stream.write_vectored(&[IoSlice::new(b"de"), IoSlice::new(b"f")]).unwrap(), 3);
        drop(client);
        assert_eq!(
            stream.read(&mut two).unwrap_err().kind(),
            ErrorKind::ConnectionReset,
            "the peer has closed with unread data"
        );
        let stream = UnixStream::try_from(OwnedFd::try_from(stream).unwrap()).unwrap();
        assert!(stream.as_fd().as_raw_fd() == stream.as_raw_fd());
        drop(unix::UnixStream::try_from(stream).unwrap());
    });
}

/// Returns a listener whose queue one connection fills.
fn listen_with_short_queue(place: &Place) -> UnixListener {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::unix(place).unwrap()).unwrap();
    socket.listen(0).unwrap();
    UnixListener::try_from(OwnedFd::from(socket)).unwrap()
}

// The system does not report when the queue of a listener has room again.
#[test]
fn unix_streams_wait_for_a_full_queue() {
    const CROWD: usize = 100;
    check(|| {
        let place = Place::new();
        let listener = listen_with_short_queue(&place);
        let addr = unix::SocketAddr::from_pathname(&place).unwrap();
        let first = UnixStream::connect(&place).unwrap();
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        for connected in [UnixStream::connect_ctx(&ctx, &place), UnixStream::connect_addr_ctx(&ctx, &addr)] {
            assert_eq!(connected.unwrap_err().to_string(), "context deadline exceeded");
        }
        let (ctx, cancel) = Context::background().with_cancel();
        let (place, ctx) = (&place, &ctx);
        scope(|s| {
            let canceled = s.spawn(move || UnixStream::connect_ctx(ctx, place));
            let crowd = (0..CROWD).map(|n| {
                s.spawn(move || {
                    let mut stream = UnixStream::connect(place).unwrap();
                    stream.write_all(&[n as u8]).unwrap();
                    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
                })
            });
            let crowd: Vec<_> = crowd.collect();
            // Connecting goroutines park and keep no thread. They are not all parked at once,
            // because each wakes to try again.
            let mut seen = HashSet::new();
            until(|| {
                seen.extend(parked_ids("IO wait"));
                seen.len() == CROWD + 1
            });
            cancel.cancel();
            assert_eq!(canceled.join().unwrap().unwrap_err().to_string(), "context canceled");
            drop(first);
            assert_eq!(listener.accept().unwrap().0.read(&mut [0]).unwrap(), 0);
            let mut seen: Vec<_> = (0..CROWD)
                .map(|_| {
                    let mut byte = [0];
                    listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
                    usize::from(byte[0])
                })
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..CROWD).collect::<Vec<_>>());
            crowd.into_iter().for_each(|client| client.join().unwrap());
        });
        let _first = UnixStream::connect_ctx(&Context::background(), place).unwrap();
        scope(|s| {
            let refused = s.spawn(move || UnixStream::connect(place));
            until(|| parked("IO wait") == 1);
            listener.close();
            assert_eq!(refused.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn unix_datagrams() {
    check(|| {
        let (near, far) = (Place::new(), Place::new());
        let one = UnixDatagram::bind(&near).unwrap();
        let two = UnixDatagram::bind_addr(&unix::SocketAddr::from_pathname(&far).unwrap()).unwrap();
        assert_eq!(one.send_to(b"to a path", &far).unwrap(), 9);
        let mut bytes = [0; 20];
        let (n, from) = two.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..n], from.as_pathname()), (&b"to a path"[..], Some(near.as_ref())));
        assert_eq!(two.send_to_addr(b"back", &from).unwrap(), 4);
        assert_eq!(one.with_ctx(&Context::background()).recv(&mut bytes).unwrap(), 4);
        let three = UnixDatagram::unbound().unwrap();
        three.connect(&far).unwrap();
        assert_eq!(three.peer_addr().unwrap().as_pathname(), Some(far.as_ref()));
        three.connect_addr(&one.local_addr().unwrap()).unwrap();
        three.send(b"connected").unwrap();
        assert_eq!(one.recv(&mut bytes).unwrap(), 9);
        three.shutdown(Shutdown::Both).unwrap();
        assert_eq!(three.send(b"no more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(two.take_error().unwrap().is_none());
        let (a, b) = UnixDatagram::pair().unwrap();
        let receiver = spawn(move || {
            let mut bytes = [0; 3];
            b.recv(&mut bytes).unwrap()
        });
        until(|| parked("IO wait") == 1);
        a.send(b"too long").unwrap();
        assert_eq!(receiver.join().unwrap(), 3);
    });
}

// The system does not report when the queue of a receiver has room again, if the sender is not
// connected to it.
#[test]
fn unix_datagrams_wait_for_a_full_queue() {
    check(|| {
        let place = Place::new();
        let receiver = UnixDatagram::bind(&place).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let mut queued = 0_u32;
        while sender.send_to(&queued.to_ne_bytes(), &place).is_ok() {
            queued += 1;
        }
        sender.set_nonblocking(false).unwrap();
        sender.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(sender.send_to(&[0; 4], &place).unwrap_err().kind(), ErrorKind::TimedOut);
        sender.set_write_timeout(Some(LONG)).unwrap();
        sender.set_write_deadline(Some(Instant::now() + SHORT)).unwrap();
        assert_eq!(sender.send_to(&[0; 4], &place).unwrap_err().kind(), ErrorKind::TimedOut);
        sender.set_write_deadline(None).unwrap();
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        let error = sender.with_ctx(&ctx).send_to(&[0; 4], &place).unwrap_err();
        assert_eq!(error.to_string(), "context deadline exceeded");
        let all = queued + 100;
        scope(|s| {
            let (sender, place) = (&sender, &place);
            s.spawn(move || {
                (queued..all).for_each(|n| assert_eq!(sender.send_to(&n.to_ne_bytes(), place).unwrap(), 4))
            });
            until(|| parked("IO wait") == 1);
            let mut bytes = [0; 4];
            for n in 0..all {
                assert_eq!(receiver.recv(&mut bytes).unwrap(), 4);
                assert_eq!(u32::from_ne_bytes(bytes), n);
            }
        });
    });
}

#[test]
fn udp() {
    check(|| {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let two = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (first, second) = (one.local_addr().unwrap(), two.local_addr().unwrap());
        let mut bytes = [0; 20];
        one.send_to(b"hello", second).unwrap();
        assert_eq!(two.recv_from(&mut bytes).unwrap(), (5, first));
        let receiver = one.try_clone().unwrap();
        let receiver = spawn(move || {
            let mut bytes = [0; 3];
            assert_eq!(receiver.peek_from(&mut bytes).unwrap(), (3, second));
            assert_eq!(receiver.peek(&mut bytes).unwrap(), 3);
            receiver.recv_from(&mut bytes).unwrap()
        });
        until(|| parked("IO wait") == 1);
        two.send_to(b"back", first).unwrap();
        assert_eq!(receiver.join().unwrap(), (3, second));
        one.connect(second).unwrap();
        assert_eq!(one.peer_addr().unwrap(), second);
        one.send(b"connected").unwrap();
        assert_eq!(two.recv(&mut bytes).unwrap(), 9);
        two.send_to(&[], first).unwrap();
        assert_eq!(one.recv(&mut bytes).unwrap(), 0, "datagrams may be empty");
        let ctx = Context::background();
        assert_eq!(one.with_ctx(&ctx).send(b"x").unwrap(), 1);
        two.send_to(b"yz", first).unwrap();
        assert_eq!(one.with_ctx(&ctx).recv_from(&mut bytes).unwrap(), (2, second));
        one.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(one.recv(&mut bytes).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(two);
        // The error that a peer is missing comes with a later operation, not with the first send.
        let mut refused =
            || one.send(b"x").is_err() || one.recv(&mut bytes).unwrap_err().kind() == ErrorKind::ConnectionRefused;
        assert!((0..10).any(|_| refused()));
        let nowhere: &[SocketAddr] = &[];
        assert_eq!(one.send_to(b"x", nowhere).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn udp_options() {
    check(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        socket.set_ttl(9).unwrap();
        assert_eq!(socket.ttl().unwrap(), 9);
        let group = Ipv4Addr::new(224, 0, 0, 251);
        socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        assert!(socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_err());
        // This machine may have no IPv6.
        if let Ok(socket) = UdpSocket::bind("[::1]:0") {
            socket.set_multicast_loop_v6(false).unwrap();
            assert!(!socket.multicast_loop_v6().unwrap());
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
            assert_eq!(socket.join_multicast_v6(&group, 1).is_ok(), socket.leave_multicast_v6(&group, 1).is_ok());
        }
        let std = net::UdpSocket::try_from(socket).unwrap();
        let socket = UdpSocket::try_from(std).unwrap();
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[test]
fn peer_credentials() {
    check(|| {
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        let client = UnixStream::connect(&place).unwrap();
        let (server, _) = listener.accept().unwrap();
        let own = fs::metadata(&place).unwrap();
        for peer in [client.peer_cred().unwrap(), server.peer_cred().unwrap()] {
            assert_eq!((peer.uid(), peer.gid()), (own.uid(), own.gid()));
            assert_eq!(peer.pid(), Some(process::id().cast_signed()));
        }
        let alone = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let alone = UnixStream::try_from(OwnedFd::from(alone)).unwrap();
        assert_eq!(alone.peer_cred().unwrap_err().kind(), ErrorKind::NotConnected);
        client.close();
        assert_eq!(client.peer_cred().unwrap_err().to_string(), "use of closed network connection");
    });
}

/// Returns `true` if the timeout is the expected one, which the system rounds up to its ticks.
fn is_about(timeout: Option<Duration>, expected: Duration) -> bool {
    timeout.is_some_and(|timeout| timeout >= expected && timeout <= expected + Duration::from_millis(20))
}

#[test]
fn conversions_keep_timeouts() {
    check(|| {
        let (near, _far) = unix::UnixStream::pair().unwrap();
        near.set_read_timeout(Some(SHORT)).unwrap();
        near.set_write_timeout(Some(LONG)).unwrap();
        let mut near = UnixStream::from_std(near).unwrap();
        assert!(is_about(near.read_timeout().unwrap(), SHORT) && is_about(near.write_timeout().unwrap(), LONG));
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        near.set_read_timeout(None).unwrap();
        near.set_write_timeout(Some(Duration::from_nanos(1))).unwrap();
        let near = near.into_std().unwrap();
        assert_eq!(near.read_timeout().unwrap(), None);
        assert!(
            is_about(near.write_timeout().unwrap(), Duration::from_micros(1)),
            "a smaller timeout would mean none to the system"
        );

        let socket = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(SHORT)).unwrap();
        let socket = UdpSocket::try_from(OwnedFd::from(socket)).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        let (socket, _far) = unix::UnixDatagram::pair().unwrap();
        socket.set_read_timeout(Some(SHORT)).unwrap();
        let socket = Async::new(socket).unwrap();
        assert_eq!(socket.readable().unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(is_about(socket.into_inner().read_timeout().unwrap(), SHORT));
        let (socket, _far) = unix::UnixDatagram::pair().unwrap();
        assert_eq!(UnixDatagram::from_std(socket).unwrap().read_timeout().unwrap(), None);
    });
}

// The pipes of a child can be read and written only through an exclusive reference.
#[test]
fn pipes_of_children() {
    check(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = Async::new(child.stdin.take().unwrap()).unwrap();
        let mut stdout = Async::new(child.stdout.take().unwrap()).unwrap();
        let bytes: Vec<u8> = (0..300_000).map(|n| n as u8).collect();
        let expected = bytes.clone();
        let writer = spawn(move || {
            stdin.write_all(&bytes).unwrap();
            stdin.flush().unwrap();
            stdin
        });
        let mut back = vec![0; expected.len()];
        stdout.read_exact(&mut back).unwrap();
        assert!(back == expected);
        let mut stdin = writer.join().unwrap();
        stdout.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(stdout.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        stdout.set_read_timeout(None).unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        assert_eq!(stdin.with_ctx_mut(&ctx).write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"bc")]).unwrap(), 3);
        stdin.with_ctx_mut(&ctx).flush().unwrap();
        let (mut one, mut two) = ([0; 1], [0; 2]);
        stdout.readable().unwrap();
        let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(stdout.with_ctx_mut(&ctx).read_vectored(&mut parts).unwrap(), 3);
        assert_eq!((&one, &two), (b"a", b"bc"));
        let empty = &mut IoSliceMut::new(&mut []);
        assert_eq!(stdout.read(&mut []).unwrap() + stdout.read_vectored(std::slice::from_mut(empty)).unwrap(), 0);
        let reader = spawn(move || {
            let read = stdout.with_ctx_mut(&ctx).read(&mut [0]);
            (stdout, ctx, read)
        });
        until(|| parked("IO wait") == 1);
        cancel.cancel();
        let (mut stdout, ctx, read) = reader.join().unwrap();
        assert_eq!(read.unwrap_err().to_string(), "context canceled");
        assert_eq!(stdout.with_ctx_mut(&ctx).read(&mut []).unwrap_err().to_string(), "context canceled");
        assert_eq!(stdin.with_ctx_mut(&ctx).write(b"x").unwrap_err().to_string(), "context canceled");
        drop(stdin);
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0);
        stdout.close();
        assert_eq!(stdout.read(&mut [0]).unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(child.wait().unwrap().success());
    });
}

fn pipe() -> (Async<PipeReader>, Async<PipeWriter>) {
    let (reader, writer) = io::pipe().unwrap();
    (Async::new(reader).unwrap(), Async::new(writer).unwrap())
}

#[test]
fn pipes() {
    check(|| {
        let (mut reader, mut writer) = pipe();
        let all = spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        // This is more than a pipe holds.
        let bytes: Vec<u8> = (0..500_000).map(|n| n as u8).collect();
        writer.write_all(&bytes).unwrap();
        writer.flush().unwrap();
        drop(writer);
        assert_eq!(all.join().unwrap().unwrap(), bytes);
        let (mut reader, mut writer) = pipe();
        assert_eq!(writer.write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"bc")]).unwrap(), 3);
        let (mut one, mut two) = ([0; 1], [0; 5]);
        let read = reader.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).unwrap();
        assert_eq!((read, one[0], &two[..2]), (3, b'a', &b"bc"[..]));
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        assert!(format!("{reader:?}").starts_with("Async(PipeReader"), "{reader:?}");
        assert_eq!(reader.as_raw_fd(), reader.get_ref().as_raw_fd());
        reader.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(reader.read(&mut one).unwrap_err().kind(), ErrorKind::TimedOut);
        let (ctx, cancel) = Context::background().with_cancel();
        writer.with_ctx(&ctx).write_all(b"x").unwrap();
        assert_eq!(reader.with_ctx(&ctx).read(&mut two).unwrap(), 1);
        cancel.cancel();
        assert_eq!(reader.with_ctx(&ctx).read(&mut two).unwrap_err().to_string(), "context canceled");
        assert_eq!(writer.with_ctx(&ctx).writable().unwrap_err().to_string(), "context canceled");
        assert_eq!(reader.with_ctx(&ctx).readable().unwrap_err().to_string(), "context canceled");
        // The pipe is in blocking mode again.
        let (mut reader, mut writer) = (reader.into_inner(), writer.into_inner());
        let waiting = std::thread::spawn(move || reader.read(&mut [0; 3]).unwrap());
        std::thread::sleep(Duration::from_millis(2));
        writer.write_all(b"yz").unwrap();
        assert_eq!(waiting.join().unwrap(), 2);
    });
}

/// Waits for sockets to become readable and writable, which ends by an event, a limit or a close.
#[test]
fn waits_for_readiness_of_sockets() {
    check(|| {
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        assert_eq!(listener.with_ctx(&ctx).readable().unwrap_err().to_string(), "context deadline exceeded");
        listener.set_deadline(Some(Instant::now() + SHORT)).unwrap();
        assert_eq!(listener.readable().unwrap_err().kind(), ErrorKind::TimedOut);
        listener.set_deadline(None).unwrap();
        let waiter = spawn(move || {
            listener.readable().unwrap();
            listener.readable().unwrap();
            listener.set_nonblocking(true).unwrap();
            let accepted = listener.accept().unwrap().0;
            assert_eq!(listener.readable().unwrap_err().kind(), ErrorKind::WouldBlock);
            accepted
        });
        until(|| parked("IO wait") == 1);
        let near = UnixStream::connect(&place).unwrap();
        let far = waiter.join().unwrap();
        near.writable().unwrap();
        far.set_nonblocking(true).unwrap();
        while (&far).write(&[0; 4096]).is_ok() {}
        far.set_nonblocking(false).unwrap();
        far.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(far.writable().unwrap_err().kind(), ErrorKind::TimedOut);
        near.readable().unwrap();
        near.close();
        far.writable().unwrap();
        assert!((&far).write(&[0]).is_err());

        let (one, other) = UnixDatagram::pair().unwrap();
        other.writable().unwrap();
        let waiter = spawn(move || one.readable().map(|()| one.recv(&mut [0; 9]).unwrap()));
        until(|| parked("IO wait") == 1);
        other.send(b"three").unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), 5);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.writable().unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        socket.with_ctx(&Context::background()).readable().unwrap();
        assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 1);
        let waiter = spawn(move || {
            let socket = &socket;
            scope(|s| {
                let waiting = s.spawn(move || (socket.readable(), socket.readable()));
                until(|| parked("IO wait") == 1);
                socket.close();
                waiting.join().unwrap()
            })
        });
        let (first, second) = waiter.join().unwrap();
        assert_eq!(first.unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn waits_for_readiness_of_pipes() {
    check(|| {
        let (reader, writer) = pipe();
        writer.writable().unwrap();
        let (reader, writer) = (&reader, &writer);
        scope(|s| {
            let waiting = s.spawn(move || reader.readable());
            until(|| parked("IO wait") == 1);
            writer.with_ctx(&Context::background()).write_all(b"x").unwrap();
            waiting.join().unwrap().unwrap();
        });
        reader.readable().unwrap();
        reader.readable().unwrap();
        reader.with_ctx(&Context::background()).read_exact(&mut [0]).unwrap();
        reader.set_read_deadline(Some(Instant::now() + SHORT)).unwrap();
        assert_eq!(reader.readable().unwrap_err().kind(), ErrorKind::TimedOut);
        reader.set_deadline(None).unwrap();
        scope(|s| {
            let waiting = s.spawn(move || reader.readable());
            until(|| parked("IO wait") == 1);
            reader.close();
            assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
        });
        assert_eq!(reader.get_ref().as_raw_fd(), reader.as_raw_fd(), "`close` does not change the descriptor");
        assert_eq!(
            Async::new(fs::File::open("/proc/self/exe").unwrap()).unwrap_err().error().kind(),
            ErrorKind::PermissionDenied
        );
    });
}

fn blocks(fd: impl AsFd) -> bool {
    !SockRef::from(&fd).nonblocking().unwrap()
}

/// `O_NONBLOCK` belongs to the open file, so every descriptor that shares the file finds the old
/// mode again, however the `Async` has ended.
#[test]
fn an_async_restores_the_blocking_mode() {
    check(|| {
        let (reader, _writer) = io::pipe().unwrap();
        let shared = reader.try_clone().unwrap();
        for nonblocking in [false, true] {
            SockRef::from(&reader).set_nonblocking(nonblocking).unwrap();
            let ends: [fn(Async<&PipeReader>); 3] = [
                |it| drop(it),
                |it| _ = it.into_inner(),
                |it| {
                    it.close();
                    assert_eq!(it.readable().unwrap_err().kind(), ErrorKind::NotConnected);
                },
            ];
            for end in ends {
                let watched = Async::new(&reader).unwrap();
                assert!(!blocks(&shared));
                end(watched);
                assert_eq!(blocks(&shared), !nonblocking);
            }
        }
        // A regular file is refused and given back.
        let file = fs::File::open("/proc/self/exe").unwrap();
        let (error, mut file) = Async::new(file).unwrap_err().into_parts();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(blocks(&file));
        file.read_exact(&mut [0; 4]).unwrap();
        // Two sockets made of duplicates, one for each direction, do not put each other into
        // blocking mode.
        let (one, _other) = unix::UnixStream::pair().unwrap();
        let duplicate = one.try_clone().unwrap();
        let (one, duplicate) = (UnixStream::from_std(one).unwrap(), UnixStream::from_std(duplicate).unwrap());
        drop(one);
        assert!(!blocks(&duplicate));
        // A socket of ours becomes blocking when it is converted into one of std.
        assert!(blocks(UnixStream::pair().unwrap().0.into_std().unwrap()));
    });
}

// A closed `Async` gives up the descriptor, and its drop does not affect its successor.
#[test]
fn a_closed_async_does_not_affect_its_successor() {
    check(|| {
        let (reader, mut writer) = io::pipe().unwrap();
        let first = Async::new(&reader).unwrap();
        assert_eq!(Async::new(&reader).unwrap_err().error().kind(), ErrorKind::AlreadyExists);
        first.close();
        let again = Async::new(&reader).unwrap();
        drop(first);
        assert!(!blocks(&reader));
        scope(|s| {
            let waiting = s.spawn(move || again.readable());
            until(|| parked("IO wait") == 1);
            writer.write_all(b"x").unwrap();
            waiting.join().unwrap().unwrap();
        });
    });
}
