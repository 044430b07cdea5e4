//! `http` and `kv` against a collection of misleading requests. Each request must get the same
//! answer whether it is sent whole or in pieces, and the server must survive damaged requests.
//!
//! After each of these requests, one good request follows. Its answer, or the lack of one, shows
//! where the server believes that the first request ended.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

mod common;

use common::{Server, cases, exchange};

/// The final, good requests to `http` and to `kv`.
const GET: &str = "GET /json HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const PING: &str = "*1\r\n$4\r\nPING\r\n";

/// The bytes sent before [`GET`], and the statuses of the answers.
///
/// `{post}` and `{chunked}` are the beginnings of requests to `/echo`.
const HTTP: &[(&str, &[u16])] = &[
    // Two lengths: a reader that believes the other length sees a different request.
    ("{post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /plaintext HTTP/1.1\r\n", &[400]),
    ("{post}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", &[400]),
    ("{post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", &[400]),
    ("{post}Content-Length: 3\r\ncontent-length: 4\r\n\r\nabc", &[400]),
    ("{post}Content-Length: 3, 3\r\n\r\nabc", &[400]),
    ("{chunked}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    // An invalid length.
    ("{post}Content-Length: +3\r\n\r\nabc", &[400]),
    ("{post}Content-Length: -3\r\n\r\nabc", &[400]),
    ("{post}Content-Length: 0x3\r\n\r\nabc", &[400]),
    ("{post}Content-Length: 3 3\r\n\r\nabc", &[400]),
    ("{post}Content-Length: 3;\r\n\r\nabc", &[400]),
    ("{post}Content-Length:\r\n\r\nabc", &[400]),
    ("{post}Content-Length: 18446744073709551619\r\n\r\nabc", &[413]),
    ("{post}Content-Length: 1001\r\n\r\nabc", &[413]),
    // White space around a value is not part of the value.
    ("{post}Content-Length: \t 3 \t\r\n\r\nabc", &[200, 200]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", &[200, 200]),
    ("{post}\r\n", &[200, 200]),
    // Codings.
    ("{post}Transfer-Encoding: gzip\r\n\r\n", &[501]),
    ("{post}Transfer-Encoding: identity\r\n\r\n", &[501]),
    ("{post}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[501]),
    ("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501]),
    ("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[501]),
    ("{post}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", &[501]),
    ("{post}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", &[400]),
    ("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("{post}Transfer-Encoding: ChunKed\r\n\r\n3\r\nabc\r\n0\r\n\r\n", &[200, 200]),
    // Chunks.
    ("{chunked}\r\n+3\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n-1\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n0x3\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n 3\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n3 3\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n\r\n\r\n", &[400]),
    ("{chunked}\r\n;x\r\n\r\n", &[400]),
    ("{chunked}\r\n3\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n3;x\ny\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n3\r\nabc\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n3\r\nabcd\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n3\r\nab\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n10000000000000003\r\nabc\r\n0\r\n\r\n", &[400]),
    // The rest is missing, because the bytes that follow are part of the chunk.
    ("{chunked}\r\nFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n3;{300}\r\nabc\r\n0\r\n\r\n", &[400]),
    ("{chunked}\r\n3;x=\"a b\"\r\nabc\r\n0;y\r\n\r\n", &[200, 200]),
    ("{chunked}\r\n003\r\nabc\r\n000\r\n\r\n", &[200, 200]),
    ("{chunked}\r\n0\r\nContent-Length: 5\r\n\r\n", &[200, 200]),
    ("{chunked}\r\n0\r\nno colon\r\n\r\n", &[400]),
    // Bare line feeds after the last chunk.
    ("{chunked}\r\n3\r\nabc\r\n0\n\r\n", &[400]),
    ("{chunked}\r\n3\r\nabc\r\n0\r\n\n", &[400]),
    ("{chunked}\r\n0\r\nX: y\n\r\n", &[400]),
    ("{chunked}\r\n0\r\nX: y\r\n\n", &[400]),
    ("{chunked}\r\n0\r\nX: y\n\n", &[400]),
    ("{chunked}\r\n0\r\nX: y\r\nY: z\r\n\r\n", &[200, 200]),
    ("{chunked}\r\n0\r\nX: {1100}\r\n\r\n", &[431]),
    // Fields.
    ("GET /json HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\n: no name\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\n Host: h\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX: folded\r\n over two lines\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX\0: y\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX: y\rContent-Length: 3\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX(: y\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX: \u{fc}\r\n\r\n", &[200, 200]),
    ("GET /json HTTP/1.1\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1\r\nHost: h\r\nX: {1100}\r\n\r\n", &[431]),
    ("GET /json HTTP/1.1\r\nHost: h\r\n{fields 63}\r\n", &[200, 200]),
    ("GET /json HTTP/1.1\r\nHost: h\r\n{fields 64}\r\n", &[431]),
    ("GET /json HTTP/1.1\r\nHost: h\r\n{fields 17}no colon\r\n\r\n", &[400]),
    // Bare line feeds also end lines, except the lines of chunks (RFC 9112, 2.2).
    ("GET /json HTTP/1.1\nHost: h\n\n", &[200, 200]),
    ("{post}Content-Length: 3\n\nabc", &[200, 200]),
    // Request lines.
    ("GET /json\r\n\r\n", &[400]),
    ("GET /json\r\n", &[400]),
    ("GET  /json HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    (" GET /json HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("\r\n\r\nGET /json HTTP/1.1\r\nHost: h\r\n\r\n", &[200, 200]),
    ("G(T /json HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("get /json HTTP/1.1\r\nHost: h\r\n\r\n", &[405, 200]),
    ("GET /js\0on HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("GET /json HTTP/1.1 x\r\nHost: h\r\n\r\n", &[400]),
    ("GET /json HTTP/1.2\r\nHost: h\r\n\r\n", &[505]),
    ("GET /json HTTP/11\r\nHost: h\r\n\r\n", &[505]),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505]),
    ("GET /{1100} HTTP/1.1\r\nHost: h\r\n\r\n", &[431]),
    // Targets.
    ("GET http://elsewhere/json HTTP/1.1\r\nHost: h\r\n\r\n", &[200, 200]),
    ("GET http://elsewhere HTTP/1.1\r\nHost: h\r\n\r\n", &[404, 200]),
    ("GET https://h/json HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("GET json HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("GET /../json HTTP/1.1\r\nHost: h\r\n\r\n", &[404, 200]),
    ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &[404, 200]),
    // Expectations. The interim answer is not counted, because the body may arrive before that
    // answer is sent.
    ("{post}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", &[200, 200]),
    ("{chunked}Expect: 100-Continue\r\n\r\n3\r\nabc\r\n0\r\n\r\n", &[200, 200]),
    ("{post}Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", &[413]),
    ("{post}Expect: 101-continue\r\nContent-Length: 3\r\n\r\nabc", &[417]),
    (
        "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
        &[200, 200],
    ),
    // Other protocols, and empty input.
    ("\x16\x03\x01\x02\0\x01", &[400]),
    ("SSH-2.0-x\r\n", &[400]),
    ("*1\r\n$4\r\nPING\r\n", &[400]),
    ("", &[200]),
    ("\r\n\r\n\r\n", &[200]),
];

/// The bytes sent before [`PING`], and the complete reply.
const KV: &[(&str, &str)] = &[
    // Numbers of arguments.
    ("*0\r\n", "+PONG\r\n"),
    ("*-1\r\n", "+PONG\r\n"),
    ("*-9223372036854775808\r\n", "+PONG\r\n"),
    ("*-9223372036854775809\r\n", "{error}invalid multibulk length\r\n"),
    ("*\r\n", "{error}invalid multibulk length\r\n"),
    ("*+1\r\n", "{error}invalid multibulk length\r\n"),
    ("*01\r\n", "{error}invalid multibulk length\r\n"),
    ("* 1\r\n", "{error}invalid multibulk length\r\n"),
    ("*1 \r\n", "{error}invalid multibulk length\r\n"),
    ("*0x1\r\n", "{error}invalid multibulk length\r\n"),
    ("*1\n$4\nPING\n", "{error}invalid multibulk length\r\n"),
    ("*1\r\r\n", "{error}invalid multibulk length\r\n"),
    ("*1048577\r\n", "{error}invalid multibulk length\r\n"),
    ("*2147483648\r\n", "{error}invalid multibulk length\r\n"),
    ("*18446744073709551617\r\n", "{error}invalid multibulk length\r\n"),
    // A million arguments are allowed; the bytes that follow are the first one.
    ("*1048576\r\n", "{error}expected '$', got '*'\r\n"),
    ("*1048576\r\n$4\r\nPING\r\n", "{error}expected '$', got '*'\r\n"),
    // Lengths of arguments.
    ("*1\r\n$-1\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$-0\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$+4\r\nPING\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$04\r\nPING\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$ 4\r\nPING\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$\r\nPING\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$4\nPING\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$1001\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$9223372036854775807\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$18446744073709551615\r\n", "{error}invalid bulk length\r\n"),
    ("*1\r\n$4\r\nPINGPONG\r\n", "{error}no CRLF after bulk\r\n"),
    ("*1\r\n$4\r\nPING\n\n", "{error}no CRLF after bulk\r\n"),
    ("*1\r\n$3\r\nPING\r\n", "{error}no CRLF after bulk\r\n"),
    ("*1\r\n$0\r\n\r\n", "-ERR unknown command '', with args beginning with: \r\n+PONG\r\n"),
    ("*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", "$2\r\n\r\n\r\n+PONG\r\n"),
    ("*2\r\n$4\r\nECHO\r\n$4\r\na\0\u{e4}\r\n", "$4\r\na\0\u{e4}\r\n+PONG\r\n"),
    // Nested arrays, and other elements that only replies have.
    ("*1\r\n*1\r\n$4\r\nPING\r\n", "{error}expected '$', got '*'\r\n"),
    ("*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\nx\r\n", "{error}expected '$', got '*'\r\n"),
    ("*1\r\n:4\r\n", "{error}expected '$', got ':'\r\n"),
    ("*1\r\n+PING\r\n", "{error}expected '$', got '+'\r\n"),
    ("*1\r\n\r\n", "{error}expected '$', got '\\r'\r\n"),
    ("*1\r\n\0", "{error}expected '$', got '\\x00'\r\n"),
    // Inline requests.
    ("\r\n\n  \r\n", "+PONG\r\n"),
    ("PING\nping\r\n  PiNg  \r\n", "+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n"),
    ("$4\r\n", "-ERR unknown command '$4', with args beginning with: \r\n+PONG\r\n"),
    ("PING\0\r\n", "-ERR unknown command 'PING\0', with args beginning with: \r\n+PONG\r\n"),
    ("ECHO \"a\\x00\\r\\n\"\r\n", "$4\r\na\0\r\n\r\n+PONG\r\n"),
    ("ECHO \"open\r\n", "{error}unbalanced quotes in request\r\n"),
    ("ECHO 'a'b\r\n", "{error}unbalanced quotes in request\r\n"),
    ("{70000}", "{error}too big inline request\r\n"),
    ("*{70000}", "{error}too big mbulk count string\r\n"),
    ("*1\r\n${70000}", "{error}too big bulk count string\r\n"),
    ("ECHO \"\r\nSET x y\"\r\n", "{error}unbalanced quotes in request\r\n"),
    // HTTP requests with commands in their bodies: a web page can make a browser send them.
    ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nPING\r\n", ""),
    ("post /\r\n", ""),
    ("*2\r\n$4\r\nPOST\r\n$1\r\n/\r\n", ""),
    ("PING\r\nhost: h\r\n", "+PONG\r\n"),
    ("GET / HTTP/1.1\r\nHost: h\r\n\r\nPING\r\n", "-ERR wrong number of arguments for 'get' command\r\n"),
    ("POSTER\r\n", "-ERR unknown command 'POSTER', with args beginning with: \r\n+PONG\r\n"),
    // Numbers at their limits.
    ("DECRBY least -9223372036854775808\r\n", "-ERR decrement would overflow\r\n+PONG\r\n"),
    ("DECRBY least -9223372036854775809\r\n", "-ERR value is not an integer or out of range\r\n+PONG\r\n"),
    (
        "INCRBY least -9223372036854775808\r\nDECR least\r\nDEL least\r\n",
        ":-9223372036854775808\r\n-ERR increment or decrement would overflow\r\n:1\r\n+PONG\r\n",
    ),
];

/// Expands the abbreviations in a request.
fn expand(text: &str) -> Vec<u8> {
    const POST: &str = "POST /echo HTTP/1.1\r\nHost: h\r\n";
    let mut text = text.replace("{post}", POST).replace("{chunked}", &format!("{POST}Transfer-Encoding: chunked\r\n"));
    text = text.replace("{error}", "-ERR Protocol error: ");
    for count in [300, 1100, 70_000] {
        text = text.replace(&format!("{{{count}}}"), &"x".repeat(count));
    }
    for count in [17, 63, 64] {
        text = text.replace(&format!("{{fields {count}}}"), &"a: b\r\n".repeat(count));
    }
    text.into_bytes()
}

fn http() -> Server {
    Server::start(env!("CARGO_BIN_EXE_http"), 2, &["--max-head", "1024", "--max-body", "1000"])
}

fn kv() -> Server {
    Server::start(env!("CARGO_BIN_EXE_kv"), 2, &["--max-bulk", "1000"])
}

/// Sends bytes in pieces, and returns the answers without dates and interim answers.
fn answers(server: &Server, bytes: &[u8], size: usize) -> String {
    let mut stream = server.connect();
    for piece in bytes.chunks(size) {
        // Fails if the server has refused an earlier part.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let back = String::from_utf8_lossy(&until_close(&stream)).replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    back.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect()
}

/// Returns all bytes until the end or a reset.
fn until_close(mut stream: &TcpStream) -> Vec<u8> {
    let (mut back, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        back.extend_from_slice(&buffer[..len]);
    }
    back
}

fn statuses(answers: &str) -> Vec<u16> {
    let heads = answers.split("HTTP/1.").skip(1);
    heads.map(|head| head[2..5].parse().unwrap()).collect()
}

#[test]
fn http_answers_each_request() {
    let server = http();
    for (request, expected) in HTTP {
        let bytes = [&expand(request)[..], GET.as_bytes()].concat();
        for size in [usize::MAX, 7, 1] {
            let back = answers(&server, &bytes, size);
            assert_eq!(statuses(&back), *expected, "{request:?} in pieces of {size}: {back:?}");
        }
    }
}

#[test]
fn kv_answers_each_request() {
    let server = kv();
    for (request, expected) in KV {
        let bytes = [&expand(request)[..], PING.as_bytes()].concat();
        let expected = String::from_utf8(expand(expected)).unwrap();
        for size in [usize::MAX, 7, 1] {
            assert_eq!(answers(&server, &bytes, size), expected, "{request:?} in pieces of {size}");
        }
    }
}

/// Sends some of the requests one after another, with some bytes changed, inserted, or removed.
/// Checks that the answers are the same whether the bytes arrive in pieces or whole, and that other
/// clients still get answers. `reset` undoes the effects of the previous round.
fn damage(server: &Server, reset: &[u8], requests: Vec<&'static str>, good: &'static str, ends: &[u8]) {
    let change = (any::<Index>(), prop_oneof![any::<u8>(), select(&b"\r\n\0 :;*$-0"[..])], 0..3_usize);
    let input = proptest::collection::vec(select(requests), 1..4);
    let input = (input, proptest::collection::vec(change, 0..4), 1..40_usize);
    let result = TestRunner::new(cases(100)).run(&input, |(requests, changes, size)| {
        let mut bytes: Vec<u8> = requests.iter().flat_map(|request| expand(request)).chain(good.bytes()).collect();
        for (place, byte, how) in changes {
            let at = place.index(bytes.len());
            drop(bytes.splice(at..(at + how.min(1)), (how < 2).then_some(byte)));
        }
        let bytes = [reset, &bytes].concat();
        prop_assert_eq!(answers(server, &bytes, size), answers(server, &bytes, usize::MAX));
        let back = exchange(&server.connect(), good.as_bytes());
        prop_assert!(back.ends_with(ends), "{}", String::from_utf8_lossy(&back));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Returns only the short requests, because long requests are slow in small pieces.
fn short(requests: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    requests.filter(|request| !request.contains("{70000}")).collect()
}

#[test]
fn http_survives_damaged_requests() {
    damage(&http(), b"", short(HTTP.iter().map(|(request, _)| *request)), GET, br#"{"message":"Hello, World!"}"#);
}

#[test]
fn kv_survives_damaged_requests() {
    damage(&kv(), b"FLUSHALL\r\n", short(KV.iter().map(|(request, _)| *request)), PING, b"+PONG\r\n");
}
