//! Servers with ten thousand idle connections: checks that they use little memory and no CPU time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

mod common;

use common::{Server, with_descriptors};

const CONNECTIONS: usize = 10_000;

/// The memory for a connection, its goroutine, and the program's state for it. With optimizations,
/// half of this is enough; without them, the frames on a goroutine's stack are larger than a page.
const BYTES_EACH: usize = 16 * 1024;

/// The time that a server must do nothing, and the time that it may take to become idle.
const STILL: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(90);

/// A request, and the end of its answer.
type Talk = (&'static [u8], &'static [u8]);

fn talk(mut stream: &TcpStream, (request, end): Talk) {
    stream.write_all(request).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 512]);
    while !answer.ends_with(end) {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
}

fn idle(program: &str, args: &[&str], said: Talk) {
    let server = Server::start(program, 2, args);
    talk(&server.connect(), said);
    let before = server.resident();
    let all: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    all.iter().for_each(|stream| talk(stream, said));
    let end = Instant::now() + LIMIT;
    let mut switches = server.context_switches();
    loop {
        thread::sleep(STILL);
        let now = server.context_switches();
        if now == switches {
            break;
        }
        assert!(Instant::now() < end, "{} context switches in {STILL:?}", now - switches);
        switches = now;
    }
    let each = (server.resident() - before) / CONNECTIONS;
    println!("{program}: {each} bytes for each connection");
    assert!(each <= BYTES_EACH, "{each} bytes for each connection");
    talk(&all[CONNECTIONS / 2], said);
}

const DESCRIPTORS: usize = CONNECTIONS + 1000;

#[test]
fn echo() {
    with_descriptors(DESCRIPTORS, "idle_echo");
}

#[test]
#[ignore = "started by echo"]
fn idle_echo() {
    idle(env!("CARGO_BIN_EXE_echo"), &["--idle", "3600"], (b"anybody there?", b"anybody there?"));
}

#[test]
fn kv() {
    with_descriptors(DESCRIPTORS, "idle_kv");
}

#[test]
#[ignore = "started by kv"]
fn idle_kv() {
    idle(env!("CARGO_BIN_EXE_kv"), &[], (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"));
}

#[test]
fn http() {
    with_descriptors(DESCRIPTORS, "idle_http");
}

#[test]
#[ignore = "started by http"]
fn idle_http() {
    let request = b"GET /plaintext HTTP/1.1\r\nHost: here\r\n\r\n";
    idle(env!("CARGO_BIN_EXE_http"), &["--idle-timeout", "3600"], (request, b"Hello, World!"));
}
