//! `http` over raw sockets, with well-behaved and misbehaving clients.

use std::env;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

mod common;

use common::random::{Rng, seed};
use common::{Server, assert_closed, cases, check_command_line, exchange};

const PROGRAM: &str = env!("CARGO_BIN_EXE_http");
const PLAINTEXT: &str = "GET /plaintext HTTP/1.1\r\nHost: h\r\n\r\n";

fn http(procs: usize, args: &[&str]) -> Server {
    Server::start(PROGRAM, procs, args)
}

/// An answer: status, header fields without the date, body.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    fields: Vec<String>,
    body: Vec<u8>,
}

impl Answer {
    /// Returns the value of a field.
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|field| field.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Reads one answer, or `None` at the end of the stream. An answer to HEAD has no body.
fn read_answer(reader: &mut impl BufRead, to_head: bool) -> Option<Answer> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").map(str::to_owned)
    };
    let first = line()?;
    let status = first.strip_prefix("HTTP/1.").unwrap()[2..5].parse().unwrap();
    let mut fields: Vec<String> = std::iter::from_fn(|| line().filter(|line| !line.is_empty())).collect();
    if status != 100 {
        let dates = fields.iter().filter(|field| field.starts_with("Date: ") && field.ends_with(" GMT")).count();
        assert_eq!(dates, 1, "{fields:?}");
    }
    fields.retain(|field| !field.starts_with("Date: "));
    let mut answer = Answer { status, fields, body: Vec::new() };
    let len = answer.field("Content-Length").map_or(0, |len| len.parse().unwrap());
    answer.body = vec![0; if to_head { 0 } else { len }];
    reader.read_exact(&mut answer.body).unwrap();
    Some(answer)
}

/// Returns all answers until the end of the stream.
fn read_answers(stream: &TcpStream) -> Vec<Answer> {
    let mut reader = BufReader::new(stream);
    std::iter::from_fn(|| read_answer(&mut reader, false)).collect()
}

