//! TCP: every method, against `std`'s sockets and our own; conversions; hostile peers.

use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Rng, check, check_from_thread, parked, seed, until};
use greenthread::ctx::Context;
use greenthread::net::{TcpListener, TcpStream};
use greenthread::{debug, scope, spawn, time};
use socket2::SockRef;

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listen();
    let near = TcpStream::connect(addr).unwrap();
    let (far, from) = listener.accept().unwrap();
    assert_eq!(from, near.local_addr().unwrap());
    (near, far)
}

/// Returns one of our sockets, and a socket of std as its peer.
fn pair_with_std() -> (TcpStream, net::TcpStream) {
    let (listener, addr) = listen();
    let far = net::TcpStream::connect(addr).unwrap();
    (listener.accept().unwrap().0, far)
}

fn round_trip(mut near: &TcpStream, mut far: &TcpStream) {
    near.write_all(b"there").unwrap();
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).unwrap();
    far.write_all(b"and back").unwrap();
    let mut bytes = [0; 8];
    near.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"and back");
}

fn echo() {
    let (listener, addr) = listen();
    let server = spawn(move || {
        for stream in listener.incoming().take(4) {
            let stream = stream.unwrap();
            spawn(move || io::copy(&mut &stream, &mut &stream).unwrap());
        }
    });
    let clients: Vec<_> = (0..4)
        .map(|n| {
            spawn(move || {
                let mut stream = TcpStream::connect(addr).unwrap();
                for round in 0..200 {
                    let text = format!("{n}: {round}\n");
                    stream.write_all(text.as_bytes()).unwrap();
                    let mut back = vec![0; text.len()];
                    stream.read_exact(&mut back).unwrap();
                    assert_eq!(back, text.as_bytes());
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    server.join().unwrap();
}

#[test]
fn echo_from_goroutines() {
    check(echo);
}

#[test]
fn echo_from_a_thread() {
    check_from_thread(echo);
}

#[test]
fn addresses_and_connecting() {
    check(|| {
        let (near, far) = pair();
        assert_eq!(near.local_addr().unwrap(), far.peer_addr().unwrap());
        assert_eq!(far.local_addr().unwrap(), near.peer_addr().unwrap());
        let (listener, addr) = listen();
        drop(listener);
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let (listener, second) = listen();
        let stream = TcpStream::connect(&[addr, second][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), second, "the first address refuses");
        let limit = Duration::from_secs(20);
        round_trip(&TcpStream::connect_timeout(&second, limit).unwrap(), &{
            drop(listener.accept().unwrap());
            listener.accept().unwrap().0
        });
        let error = TcpStream::connect_timeout(&second, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(TcpStream::connect(&[][..]).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(TcpListener::bind(second).unwrap_err().kind(), ErrorKind::AddrInUse);
    });
}

/// Behind the full queue of a `std` listener, a connection gets no answer.
#[test]
fn connecting_to_a_full_queue_times_out() {
    check(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(1).unwrap();
        let addr = socket.local_addr().unwrap().as_socket().unwrap();
        let limit = Duration::from_millis(30);
        let mut there = Vec::new();
        let error = loop {
            match TcpStream::connect_timeout(&addr, limit) {
                Ok(stream) => there.push(stream),
                Err(error) => break error,
            }
            assert!(there.len() < 100, "the queue does not fill");
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let (ctx, _cancel) = Context::background().with_timeout(limit);
        let error = TcpStream::connect_ctx(&ctx, addr).unwrap_err();
        assert_eq!(error.to_string(), "context deadline exceeded");
    });
}

#[test]
fn several_goroutines_accept() {
    check(|| {
        let (listener, addr) = listen();
        let listener = &listener;
        scope(|s| {
            let acceptors: Vec<_> = (0..4).map(|_| s.spawn(move || listener.accept().unwrap())).collect();
            until(|| parked("IO wait") == 1 && parked("sync.Mutex.Lock") == 3);
            let clients: Vec<_> = (0..4).map(|_| TcpStream::connect(addr).unwrap()).collect();
            let mut accepted: Vec<_> = acceptors.into_iter().map(|one| one.join().unwrap().1).collect();
            let mut expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
            accepted.sort();
            expected.sort();
            assert_eq!(accepted, expected);
        });
    });
}

#[test]
fn options() {
    check(|| {
        let (near, _far) = pair();
        assert!(!near.nodelay().unwrap());
        near.set_nodelay(true).unwrap();
        assert!(near.nodelay().unwrap());
        near.set_ttl(40).unwrap();
        assert_eq!(near.ttl().unwrap(), 40);
        let time = Some(Duration::from_secs(7));
        near.set_linger(time).unwrap();
        assert_eq!(near.linger().unwrap(), time);
        // These are zero seconds in 32 bits, which would mean to reset the connection.
        near.set_linger(Some(Duration::from_secs(1 << 32))).unwrap();
        assert!(near.linger().unwrap() > time);
        near.set_linger(None).unwrap();
        assert_eq!(near.linger().unwrap(), None);
        assert_eq!(near.keepalive().unwrap(), None);
        near.set_keepalive(time).unwrap();
        assert_eq!(near.keepalive().unwrap(), time);
        assert!(near.set_keepalive(Some(Duration::ZERO)).is_err());
        assert_eq!(near.keepalive().unwrap(), time, "an error changes nothing");
        near.set_keepalive(None).unwrap();
        assert!(near.set_keepalive(Some(Duration::ZERO)).is_err());
        assert_eq!(near.keepalive().unwrap(), None, "an error changes nothing");
        assert!(near.take_error().unwrap().is_none());
        assert!(format!("{near:?}").starts_with("TcpStream { addr: 127.0.0.1:"), "{near:?}");
        let (listener, _) = listen();
        listener.set_ttl(41).unwrap();
        assert_eq!(listener.ttl().unwrap(), 41);
        assert!(listener.only_v6().is_err(), "the listener has an IPv4 address");
        assert!(listener.take_error().unwrap().is_none());
    });
}

#[test]
fn peek_shutdown_and_end_of_stream() {
    check(|| {
        let (mut near, far) = pair();
        let reader = spawn(move || {
            let mut bytes = [0; 9];
            assert_eq!(far.peek(&mut bytes[..3]).unwrap(), 3);
            assert_eq!(far.peek(&mut bytes).unwrap(), 5);
            assert_eq!((&far).read(&mut []).unwrap(), 0, "the buffer is empty");
            assert_eq!((&far).read(&mut bytes).unwrap(), 5);
            assert_eq!(&bytes[..5], b"hello");
            assert_eq!((&far).read(&mut bytes).unwrap(), 0);
            assert_eq!(far.peek(&mut bytes).unwrap(), 0);
            // The other direction stays open.
            (&far).write_all(b"bye").unwrap();
            far.shutdown(Shutdown::Both).unwrap();
            assert_eq!((&far).write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
        until(|| parked("IO wait") == 1);
        near.write_all(b"hello").unwrap();
        near.flush().unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(near.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut text = String::new();
        near.read_to_string(&mut text).unwrap();
        assert_eq!(text, "bye");
        reader.join().unwrap();
    });
}

/// After a read that returns less than asked for, the next read waits without trying first.
///
/// It must still see an end that came together with the last bytes.
#[test]
fn the_end_may_come_together_with_the_last_bytes() {
    check(|| {
        for pause in [false, true] {
            let (near, mut far) = pair_with_std();
            let reader = spawn(move || {
                let mut bytes = [0; 100];
                let first = (&near).read(&mut bytes).unwrap();
                (first, (&near).read(&mut bytes).unwrap(), (&near).read(&mut bytes).unwrap())
            });
            if pause {
                until(|| parked("IO wait") == 1);
            }
            far.write_all(b"last words").unwrap();
            drop(far);
            assert_eq!(reader.join().unwrap(), (10, 0, 0));
        }
        // Everything has arrived before the first read.
        let (near, mut far) = pair_with_std();
        far.write_all(b"last words").unwrap();
        drop(far);
        thread::sleep(Duration::from_millis(5));
        let mut bytes = [0; 100];
        assert_eq!((&near).read(&mut bytes).unwrap(), 10);
        assert_eq!((&near).read(&mut bytes).unwrap(), 0);
    });
}

// A `peek` takes the event but leaves the bytes.
#[test]
fn a_peek_after_a_short_read_takes_no_bytes() {
    check(|| {
        let (near, mut far) = pair_with_std();
        near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut bytes = [0; 10];
        for _ in 0..5 {
            far.write_all(b"abc").unwrap();
            assert_eq!((&near).read(&mut bytes).unwrap(), 3);
            let near = &near;
            scope(|s| {
                let ahead = s.spawn(move || near.peek(&mut [0; 10]).unwrap());
                until(|| parked("IO wait") == 1);
                far.write_all(b"def").unwrap();
                assert_eq!(ahead.join().unwrap(), 3);
            });
            assert_eq!({ near }.read(&mut bytes).unwrap(), 3);
        }
    });
}

/// Reads and peeks of random sizes run beside writes of random sizes with pauses.
///
/// No read may wait while there is data.
#[test]
fn no_arrival_is_missed() {
    check(move || {
        let seed = seed();
        let mut random = Rng::new(seed);
        let (near, far) = pair();
        let mut sizes = random.fork();
        let writer = spawn(move || {
            let mut sent = 0_u32;
            while sent < 200_000 {
                let bytes: Vec<u8> = (0..1 + sizes.below(3000) as u32).map(|n| (sent + n) as u8).collect();
                (&far).write_all(&bytes).unwrap();
                sent += bytes.len() as u32;
                // Now and then the writer waits for the reader, which must have taken all data
                // before more comes.
                if sizes.one_in(4) {
                    (&far).read_exact(&mut [0]).unwrap();
                }
                if sizes.one_in(3) {
                    greenthread::yield_now();
                }
            }
            // The socket stays open: closing it with unread data would reset the connection.
            far.shutdown(Shutdown::Write).unwrap();
            (sent, far)
        });
        let (mut got, mut bytes) = (0_u32, vec![0; 4000]);
        loop {
            // The reader acknowledges each read with one byte, which is more than the writer waits
            // for.
            let len = 1 + random.below(4000) as usize;
            if random.one_in(5) && near.peek(&mut bytes[..len]).unwrap() == 0 {
                break;
            }
            let n = (&near).read(&mut bytes[..len]).unwrap() as u32;
            assert!((0..n).all(|k| bytes[k as usize] == (got + k) as u8));
            got += n;
            if n == 0 {
                break;
            }
            (&near).write_all(&[1]).unwrap();
        }
        assert_eq!(writer.join().unwrap().0, got);
    });
}

#[test]
fn vectored() {
    check(|| {
        let (mut near, mut far) = pair();
        let parts = [IoSlice::new(b"hel"), IoSlice::new(b""), IoSlice::new(b"lo")];
        assert_eq!(near.write_vectored(&parts).unwrap(), 5);
        let (mut one, mut two) = ([0; 2], [0; 4]);
        let read = far.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).unwrap();
        assert_eq!((read, &one, &two[..3]), (5, b"he", &b"llo"[..]));
        assert_eq!(far.read_vectored(&mut []).unwrap(), 0);
        // These are more parts than the system takes at once.
        let byte = [7];
        let many = vec![IoSlice::new(&byte); 3000];
        let sent = near.write_vectored(&many).unwrap();
        assert!((1..=3000).contains(&sent));
        let mut bytes = vec![0; sent];
        far.read_exact(&mut bytes).unwrap();
    });
}

// The system takes fewer parts than given, so a read may return less than asked for although more
// data is there.
#[test]
fn a_vectored_read_of_many_parts_leaves_the_rest() {
    check(|| {
        let (mut near, mut far) = pair();
        let watched = spawn_idle_reader();
        near.write_all(&[7; 3000]).unwrap();
        // By then the poller has taken the event for all of the bytes.
        time::sleep(Duration::from_millis(5));
        let (mut bytes, mut rest) = (vec![0; 2000], [0; 4000]);
        let mut parts: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
        let first = far.read_vectored(&mut parts).unwrap();
        assert_eq!(first + far.read(&mut rest).unwrap(), 3000);
        // Many empty parts mean neither the end of the stream nor that there is nothing to write.
        let mut empty: Vec<_> = (0..2000).map(|_| IoSliceMut::new(&mut [])).collect();
        assert_eq!(far.read_vectored(&mut empty).unwrap(), 0);
        empty.push(IoSliceMut::new(&mut rest));
        near.write_all(b"abc").unwrap();
        assert_eq!(far.read_vectored(&mut empty).unwrap(), 3);
        let mut empty = vec![IoSlice::new(&[]); 2000];
        empty.push(IoSlice::new(b"de"));
        assert_eq!(near.write_vectored(&empty).unwrap(), 2);
        watched();
    });
}

/// Starts a goroutine that waits for I/O, so that the poller takes events as they come.
///
/// The returned function ends it.
fn spawn_idle_reader() -> impl FnOnce() {
    let (near, mut far) = pair();
    let reader = spawn(move || far.read(&mut [0]).unwrap());
    || {
        drop(near);
        assert_eq!(reader.join().unwrap(), 0);
    }
}

// A read stops at TCP's urgent mark. No further event announces the bytes after the mark.
#[test]
fn urgent_data_does_not_hide_the_bytes_after_it() {
    /// Says whether the urgent byte is taken, and when the other bytes are read.
    #[derive(Clone, Copy, PartialEq)]
    enum Case {
        Left,
        LeftWhileTheReaderWaits,
        TakenAtOnce,
    }

    fn read_slowly(mut far: &TcpStream) -> Vec<u8> {
        let (mut all, mut bytes) = (Vec::new(), [0; 100]);
        while all.len() < 7 {
            let n = far.read(&mut bytes).unwrap();
            all.extend_from_slice(&bytes[..n]);
            // By then the poller has taken the events.
            time::sleep(Duration::from_millis(2));
        }
        all
    }

    check(|| {
        let watched = spawn_idle_reader();
        for case in [Case::Left, Case::LeftWhileTheReaderWaits, Case::TakenAtOnce] {
            let (mut near, far) = pair();
            let far = &far;
            let all = scope(|s| {
                let waiting = (case == Case::LeftWhileTheReaderWaits).then(|| s.spawn(move || read_slowly(far)));
                near.write_all(b"abc").unwrap();
                SockRef::from(&near).send_out_of_band(b"!").unwrap();
                if case == Case::TakenAtOnce {
                    let got = SockRef::from(far).recv_out_of_band(&mut [MaybeUninit::uninit()]);
                    assert_eq!(got.unwrap(), 1);
                }
                near.write_all(b"line").unwrap();
                match waiting {
                    Some(waiting) => waiting.join().unwrap(),
                    None => {
                        time::sleep(Duration::from_millis(2));
                        read_slowly(far)
                    }
                }
            });
            assert_eq!(all, b"abcline");
        }
        watched();
    });
}

#[test]
fn both_ways_at_once() {
    check(|| {
        const BYTES: usize = 8 << 20;
        let (near, far) = pair();
        let send = |mut stream: &TcpStream| {
            let chunk = [7; 50_000];
            for at in (0..BYTES).step_by(chunk.len()) {
                stream.write_all(&chunk[..chunk.len().min(BYTES - at)]).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
        };
        let receive = |mut stream: &TcpStream| {
            let (mut all, mut chunk) = (0, vec![0; 30_000]);
            loop {
                match stream.read(&mut chunk).unwrap() {
                    0 => return assert_eq!(all, BYTES),
                    n => {
                        assert!(chunk[..n].iter().all(|byte| *byte == 7));
                        all += n;
                    }
                }
            }
        };
        let (near, far) = (&near, &far);
        scope(|s| {
            s.spawn(move || send(near));
            s.spawn(move || receive(near));
            s.spawn(move || send(far));
            s.spawn(move || receive(far));
        });
    });
}

#[test]
fn many_read_one_socket() {
    check(|| {
        let (near, mut far) = pair_with_std();
        let near = &near;
        scope(|s| {
            let readers: Vec<_> = (0..8)
                .map(|_| {
                    s.spawn(move || {
                        let mut sum = 0;
                        loop {
                            match { near }.read(&mut [0; 3]).unwrap() {
                                0 => return sum,
                                n => sum += n,
                            }
                        }
                    })
                })
                .collect();
            let writer = thread::spawn(move || far.write_all(&[1; 5000]).unwrap());
            let all: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
            assert_eq!(all, 5000);
            writer.join().unwrap();
        });
    });
}

#[test]
fn conversions() {
    check(|| {
        let (near, mut far) = pair_with_std();
        far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let raw = near.as_raw_fd();
        assert_eq!(near.as_fd().as_raw_fd(), raw);
        let near: net::TcpStream = near.try_into().unwrap();
        assert_eq!(near.as_raw_fd(), raw, "the only handle gives the socket itself");
        near.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let begin = Instant::now();
        assert!((&near).read(&mut [0]).is_err());
        assert!(begin.elapsed() >= Duration::from_millis(2), "the socket of std blocks");
        let near = TcpStream::try_from(near).unwrap();
        let fd = OwnedFd::try_from(near).unwrap();
        let near = TcpStream::try_from(fd).unwrap();
        let clone = near.try_clone().unwrap();
        assert_eq!(clone.as_raw_fd(), near.as_raw_fd());
        let mut duplicate = clone.into_std().unwrap();
        assert_ne!(duplicate.as_raw_fd(), near.as_raw_fd());
        assert_eq!(duplicate.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        (&near).write_all(b"still here\n").unwrap();
        let mut line = String::new();
        BufReader::new(&mut far).read_line(&mut line).unwrap();
        assert_eq!(line, "still here\n");
        let listener = TcpListener::from_std(net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let client = TcpStream::connect(addr).unwrap();
        round_trip(&client, &listener.accept().unwrap().0);
        assert_eq!(listener.into_std().unwrap().local_addr().unwrap(), addr);
    });
}

#[test]
fn set_nonblocking_makes_operations_return_at_once() {
    check(|| {
        let (near, mut far) = pair_with_std();
        near.set_nonblocking(true).unwrap();
        assert_eq!((&near).read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.write_all(b"abc").unwrap();
        let mut read = 0;
        until(|| match (&near).read(&mut [0; 9]) {
            Ok(n) => {
                read += n;
                read == 3
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        });
        far.write_all(b"d").unwrap();
        until(|| (&near).read(&mut [0; 9]).is_ok());
        near.set_nonblocking(false).unwrap();
        let reader = spawn(move || (&near).read(&mut [0; 9]).unwrap());
        until(|| parked("IO wait") == 1);
        far.write_all(b"ef").unwrap();
        assert_eq!(reader.join().unwrap(), 2);
    });
}

#[test]
fn a_peer_resets_in_the_middle() {
    check(|| {
        for reads in [true, false] {
            let (near, mut far) = pair_with_std();
            let worker = spawn(move || {
                let mut bytes = vec![0; 100_000];
                loop {
                    let result = if reads { (&near).read(&mut bytes) } else { (&near).write(&bytes) };
                    match result {
                        Ok(0) => panic!("a reset is not an end"),
                        Ok(_) => {}
                        Err(error) => return error.kind(),
                    }
                }
            });
            far.write_all(&[1; 50_000]).unwrap();
            until(|| parked("IO wait") == 1);
            SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
            drop(far);
            let kind = worker.join().unwrap();
            assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
        }
        assert_eq!(debug::stats().io_waiters, 0);
    });
}

// A destructor sends and receives while its goroutine unwinds.
#[test]
fn sockets_work_while_unwinding() {
    struct GoodBye(TcpStream);

    impl Drop for GoodBye {
        fn drop(&mut self) {
            self.0.write_all(b"bye").unwrap();
            let mut bytes = [0; 2];
            self.0.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"ok");
        }
    }

    check(|| {
        let (near, far) = pair();
        let worker = spawn(move || {
            let _good_bye = GoodBye(near);
            std::panic::panic_any(5_u8);
        });
        let mut bytes = [0; 3];
        (&far).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"bye");
        // By then the destructor waits, and keeps its thread.
        thread::sleep(Duration::from_millis(5));
        (&far).write_all(b"ok").unwrap();
        assert_eq!(worker.join().unwrap_err().downcast_ref(), Some(&5_u8));
    });
}

// A wait for urgent data may run beside a reader.
#[test]
fn a_wait_for_urgent_data_may_run_beside_a_reader() {
    check(|| {
        let (near, far) = pair_with_std();
        let far = socket2::Socket::from(far);
        let near = &near;
        let waits = || near.with_ctx(&Context::background().with_timeout(Duration::from_millis(2)).0).priority();
        assert!(
            SockRef::from(near).recv_out_of_band(&mut [MaybeUninit::uninit()]).is_err(),
            "no urgent byte has come yet"
        );
        near.set_read_deadline(Some(Instant::now() + Duration::from_millis(2))).unwrap();
        assert_eq!(near.priority().unwrap_err().kind(), ErrorKind::TimedOut);
        near.set_read_deadline(None).unwrap();
        for urgent in [b'!', b'?'] {
            let sender = &far;
            scope(|s| {
                let waiter = s.spawn(move || near.priority());
                until(|| parked("IO wait") == 1);
                assert_eq!(sender.send_out_of_band(&[urgent]).unwrap(), 1);
                waiter.join().unwrap().unwrap();
            });
            near.priority().unwrap();
            assert_eq!(SockRef::from(near).recv_out_of_band(&mut [MaybeUninit::uninit()]).unwrap(), 1);
            // An earlier event may still be there.
            while waits().is_ok() {}
        }
        let (ctx, cancel) = Context::background().with_cancel();
        scope(|s| {
            let reader = s.spawn(move || {
                let mut all = Vec::new();
                { near }.read_to_end(&mut all).map(|_| all)
            });
            let ctx = &ctx;
            let canceled = s.spawn(move || near.with_ctx(ctx).priority());
            until(|| parked("IO wait") == 2);
            cancel.cancel();
            assert_eq!(canceled.join().unwrap().unwrap_err().to_string(), "context canceled");
            // A reader that reaches an urgent byte before it is taken skips it, so this checks only
            // the wait.
            for _ in 0..3 {
                while waits().is_ok() {}
                let waiter = s.spawn(move || near.priority());
                until(|| parked("IO wait") == 2);
                assert_eq!(far.send_out_of_band(b"!").unwrap(), 1);
                waiter.join().unwrap().unwrap();
            }
            // The end of the connection also ends the wait, as no urgent data can come anymore.
            while waits().is_ok() {}
            let waiter = s.spawn(move || near.priority());
            until(|| parked("IO wait") == 2);
            far.send(b"calm").unwrap();
            far.shutdown(Shutdown::Write).unwrap();
            waiter.join().unwrap().unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), b"calm");
        });
        let waiter = near.try_clone().unwrap();
        let waiter = spawn(move || waiter.priority());
        until(|| parked("IO wait") == 1);
        near.close();
        assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}
