//! `echo` with well-behaved and misbehaving clients.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

mod common;

use common::random::{Rng, seed};
use common::{Server, assert_closed, check_command_line, exchange, with_descriptors};

fn echo(procs: usize, args: &[&str]) -> Server {
    Server::start(env!("CARGO_BIN_EXE_echo"), procs, args)
}

fn bytes(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.next() as u8).collect()
}

/// Checks that the server answers this client.
#[track_caller]
fn assert_serves(mut stream: &TcpStream) {
    stream.write_all(b"still there?").unwrap();
    let mut back = [0; 12];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"still there?");
}

#[test]
fn command_line_errors_are_reported() {
    check_command_line(
        env!("CARGO_BIN_EXE_echo"),
        "echo",
        &[
            (&["--addr", "nowhere"], "--addr: \"nowhere\": invalid socket address syntax"),
            (&["--idle", "-1"], "--idle: cannot convert float seconds to Duration: value is negative"),
            (&["--idle", "soon"], "--idle: \"soon\": invalid float literal"),
            (&["--loud"], "invalid option '--loud'"),
            (&["word"], "unexpected argument \"word\""),
        ],
    );
}

#[test]
fn address_in_use_is_reported() {
    let server = echo(1, &[]);
    let addr = server.addr.to_string();
    let output = Command::new("timeout")
        .args(["--signal=KILL", "30", env!("CARGO_BIN_EXE_echo"), "--addr", &addr])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.starts_with(&format!("echo: cannot listen on {addr}: ")), "{complaint}");
}

#[test]
fn everything_comes_back_after_a_half_close() {
    let mut rng = Rng::new(seed());
    for procs in [1, 2, 4] {
        let server = echo(procs, &[]);
        thread::scope(|scope| {
            for len in [0, 1, 2048, 2049, 70_000, 1 << 20] {
                let sent = bytes(&mut rng, len);
                let stream = server.connect();
                scope.spawn(move || assert!(exchange(&stream, &sent) == sent, "{len} bytes, {procs} Ps"));
            }
        });
    }
}

#[test]
fn one_byte_at_a_time() {
    let server = echo(2, &[]);
    let mut stream = server.connect();
    for byte in 0..=255 {
        stream.write_all(&[byte]).unwrap();
        let mut back = [0];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, [byte]);
    }
}

#[test]
fn silent_clients_do_not_disturb_others() {
    let server = echo(1, &[]);
    let silent = server.connect();
    let deaf = server.connect();
    deaf.set_nonblocking(true).unwrap();
    // Sends until the server cannot send any more back.
    let junk = vec![1; 1 << 20];
    let mut full = 0;
    while full < 20 {
        match (&deaf).write(&junk) {
            Ok(_) => full = 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                full += 1;
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_serves(&server.connect());
    assert_serves(&silent);
}

#[test]
fn idle_client_is_disconnected_and_busy_one_is_not() {
    let server = echo(2, &["--idle", "1"]);
    let silent = server.connect();
    let once = server.connect();
    assert_serves(&once);
    let busy = server.connect();
    for _ in 0..15 {
        assert_serves(&busy);
        thread::sleep(Duration::from_millis(100));
    }
    assert_closed(&silent);
    assert_closed(&once);
    assert_serves(&server.connect());
}

#[test]
fn resets_do_not_disturb_others() {
    let server = echo(2, &[]);
    let witness = server.connect();
    for round in 0..200 {
        let mut stream = server.connect();
        stream.write_all(&[7; 5000]).unwrap();
        if round % 2 == 0 {
            stream.read_exact(&mut [0]).unwrap();
        }
        // Closing with unread input causes a reset.
        drop(stream);
    }
    assert_serves(&witness);
    assert_serves(&server.connect());
}

#[test]
fn a_thousand_idle_connections() {
    with_descriptors(4096, "with_many_descriptors");
}

#[test]
#[ignore = "started by a_thousand_idle_connections"]
fn with_many_descriptors() {
    let server = echo(2, &[]);
    let all: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    for stream in &all {
        assert_serves(stream);
    }
    for stream in all.iter().rev() {
        assert_serves(stream);
    }
    drop(all);
    assert_serves(&server.connect());
}

#[test]
fn after_a_signal_connections_may_finish() {
    let mut server = echo(2, &["--grace", "3600"]);
    let stream = server.connect();
    assert_serves(&stream);
    server.terminate();
    // New connections are refused, or cut off if they arrived just before.
    while TcpStream::connect(server.addr).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_serves(&stream);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_closed(&stream);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn after_the_grace_connections_are_closed() {
    let mut server = echo(1, &["--grace", "0.1"]);
    let stream = server.connect();
    assert_serves(&stream);
    server.terminate();
    assert_closed(&stream);
    assert_eq!(server.wait().code(), Some(0));
}