/// Sends `bytes`, possibly more than the server accepts, and reads answers until it disconnects.
fn converse(server: &Server, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    read_answers(&stream)
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// Checks that the server still answers other clients.
#[track_caller]
fn assert_serves(server: &Server) {
    let back = exchange(&server.connect(), PLAINTEXT.as_bytes());
    assert!(back.ends_with(b"\r\n\r\nHello, World!"), "{}", String::from_utf8_lossy(&back));
}

#[test]
fn command_line_errors_are_reported() {
    check_command_line(
        PROGRAM,
        "http",
        &[
            (&["--addr", "nowhere"], "--addr: \"nowhere\": invalid socket address syntax"),
            (&["--max-head", "511"], "--max-head: must be at least 512"),
            (&["--max-body", "-1"], "--max-body: \"-1\": invalid digit found in string"),
            (&["--idle-timeout", "soon"], "--idle-timeout: \"soon\": invalid float literal"),
            (&["--loud"], "invalid option '--loud'"),
            (&["8080"], "unexpected argument \"8080\""),
        ],
    );
}

#[test]
fn routes_on_one_connection() {
    let server = http(2, &[]);
    let mut stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |method: &str, target: &str, rest: &str| {
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: h\r\n{rest}").unwrap();
        let answer = read_answer(&mut reader, method == "HEAD").unwrap();
        assert_eq!(answer.field("Connection"), None, "it stays open");
        let kind = answer.field("Content-Type").unwrap().to_owned();
        let allow = answer.field("Allow").map(str::to_owned);
        (answer.status, kind, allow, String::from_utf8(answer.body).unwrap())
    };
    let text = "text/plain".to_owned();
    let not_found = (404, text.clone(), None, "404 Not Found".to_owned());
    assert_eq!(ask("GET", "/plaintext?x", "\r\n"), (200, text.clone(), None, "Hello, World!".into()));
    assert_eq!(ask("HEAD", "/plaintext", "\r\n"), (200, text.clone(), None, String::new()));
    let json = r#"{"message":"Hello, World!"}"#.to_owned();
    assert_eq!(ask("GET", "/json", "\r\n"), (200, "application/json".into(), None, json));
    assert_eq!(ask("GET", "/slow?ms=1", "\r\n"), (200, text.clone(), None, "slept for 1 ms\n".into()));
    assert_eq!(ask("GET", "/slow?ms=x", "\r\n").0, 400);
    assert_eq!(ask("GET", "/slow", "\r\n").0, 400);
    assert_eq!(ask("GET", "/", "Content-Length: 3\r\n\r\nabc"), not_found);
    assert_eq!(ask("OPTIONS", "*", "\r\n"), not_found);
    let binary = "application/octet-stream".to_owned();
    assert_eq!(ask("POST", "/echo", "Content-Length: 3\r\n\r\nabc"), (200, binary.clone(), None, "abc".into()));
    let chunks = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nT: v\r\n\r\n";
    assert_eq!(ask("POST", "http://h/echo", chunks), (200, binary, None, "abc".into()));
    let wrong = "405 Method Not Allowed".to_owned();
    assert_eq!(ask("GET", "/echo", "\r\n"), (405, text.clone(), Some("POST".into()), wrong.clone()));
    assert_eq!(ask("DELETE", "/json", "\r\n"), (405, text, Some("GET, HEAD".into()), wrong));
}

#[test]
fn a_pipeline_is_answered_in_order_and_at_once() {
    for procs in [1, 2, 4] {
        let server = http(procs, &[]);
        let requests: String =
            (0..3000).map(|n| format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n{n:04}")).collect();
        let stream = server.connect();
        let back = exchange(&stream, requests.as_bytes());
        let mut reader = &back[..];
        for n in 0..3000 {
            assert_eq!(read_answer(&mut reader, false).unwrap().body, format!("{n:04}").into_bytes());
        }
        assert!(reader.is_empty());

        // On loopback, one write is one segment, and a read gets all of it. Sixteen separate writes
        // would be noticed sooner or later.
        let batch = PLAINTEXT.repeat(16);
        let (mut stream, mut buffer) = (server.connect(), vec![0; 16 * 1024]);
        for _ in 0..100 {
            stream.write_all(batch.as_bytes()).unwrap();
            let len = stream.read(&mut buffer).unwrap();
            assert_eq!(String::from_utf8_lossy(&buffer[..len]).matches("Hello, World!").count(), 16);
        }
    }
}

#[test]
fn the_connection_is_closed_when_it_should_be() {
    let server = http(2, &[]);
    let cases = [
        ("HTTP/1.1\r\nHost: h\r\nConnection: close", "HTTP/1.1 200", Some("close")),
        ("HTTP/1.0", "HTTP/1.0 200", None),
    ];
    for (rest, first, connection) in cases {
        let mut stream = server.connect();
        write!(stream, "GET /json {rest}\r\n\r\n{PLAINTEXT}").unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back.starts_with(first.as_bytes()), "{}", String::from_utf8_lossy(&back));
        let mut reader = &back[..];
        assert_eq!(read_answer(&mut reader, false).unwrap().field("Connection"), connection);
        assert!(reader.is_empty(), "what came after the last request is not answered");
    }
    let old = "GET /json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(2);
    let back = exchange(&server.connect(), old.as_bytes());
    let mut reader = &back[..];
    for _ in 0..2 {
        assert_eq!(read_answer(&mut reader, false).unwrap().field("Connection"), Some("keep-alive"));
    }
}

#[test]
fn expected_continue_is_sent_for_an_accepted_body() {
    let server = http(1, &["--max-body", "10"]);
    let mut stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..2 {
        write!(stream, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut reader, false).unwrap().status, 100);
        write!(stream, "abc").unwrap();
        assert_eq!(read_answer(&mut reader, false).unwrap().body, b"abc");
    }
    let head = |target, len| {
        format!("POST {target} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {len}\r\n\r\n")
    };
    assert_eq!(statuses(&converse(&server, head("/echo", 11).as_bytes())), [413]);
    assert_eq!(statuses(&converse(&server, head("/nowhere", 3).as_bytes())), [404]);
    assert_eq!(statuses(&converse(&server, head("/json", 3).as_bytes())), [405]);
}

