//! `proxy` between clients and servers that this test simulates.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

mod common;

use common::{LIMIT, Server, assert_closed, check_command_line, exchange};

/// A proxy, and the server behind it.
struct Pair {
    proxy: Server,
    behind: TcpListener,
}

impl Pair {
    fn new(procs: usize, args: &[&str]) -> Self {
        let behind = behind();
        let to = behind.local_addr().unwrap().to_string();
        let proxy = Server::start(env!("CARGO_BIN_EXE_proxy"), procs, &[&["--to", to.as_str()], args].concat());
        Self { proxy, behind }
    }

    /// Returns both ends of a connection through the proxy.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = self.proxy.connect();
        (client, self.accept())
    }

    fn accept(&self) -> TcpStream {
        let end = Instant::now() + LIMIT;
        loop {
            match self.behind.accept() {
                Ok((server, _)) => {
                    server.set_nonblocking(false).unwrap();
                    server.set_read_timeout(Some(LIMIT)).unwrap();
                    return server;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("nothing comes from the proxy: {error}"),
            }
        }
    }
}

/// Returns the listener behind a proxy. It does not block.
fn behind() -> TcpListener {
    let behind = TcpListener::bind("127.0.0.1:0").unwrap();
    behind.set_nonblocking(true).unwrap();
    behind
}

#[track_caller]
fn assert_passes(mut from: &TcpStream, mut to: &TcpStream) {
    from.write_all(b"hello").unwrap();
    let mut came = [0; 5];
    to.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"hello");
}

fn pattern(len: usize, step: usize) -> Vec<u8> {
    (0..len).map(|n| (n * step % 251) as u8).collect()
}

#[test]
fn command_line_errors_are_reported() {
    check_command_line(
        env!("CARGO_BIN_EXE_proxy"),
        "proxy",
        &[
            (&[], "no server given"),
            (&["--to", "here"], "--to: \"here\" is not HOST:PORT"),
            (&["--to", "here:99999"], "--to: \"here:99999\" is not HOST:PORT"),
            (&["--to", "h:1", "--limit", "0"], "--limit: \"0\": number would be zero for non-zero type"),
            (&["--to", "h:1", "--listen", "h"], "--listen: \"h\": invalid socket address syntax"),
        ],
    );
}

#[test]
fn megabytes_both_ways_at_once() {
    for procs in [1, 2, 4] {
        let pair = Pair::new(procs, &[]);
        let (up, down) = (pattern(3_000_000, 7), pattern(2_000_000, 3));
        thread::scope(|scope| {
            let (client, server) = pair.connect();
            let answer = scope.spawn({
                let down = &down;
                move || exchange(&server, down)
            });
            assert!(exchange(&client, &up) == down, "{procs} Ps: down");
            assert!(answer.join().unwrap() == up, "{procs} Ps: up");
        });
    }
}

#[test]
fn half_closed_connection_continues_the_other_way() {
    let pair = Pair::new(2, &[]);
    for client_first in [true, false] {
        let (client, server) = pair.connect();
        let (first, second) = if client_first { (&client, &server) } else { (&server, &client) };
        first.shutdown(Shutdown::Write).unwrap();
        assert_closed(second);
        assert_passes(second, first);
        assert_passes(second, first);
        second.shutdown(Shutdown::Write).unwrap();
        assert_closed(first);
    }
}

#[test]
fn a_reset_on_one_side_ends_the_other() {
    let pair = Pair::new(2, &[]);
    for client_first in [true, false] {
        let (client, server) = pair.connect();
        assert_passes(&client, &server);
        let (gone, mut left) = if client_first { (client, server) } else { (server, client) };
        // Unread input turns the close into a reset.
        left.write_all(b"unread").unwrap();
        gone.set_nonblocking(true).unwrap();
        while gone.peek(&mut [0]).is_err() {
            thread::sleep(Duration::from_millis(1));
        }
        drop(gone);
        assert_closed(&left);
    }
    let (client, server) = pair.connect();
    assert_passes(&client, &server);
}

#[test]
fn client_is_disconnected_without_a_server() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let proxy = Server::start(env!("CARGO_BIN_EXE_proxy"), 1, &["--to", &unused]);
    for _ in 0..3 {
        assert_closed(&proxy.connect());
    }
}

#[test]
fn names_are_resolved() {
    let behind = behind();
    let to = format!("localhost:{}", behind.local_addr().unwrap().port());
    let pair = Pair { proxy: Server::start(env!("CARGO_BIN_EXE_proxy"), 1, &["--to", &to]), behind };
    let (client, server) = pair.connect();
    assert_passes(&server, &client);
}

#[test]
fn over_the_limit_a_client_waits_for_a_place() {
    let pair = Pair::new(2, &["--limit", "2", "--connect-timeout", "25"]);
    let (first, second) = (pair.connect(), pair.connect());
    let waiting = pair.proxy.connect();
    assert_passes(&first.0, &first.1);
    assert_passes(&second.0, &second.1);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(pair.behind.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "it has no place yet");
    drop(first);
    assert_passes(&waiting, &pair.accept());
}

#[test]
fn over_the_limit_a_client_does_not_wait_forever() {
    // Enough time for the first client, however busy the machine is.
    let pair = Pair::new(1, &["--limit", "1", "--connect-timeout", "2"]);
    let (client, server) = pair.connect();
    assert_closed(&pair.proxy.connect());
    assert_passes(&client, &server);
}

#[test]
fn after_a_signal_connections_may_finish() {
    let mut pair = Pair::new(2, &["--grace", "3600"]);
    let (client, server) = pair.connect();
    assert_passes(&client, &server);
    pair.proxy.terminate();
    // Gives a broken proxy time to reveal itself.
    thread::sleep(Duration::from_millis(100));
    assert_passes(&client, &server);
    assert_passes(&server, &client);
    drop((client, server));
    assert_eq!(pair.proxy.wait().code(), Some(0));
}

#[test]
fn after_the_grace_connections_are_closed() {
    let mut pair = Pair::new(1, &["--grace", "0.1"]);
    let (client, server) = pair.connect();
    assert_passes(&client, &server);
    pair.proxy.terminate();
    assert_closed(&client);
    assert_closed(&server);
    assert_eq!(pair.proxy.wait().code(), Some(0));
}
