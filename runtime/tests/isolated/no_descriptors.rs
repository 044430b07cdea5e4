//! Sockets, and `TcpListener::serve`, in a process that has no descriptors left.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem;
use std::net;
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, named, program_with_descriptors};
use greenthread::ctx::Context;
use greenthread::net::{Async, TcpListener, UnixDatagram, UnixListener};
use greenthread::spawn;
use socket2::{Domain, Socket, Type};

const TESTS: &[child::Test] = named![keeps_serving_without_descriptors, is_refused_without_descriptors];
const PROGRAMS: &[child::Main] = named![serves_without_descriptors, begins_without_descriptors];

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const LIMIT: u32 = 100;
const CLIENTS: u8 = 20;
/// How many connections the server can accept at a time.
const ROOM: usize = 4;

fn serves_without_descriptors() -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // The clients open their descriptors before the process uses up all the others.
    let clients: Vec<_> = (0..CLIENTS).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
    let mut all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(all.len() < LIMIT as usize);
    all.truncate(all.len() - ROOM);
    let (ctx, cancel) = Context::background().with_cancel();
    let server = spawn(move || {
        listener.serve(&ctx, Duration::ZERO, |_, mut stream| {
            let mut byte = [0];
            while stream.read(&mut byte).unwrap() == 1 {
                stream.write_all(&byte).unwrap();
            }
        })
    });
    let clients: Vec<net::TcpStream> = clients
        .into_iter()
        .map(|socket| {
            socket.connect(&addr.into()).unwrap();
            socket.into()
        })
        .collect();
    // All clients wait to be served. Each leaves once it was served, and makes room for another.
    for (n, mut client) in (0..).zip(clients) {
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        client.write_all(&[n]).unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [n]);
        // The descriptor stays open, as the server could otherwise accept one more connection.
        mem::forget(client.shutdown(net::Shutdown::Both).map(|()| client));
    }
    cancel.cancel();
    server.join().unwrap().unwrap();
    ExitCode::SUCCESS
}

/// Registers a socket, for which the poller needs more descriptors than are left.
///
/// The registration fails and leaves nothing behind.
fn begins_without_descriptors() -> ExitCode {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let place = env::temp_dir().join(format!("greenthread-refused-{}.sock", process::id()));
    let mut all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    all.pop();
    assert_eq!(UnixListener::bind(&place).unwrap_err().raw_os_error(), Some(libc::EMFILE));
    assert_eq!(UnixDatagram::bind(&place).unwrap_err().raw_os_error(), Some(libc::EMFILE), "not: in use");
    assert!(!place.exists());
    let refused = Async::new(&reader).unwrap_err();
    assert_eq!(refused.error().raw_os_error(), Some(libc::EMFILE));
    // The pipe is blocking, so a thread can read it directly.
    let waiting = thread::spawn(move || reader.read(&mut [0; 9]).unwrap());
    thread::sleep(Duration::from_millis(5));
    writer.write_all(b"x").unwrap();
    assert_eq!(waiting.join().unwrap(), 1);
    drop(all);
    drop(UnixListener::bind(&place).unwrap());
    fs::remove_file(place).unwrap();
    ExitCode::SUCCESS
}

fn is_refused_without_descriptors() {
    program_with_descriptors("begins_without_descriptors", LIMIT).run().exits_with(0);
}

fn keeps_serving_without_descriptors() {
    for procs in ["1", "2", "4"] {
        let child = program_with_descriptors("serves_without_descriptors", LIMIT).env("GOMAXPROCS", procs);
        let ended = child.run().exits_with(0);
        let said: Vec<_> = ended.stderr.lines().collect();
        // C libraries have their own words for it.
        let error = io::Error::from_raw_os_error(libc::EMFILE);
        assert_eq!(said, [format!("greenthread: accept: {error}; retrying until it works")]);
    }
}
