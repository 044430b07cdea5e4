//! `TcpListener::serve`, and connecting to names and to several addresses.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use std::vec;

use crate::common::{check, check_from_thread, parked, text, until};
use greenthread::ctx::{Cancel, Context, Error};
use greenthread::net::{Resolve, Resolver, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, lookup_host};
use greenthread::{Builder, JoinHandle, scope, spawn};

const LONG: Duration = Duration::from_secs(3600);

struct Server {
    addr: SocketAddr,
    cancel: Cancel,
    served: JoinHandle<io::Result<()>>,
}

fn start(grace: Duration, handler: impl Fn(&Context, TcpStream) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (ctx, cancel) = Context::background().with_cancel();
    Server { addr, cancel, served: spawn(move || listener.serve(&ctx, grace, handler)) }
}

fn echo(ctx: &Context, stream: TcpStream) -> io::Result<u64> {
    io::copy(&mut stream.with_ctx(ctx), &mut &stream)
}

fn round_trip(stream: &mut TcpStream, byte: u8) {
    stream.write_all(&[byte]).unwrap();
    let mut back = [0];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, [byte]);
}

#[test]
fn serves_many_at_once() {
    check(|| {
        let server = start(LONG, |ctx, stream| drop(echo(ctx, stream)));
        scope(|s| {
            for n in 0..50 {
                s.spawn(move || {
                    let mut client = TcpStream::connect(server.addr).unwrap();
                    (0..20).for_each(|_| round_trip(&mut client, n));
                });
            }
        });
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    });
}

