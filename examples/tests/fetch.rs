//! `fetch` against our own `http`, and against misbehaving servers.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

mod common;

use common::{Server, check_command_line};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fetch");

/// Returns a command that runs the program, and kills it after a minute. With `--foreground`,
/// `timeout` forwards a signal only once, to the program and not also to its process group.
fn command(procs: usize) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--signal=KILL", "60", PROGRAM]).env("GOMAXPROCS", procs.to_string());
    command
}

/// Returns the status, the lines of standard output without the time, and the lines of standard
/// error.
fn fetch(procs: usize, args: &[String]) -> (Option<i32>, Vec<String>, Vec<String>) {
    let output = command(procs).args(args).output().unwrap();
    let lines = |bytes: Vec<u8>| -> Vec<_> { String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect() };
    let stdout = lines(output.stdout).into_iter().map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [status, bytes, seconds, url] = fields[..] else { panic!("{line:?}") };
        seconds.parse::<f64>().unwrap();
        format!("{status} {bytes} {url}")
    });
    (output.status.code(), stdout.collect(), lines(output.stderr))
}

/// Starts a server that sends the same answer to every client, and then closes the connection.
fn says(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer).unwrap();
        }
    });
    addr
}

#[test]
fn lines_come_in_the_order_given() {
    let server = Server::start(env!("CARGO_BIN_EXE_http"), 2, &[]);
    let addr = server.addr;
    let targets = ["slow?ms=400", "plaintext", "json#x", "nowhere", "slow?ms=200"];
    let urls = targets.map(|target| format!("http://{addr}/{target}"));
    let expected = [(200, 17), (200, 13), (200, 27), (404, 13), (200, 17)];
    let expected: Vec<_> =
        urls.iter().zip(expected).map(|(url, (status, len))| format!("{status} {len} {url}")).collect();
    for procs in [1, 2, 4] {
        assert_eq!(fetch(procs, &urls), (Some(0), expected.clone(), vec![]), "{procs} Ps");
    }
    // Enough URLs to make them wait for the semaphore and for name resolution.
    let many: Vec<_> = (0..300).map(|_| format!("http://localhost:{}/plaintext", addr.port())).collect();
    let (status, lines, stderr) = fetch(2, &many);
    assert_eq!((status, lines.len(), stderr.len()), (Some(0), 300, 0), "{stderr:?}");
}

#[test]
fn every_kind_of_body_is_counted() {
    let cases: [(&[u8], &str); 7] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc and more", "200 3"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 13"),
        (b"HTTP/1.0 500 Oh\r\n\r\n", "500 0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: v\r\n\r\n", "200 5"),
        (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 1"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "304 0"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "302 0"),
    ];
    for (answer, expected) in cases {
        let url = format!("http://{}/", says(answer));
        let line = format!("{expected} {url}");
        assert_eq!(fetch(2, &[url]), (Some(0), vec![line], vec![]), "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn failure_is_reported_and_the_rest_is_fetched() {
    let early = "the connection ended before the answer did";
    let cases: [(&[u8], &str); 8] = [
        (b"", early),
        (b"HTTP/1.1 200", early),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", early),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", early),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", "malformed chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", "unknown transfer encoding"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx", "malformed content length"),
        (b"SSH-2.0\r\n", "malformed answer: invalid HTTP version"),
    ];
    let good = format!("http://{}/", says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let bad: Vec<_> = cases.iter().map(|(answer, _)| format!("http://{}/", says(answer))).collect();
    let complaints = bad.iter().zip(cases).map(|(url, (_, why))| format!("fetch: {url}: {why}")).collect();
    let urls = [&bad[..], std::slice::from_ref(&good)].concat();
    assert_eq!(fetch(2, &urls), (Some(1), vec![format!("200 0 {good}")], complaints));

    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, _, stderr) = fetch(1, &[format!("http://{unused}/")]);
    assert_eq!(status, Some(1));
    assert!(stderr[0].contains("refused"), "{stderr:?}");
}

#[test]
fn timeout_ends_endless_answers() {
    // One server accepts and sends nothing; the other one sends a byte now and then, forever.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dripping = TcpListener::bind("127.0.0.1:0").unwrap();
    let addrs = [&silent, &dripping].map(|listener| listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in dripping.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        }
    });
    for procs in [1, 2, 4] {
        let urls = addrs.map(|addr| format!("http://{addr}/"));
        let complaints = urls.iter().map(|url| format!("fetch: {url}: context deadline exceeded")).collect();
        let args = [&["--timeout=0.2".to_owned()], &urls[..]].concat();
        assert_eq!(fetch(procs, &args), (Some(1), vec![], complaints));

        // A signal also ends them, even URLs that wait for the semaphore.
        let mut child = command(procs).args(["-c1"]).args(&urls).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr.matches("context canceled").count(), 2, "{stderr}");
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(1), "{status}: {stderr}");
    }
}

#[test]
fn concurrency_limits_urls_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let top = most.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, running) = (stream.unwrap(), running.clone());
            top.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(30));
                running.fetch_sub(1, Ordering::SeqCst);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            });
        }
    });
    let args = [vec!["--concurrency=3".to_owned()], vec![url; 20]].concat();
    let (status, lines, stderr) = fetch(2, &args);
    assert_eq!((status, lines.len(), stderr.len()), (Some(0), 20, 0), "{stderr:?}");
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn command_line_errors_are_reported() {
    check_command_line(
        PROGRAM,
        "fetch",
        &[
            (&[], "no URL given"),
            (&["https://h/"], "\"https://h/\": not an http:// URL"),
            (&["http://h/", "http://h:x/"], "\"http://h:x/\": the port is not a number up to 65535"),
            (&["-c", "0", "http://h/"], "--concurrency: must be a number from 1, not \"0\""),
            (&["-t", "-1", "http://h/"], "--timeout: must be a number of seconds, not \"-1\""),
            (&["--bogus"], "invalid option '--bogus'"),
        ],
    );
}

#[test]
fn broken_pipe_ends_it_quietly() {
    let server = Server::start(env!("CARGO_BIN_EXE_http"), 2, &[]);
    // The second line has no reader; the third would take an hour.
    let urls = [0, 500, 3_600_000].map(|ms| format!("http://{}/slow?ms={ms}", server.addr));
    for procs in [1, 2, 4] {
        let mut command = command(procs);
        let mut child = command.args(&urls).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.starts_with("200 "), "{first}");
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(141), String::new()));
    }
}