#[test]
fn bad_request_is_refused_after_the_good_ones_are_answered() {
    for procs in [1, 2, 4] {
        let server = http(procs, &["--max-head", "1024", "--max-body", "1000"]);
        let post = "POST /echo HTTP/1.1\r\nHost: h\r\n";
        let cases = [
            (400, "nonsense\r\n\r\n".to_owned()),
            (400, "\x16\x03\x01\x02\0".to_owned()),
            (400, "GET /json HTTP/1.1\r\n\r\n".to_owned()),
            (400, format!("{post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc")),
            (400, format!("{post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc")),
            (400, format!("{post}Transfer-Encoding: chunked\r\n\r\n\r\n\r\n")),
            (413, format!("{post}Content-Length: 1001\r\n\r\n{}", "x".repeat(500_000))),
            (413, format!("{post}Transfer-Encoding: chunked\r\n\r\n80000\r\n{}", "x".repeat(0x80000))),
            (417, format!("{post}Expect: a miracle\r\n\r\n")),
            (431, format!("GET /json HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(300_000))),
            (431, format!("GET /json HTTP/1.1\r\nHost: h\r\n{}\r\n", "a:\r\n".repeat(65))),
            (501, format!("{post}Transfer-Encoding: gzip\r\n\r\n")),
            (505, "GET /json HTTP/2.0\r\nHost: h\r\n\r\n".to_owned()),
        ];
        for (status, bad) in cases {
            let answers = converse(&server, format!("{PLAINTEXT}{PLAINTEXT}{bad}").as_bytes());
            assert_eq!(statuses(&answers), [200, 200, status], "{:.80}", bad);
            assert_eq!(answers[2].field("Connection"), Some("close"), "{:.80}", bad);
        }
        // The client disconnects in the middle.
        for half in ["GET /", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab"] {
            let back = exchange(&server.connect(), format!("{PLAINTEXT}{half}").as_bytes());
            let mut reader = &back[..];
            let answers: Vec<_> = std::iter::from_fn(|| read_answer(&mut reader, false)).collect();
            assert_eq!(statuses(&answers), [200, 400], "{half:?}");
        }
        assert_serves(&server);
    }
}

#[test]
fn slow_clients_time_out() {
    let server = http(1, &["--head-timeout", "0.3", "--body-timeout", "0.3", "--idle-timeout", "0.3"]);
    let silent = server.connect();
    assert_eq!(statuses(&converse(&server, b"GET /plai")), [408]);
    let body = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\nabc";
    assert_eq!(statuses(&converse(&server, body.as_bytes())), [408]);
    assert_closed(&silent);

    // A byte now and then does not help the client.
    let mut dripping = server.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for byte in PLAINTEXT.as_bytes().chunks(1) {
                thread::sleep(Duration::from_millis(50));
                if (&dripping).write_all(byte).is_err() {
                    break;
                }
            }
        });
        assert_eq!(statuses(&read_answers(&dripping)), [408]);
    });
    // A slow client is served if it finishes in time.
    let server = http(1, &["--head-timeout", "30", "--idle-timeout", "0.5"]);
    dripping = server.connect();
    for byte in PLAINTEXT.as_bytes().chunks(1) {
        thread::sleep(Duration::from_millis(20));
        dripping.write_all(byte).unwrap();
    }
    assert_eq!(statuses(&read_answers(&dripping)), [200]);
}

#[test]
fn client_that_does_not_read_is_disconnected() {
    let server = http(1, &["--write-timeout", "0.5"]);
    let mut stream = server.connect();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    // Megabytes fit into the system's buffers. After that, nothing moves until the connection is
    // reset.
    let error = (0..10_000).find_map(|_| stream.write_all(request.as_bytes()).err()).unwrap();
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert_serves(&server);
}