#[test]
fn lets_connections_finish_and_accepts_no_more() {
    check(|| {
        let server = start(LONG, |ctx, stream| drop(echo(ctx, stream)));
        let mut client = TcpStream::connect(server.addr).unwrap();
        round_trip(&mut client, 1);
        server.cancel.cancel();
        until(|| TcpStream::connect(server.addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
        round_trip(&mut client, 2);
        assert!(!server.served.is_finished());
        drop(client);
        server.served.join().unwrap().unwrap();
    });
}

#[test]
fn cancels_connections_when_the_grace_is_over() {
    check(|| {
        let seen = Arc::new(AtomicUsize::new(0));
        let server = start(Duration::from_millis(5), {
            let seen = Arc::clone(&seen);
            move |ctx, stream| {
                let error = echo(ctx, stream).unwrap_err();
                assert_eq!(error.downcast::<Error>().unwrap(), Error::Canceled);
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut clients: Vec<_> = (0..10).map(|_| TcpStream::connect(server.addr).unwrap()).collect();
        clients.iter_mut().for_each(|client| round_trip(client, 1));
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 10);
        clients.iter_mut().for_each(|client| assert_eq!(client.read(&mut [0]).unwrap(), 0));
    });
}

/// Uses some 64 bytes of stack for each level, and more in debug builds.
fn depth(levels: u64) -> u64 {
    if levels == 0 { 0 } else { 1 + std::hint::black_box(depth(levels - 1)) }
}

#[test]
fn handlers_run_as_the_builder_says() {
    const LEVELS: u64 = 50_000;
    check(|| {
        let builder = Builder::new().name("connection").stack_size(64 << 20);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        let line = line!() + 2;
        let served = spawn(move || {
            listener.serve_with(&builder, &ctx, LONG, move |_, mut stream| {
                let current = greenthread::current().unwrap();
                assert_eq!(current.name(), Some("connection"));
                let me = greenthread::debug::goroutines().into_iter().find(|goroutine| goroutine.id == current.id());
                assert_eq!((me.as_ref().unwrap().spawned_at.file(), me.unwrap().spawned_at.line()), (file!(), line));
                stream.write_all(&depth(LEVELS).to_le_bytes()).unwrap();
            })
        });
        for _ in 0..3 {
            let mut levels = [0; 8];
            TcpStream::connect(addr).unwrap().read_exact(&mut levels).unwrap();
            assert_eq!(u64::from_le_bytes(levels), LEVELS);
        }
        cancel.cancel();
        served.join().unwrap().unwrap();
    });
}

#[test]
fn an_impossible_builder_fails_before_the_first_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = Builder::new().stack_size(1);
    let error = listener.serve_with(&builder, &Context::background(), LONG, |_, _| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(listener.local_addr().is_ok(), "the listener is still open");
}

#[test]
fn a_context_per_connection_ends_with_it() {
    check(|| {
        let (tx, contexts) = greenthread::channel::bounded(1);
        let server = start(LONG, move |ctx, _| tx.send(ctx.clone()).unwrap());
        for _ in 0..3 {
            let _client = TcpStream::connect(server.addr).unwrap();
            let ctx = contexts.recv().unwrap();
            assert!(ctx.done().recv().is_err());
            assert_eq!(ctx.err(), Some(Error::Canceled));
        }
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    });
}

#[test]
fn a_panic_closes_one_connection() {
    check(|| {
        let server = start(LONG, |ctx, mut stream| {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            assert!(byte[0] != 13, "this panic is part of the test");
            stream.write_all(&byte).unwrap();
            drop(echo(ctx, stream));
        });
        let mut lucky = TcpStream::connect(server.addr).unwrap();
        round_trip(&mut lucky, 1);
        let mut client = TcpStream::connect(server.addr).unwrap();
        client.write_all(&[13]).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        round_trip(&mut lucky, 2);
        round_trip(&mut TcpStream::connect(server.addr).unwrap(), 3);
        drop(lucky);
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    });
}

#[test]
fn closing_the_listener_is_an_error_after_the_drain() {
    check(|| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let (ctx, _cancel) = Context::background().with_cancel();
        let server = spawn({
            let listener = Arc::clone(&listener);
            move || listener.serve(&ctx, LONG, |ctx, stream| drop(echo(ctx, stream)))
        });
        let mut client = TcpStream::connect(addr).unwrap();
        round_trip(&mut client, 1);
        listener.close();
        round_trip(&mut client, 2);
        drop(client);
        assert_eq!(server.join().unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn unix_sockets_are_served_too() {
    check(|| {
        let folder = std::env::temp_dir().join(format!("greenthread-net-serve-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        let server = spawn(move || {
            listener.serve(&ctx, LONG, |ctx, stream| drop(io::copy(&mut stream.with_ctx(ctx), &mut &stream)))
        });
        let mut client = UnixStream::connect(&path).unwrap();
        for round in 0..2 {
            client.write_all(&[round]).unwrap();
            let mut back = [9];
            client.read_exact(&mut back).unwrap();
            assert_eq!(back, [round]);
            // The second round falls within the grace period.
            cancel.cancel();
        }
        drop(client);
        server.join().unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    });
}

#[test]
fn an_ended_context_serves_no_connection() {
    check_from_thread(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        listener.serve(&ctx, LONG, |_, _| unreachable!()).unwrap();
    });
}

#[test]
fn connects_by_name_whatever_the_family() {
    check(|| {
        let server = start(LONG, |ctx, stream| drop(echo(ctx, stream)));
        // `localhost` may also be ::1, which has no listener.
        round_trip(&mut TcpStream::connect(("localhost", server.addr.port())).unwrap(), 1);
        let (ctx, _cancel) = Context::background().with_timeout(LONG);
        let name = format!("localhost:{}", server.addr.port());
        round_trip(&mut TcpStream::connect_ctx(&ctx, name).unwrap(), 2);
        assert!(lookup_host("localhost").unwrap().contains(&Ipv4Addr::LOCALHOST.into()) || server.addr.is_ipv6());
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    });
}

#[test]
fn connects_to_the_address_that_accepts() {
    check(|| {
        let server = start(LONG, |ctx, stream| drop(echo(ctx, stream)));
        let refusing: Vec<SocketAddr> = (0..3)
            .map(|_| net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
            .filter(|addr| *addr != server.addr)
            .collect();
        let mut addrs = refusing.clone();
        addrs.push(server.addr);
        round_trip(&mut TcpStream::connect(&addrs[..]).unwrap(), 1);
        assert_eq!(TcpStream::connect(&refusing[..]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(TcpStream::connect(&addrs[..0]).unwrap_err().kind(), ErrorKind::InvalidInput);
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    });
}

/// A name whose lookup lasts until an answer is sent.
#[derive(Clone)]
struct Slow {
    answer: Arc<Mutex<mpsc::Receiver<SocketAddr>>>,
    begun: Arc<AtomicBool>,
}

impl Slow {
    fn new() -> (mpsc::Sender<SocketAddr>, Self) {
        let (tx, answer) = mpsc::channel();
        (tx, Self { answer: Arc::new(Mutex::new(answer)), begun: Arc::default() })
    }
}

impl ToSocketAddrs for Slow {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        self.resolver()().map(Vec::into_iter)
    }
}

impl Resolve for Slow {
    fn resolver(&self) -> Resolver {
        let Self { answer, begun } = self.clone();
        Box::new(move || {
            begun.store(true, Ordering::Relaxed);
            Ok(vec![answer.lock().unwrap().recv().expect("the lookup fails in its own way")])
        })
    }
}

#[test]
fn slow_lookups_do_not_block_other_goroutines() {
    check(|| {
        let server = start(LONG, |ctx, stream| drop(echo(ctx, stream)));
        let (answers, lookups): (Vec<_>, Vec<_>) = (0..8).map(|_| Slow::new()).unzip();
        let clients: Vec<_> = lookups
            .into_iter()
            .map(|lookup| spawn(move || round_trip(&mut TcpStream::connect(lookup).unwrap(), 1)))
            .collect();
        // Lookups occupy more threads than there are Ps; other goroutines still run.
        let ran = Arc::new(AtomicBool::new(false));
        let other = spawn({
            let ran = Arc::clone(&ran);
            move || ran.store(true, Ordering::Relaxed)
        });
        other.join().unwrap();
        assert!(ran.load(Ordering::Relaxed));
        answers.iter().for_each(|answer| answer.send(server.addr).unwrap());
        clients.into_iter().for_each(|client| client.join().unwrap());
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    });
}

#[test]
fn a_context_ends_the_wait_for_a_lookup() {
    type Wait = fn(&Context, Slow) -> io::Result<()>;
    let waits: [Wait; 2] = [
        |ctx, name| TcpStream::connect_ctx(ctx, name).map(drop),
        |ctx, name| UdpSocket::bind("127.0.0.1:0")?.with_ctx(ctx).send_to(b"", name).map(drop),
    ];
    check(move || {
        for wait in waits {
            let (answer, name) = Slow::new();
            let Slow { answer: in_use, begun } = name.clone();
            let (ctx, cancel) = Context::background().with_cancel();
            let waiting = spawn(move || wait(&ctx, name));
            until(|| begun.load(Ordering::Relaxed));
            assert!(!waiting.is_finished());
            cancel.cancel();
            // The lookup has no answer yet.
            let error = waiting.join().unwrap().unwrap_err();
            assert_eq!(error.downcast::<Error>().unwrap(), Error::Canceled);
            answer.send(SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).unwrap();
            until(|| Arc::strong_count(&in_use) == 1);
        }
    });
}

#[test]
fn a_lookup_under_a_context_returns_addresses_and_panics() {
    check(|| {
        let server = start(LONG, |ctx, stream| drop(echo(ctx, stream)));
        let (ctx, _cancel) = Context::background().with_timeout(LONG);
        let (answer, name) = Slow::new();
        answer.send(server.addr).unwrap();
        round_trip(&mut TcpStream::connect_ctx(&ctx, &name).unwrap(), 1);
        drop(answer);
        let panic = spawn(move || TcpStream::connect_ctx(&ctx, name).map(drop)).join().unwrap_err();
        assert!(text(&*panic).contains("fails in its own way"), "{}", text(&*panic));
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    });
}

#[test]
fn a_context_ends_a_race_of_connects() {
    check_from_thread(|| {
        // The queues are full, so connections are neither accepted nor refused.
        let full = || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
            socket.listen(0).unwrap();
            let addr = socket.local_addr().unwrap().as_socket().unwrap();
            let first = net::TcpStream::connect(addr).unwrap();
            (socket, first, addr)
        };
        let (a, b) = (full(), full());
        let (ctx, cancel) = Context::background().with_cancel();
        let addrs = [a.2, b.2];
        let client = thread::spawn(move || TcpStream::connect_ctx(&ctx, &addrs[..]));
        until(|| parked("IO wait") == 2);
        cancel.cancel();
        let error = client.join().unwrap().unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap(), Error::Canceled);
    });
}