#[test]
fn request_ends_when_its_client_disconnects() {
    for procs in [1, 2, 4] {
        let mut command = Command::new("timeout");
        command
            .args(["--foreground", "--signal=KILL", "60", PROGRAM, "--addr", "127.0.0.1:0"])
            .env("GOMAXPROCS", procs.to_string());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let addr = first.trim_end().strip_prefix("listening on ").unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut expect = |ms: u32| {
            let expected = format!("http: /slow?ms={ms} is canceled: the client disconnected");
            assert_eq!(stderr.next().unwrap().unwrap(), expected);
        };

        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "GET /slow?ms=3600000 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        drop(stream);
        expect(3_600_000);
        // A client that has only shut down its sending side still gets an answer.
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "{PLAINTEXT}GET /slow?ms=3500000 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(statuses(&read_answers(&stream)), [200, 503]);
        expect(3_500_000);
        // Input that arrives during the request is not lost.
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "GET /slow?ms=300 HTTP/1.1\r\nHost: h\r\n\r\nGET /js").unwrap();
        thread::sleep(Duration::from_millis(50));
        write!(stream, "on HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(statuses(&read_answers(&stream)), [200, 200]);
        // `timeout` forwards the signal; with `--foreground`, only once.
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_signal_lets_requests_finish_and_connections_end() {
    for procs in [1, 2, 4] {
        let mut server = http(procs, &["--grace", "25"]);
        let idle = server.connect();
        let mut used = server.connect();
        used.write_all(PLAINTEXT.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut BufReader::new(&used), false).unwrap().status, 200);
        let mut running = server.connect();
        write!(running, "GET /slow?ms=500 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut sending = server.connect();
        write!(sending, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc").unwrap();
        thread::sleep(Duration::from_millis(200));
        server.terminate();
        assert_closed(&idle);
        assert_closed(&used);
        write!(sending, "def").unwrap();
        for (stream, body) in [(sending, "abcdef"), (running, "slept for 500 ms\n")] {
            let answers = read_answers(&stream);
            assert_eq!(statuses(&answers), [200]);
            assert_eq!(answers[0].field("Connection"), Some("close"));
            assert_eq!(answers[0].body, body.as_bytes());
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn requests_are_canceled_after_the_grace() {
    for procs in [1, 2, 4] {
        let mut server = http(procs, &["--grace", "0.3"]);
        let mut running = server.connect();
        write!(running, "GET /slow?ms=3600000 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut sending = server.connect();
        write!(sending, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc").unwrap();
        thread::sleep(Duration::from_millis(200));
        server.terminate();
        assert_eq!(statuses(&read_answers(&running)), [503]);
        assert_eq!(statuses(&read_answers(&sending)), [503]);
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_storm_of_bad_clients_does_not_disturb_the_good_ones() {
    let seed = seed();
    for procs in [1, 2, 4] {
        let server = http(procs, &[]);
        let end = Instant::now() + Duration::from_secs(1);
        let idle: Vec<_> = (0..300).map(|_| server.connect()).collect();
        thread::scope(|scope| {
            for client in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    let mut rng = Rng::new(seed ^ client);
                    while Instant::now() < end {
                        let mut stream = server.connect();
                        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                        let requests = match rng.index(50) {
                            1..25 => PLAINTEXT.repeat(100),
                            // Rare, because the server reports each request that was canceled.
                            0 => "GET /slow?ms=50 HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2),
                            _ => format!(
                                "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n{}",
                                "x".repeat(99_999)
                            ),
                        };
                        let cut = rng.index(requests.len() + 1);
                        // The client closes with unread input, at any moment, which the server sees
                        // as a reset.
                        let _ = stream.write_all(&requests.as_bytes()[..cut]);
                        let _ = stream.read(&mut [0; 10][..rng.index(10)]);
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    while Instant::now() < end {
                        assert_serves(&server);
                    }
                });
            }
        });
        for stream in idle {
            assert!(exchange(&stream, PLAINTEXT.as_bytes()).ends_with(b"Hello, World!"));
        }
    }
}

#[test]
fn server_without_descriptors_waits_and_continues() {
    const CROWD: usize = 40;
    let ask = |mut stream: &TcpStream| {
        stream.write_all(PLAINTEXT.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut BufReader::new(stream), false).unwrap().status, 200);
    };
    for procs in [1, 2, 4] {
        let mut server = Server::start_with_descriptors(32, PROGRAM, procs);
        let mut complaints = server.complaints();
        let mut crowd: Vec<_> = (0..CROWD).map(|_| server.connect()).collect();
        let mut line = String::new();
        complaints.read_line(&mut line).unwrap();
        assert_eq!(line, "greenthread: accept: Too many open files (os error 24); retrying until it works\n");
        // Open connections continue. New connections wait for a descriptor, and so does the server,
        // which would otherwise be busy all the time.
        ask(&crowd[0]);
        let mut last = crowd.pop().unwrap();
        last.write_all(PLAINTEXT.as_bytes()).unwrap();
        last.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let ticks = server.ticks();
        assert_eq!(last.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let ticks = server.ticks() - ticks;
        assert!(ticks < 30, "it computed for {ticks} of 100 ticks");
        ask(&crowd[0]);
        last.set_read_timeout(crowd[0].read_timeout().unwrap()).unwrap();
        crowd.truncate(1);
        assert_eq!(read_answer(&mut BufReader::new(&last), false).unwrap().status, 200);
        ask(&crowd[0]);
        assert_serves(&server);
        server.terminate();
        assert_eq!(server.wait().code(), Some(0));
        let mut rest = String::new();
        complaints.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "it complains once");
    }
}

#[test]
fn random_bytes_in_random_pieces_end_in_an_answer_or_a_close() {
    let server = http(2, &["--max-head", "512", "--max-body", "100"]);
    let good = prop_oneof![
        Just(PLAINTEXT.to_owned()),
        Just("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned()),
        Just("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello".to_owned()),
        "[ -~\r\n]{0,50}",
    ];
    let input = proptest::collection::vec(good, 0..6).prop_map(|parts| parts.concat().into_bytes());
    let input = prop_oneof![input, proptest::collection::vec(any::<u8>(), 0..700)];
    let config = cases(60);
    let result = TestRunner::new(config).run(&(input, 1..40_usize), |(input, size)| {
        let ask = |size: usize| {
            let mut stream = server.connect();
            for piece in input.chunks(size) {
                // Fails if the server has refused an earlier part.
                if stream.write_all(piece).is_err() {
                    break;
                }
            }
            let _ = stream.shutdown(Shutdown::Write);
            read_answers(&stream)
        };
        prop_assert_eq!(ask(size), ask(usize::MAX));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert_serves(&server);
}
