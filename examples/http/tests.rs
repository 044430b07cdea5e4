//! Requests split in every way. The answer must depend only on the bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::framer::{Framer, Limits, Next, Part};
use crate::head::Method;
use crate::status::Status;

const LIMITS: Limits = Limits { head: 512, body: 100 };

/// An event that a framer finds in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Request {
        method: Method,
        target: String,
        old: bool,
        keep_alive: bool,
        body: Vec<u8>,
    },
    Refused(Status),
    /// The bytes end within this part.
    Wants(Part),
}

/// Returns the events that a framer finds in the pieces, with one read for each piece.
fn frame<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut framer = Framer::new(LIMITS);
    let mut events = Vec::new();
    let mut pieces = pieces.into_iter();
    let mut piece: &[u8] = &[];
    loop {
        match framer.next() {
            Ok(Next::Request) => {
                let request = framer.request();
                events.push(Event::Request {
                    method: request.method,
                    target: request.target.clone(),
                    old: request.old,
                    keep_alive: request.keep_alive,
                    body: request.body.clone(),
                });
            }
            // Depends on whether the body has arrived already, and does not affect later events.
            Ok(Next::Continue) => {}
            Ok(Next::More(part)) => {
                while piece.is_empty() {
                    let Some(next) = pieces.next() else {
                        events.push(Event::Wants(part));
                        return events;
                    };
                    piece = next;
                }
                let space = framer.space();
                assert!(!space.is_empty(), "it asks for more and has no room for it");
                let len = piece.len().min(space.len());
                space[..len].copy_from_slice(&piece[..len]);
                framer.filled(len);
                piece = &piece[len..];
            }
            Err(status) => {
                events.push(Event::Refused(status));
                return events;
            }
        }
    }
}

fn whole(input: &str) -> Vec<Event> {
    frame([input.as_bytes()])
}

fn request(method: Method, target: &str, body: &str) -> Event {
    Event::Request { method, target: target.into(), old: false, keep_alive: true, body: body.into() }
}

fn refused(status: Status) -> Vec<Event> {
    vec![Event::Refused(status)]
}

/// Splits the bytes at the given places.
fn cut<'a>(input: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(input.len() + 1)).collect();
    places.sort_unstable();
    let ends = places.iter().copied().chain([input.len()]);
    let begins = [0].into_iter().chain(places.iter().copied());
    begins.zip(ends).map(|(begin, end)| &input[begin..end]).collect()
}

/// Generates a sequence of requests, some valid and some not.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let good = prop_oneof![
        Just("GET /plaintext HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        Just("HEAD /json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
        Just("GET http://h/x?y HTTP/1.1\r\nHost: h\r\nConnection: close, x\r\n\r\n".to_owned()),
        Just("\r\nGET / HTTP/1.1\r\nhost:h\r\n\r\n".to_owned()),
        "[a-z]{0,120}".prop_map(|body| {
            format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }),
        ("[a-z]{1,70}", "[a-z]{1,50}", "(;[a-z=]{0,9})?", "(t: v\r\n){0,3}").prop_map(
            |(one, two, extension, trailers)| {
                format!(
                    "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {:x}{extension}\r\n{one}\r\n{:X}\r\n{two}\r\n0\r\n{trailers}\r\n",
                    one.len(),
                    two.len(),
                )
            }
        ),
    ];
    let bad = prop_oneof![
        "[ -~\r\n]{0,40}",
        Just("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".to_owned()),
        Just("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n".to_owned()),
        "[a-z]{0,600}".prop_map(|value| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {value}\r\n\r\n")),
        (0..80_usize).prop_map(|count| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a:\r\n".repeat(count))),
    ];
    vec(prop_oneof![6 => good, 1 => bad], 0..6).prop_map(|requests| requests.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn answers_do_not_depend_on_how_bytes_arrive(
        input in conversation(),
        places in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let events = frame([&input[..]]);
        prop_assert_eq!(&frame(cut(&input, &places)), &events, "cut somewhere");
        prop_assert_eq!(&frame(input.chunks(1)), &events, "byte by byte");
    }

    #[test]
    fn damaged_bytes_do_not_depend_on_how_they_arrive_either(
        mut input in conversation(),
        damage in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b':')]), 1..4),
    ) {
        if !input.is_empty() {
            let len = input.len();
            damage.iter().for_each(|(place, byte)| input[place.index(len)] = *byte);
        }
        prop_assert_eq!(frame(input.chunks(1)), frame([&input[..]]));
    }

    #[test]
    fn any_bytes_are_processed_to_their_end(input in vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(frame(input.chunks(1)), frame([&input[..]]));
    }
}

#[test]
fn requests_in_a_row_come_out_in_order() {
    let input = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n\
                 POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz\
                 POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n2;q=\"a b\"\r\nhe\r\n03 \r\nllo\r\n0\r\nT: v\r\n\r\n\
                 HEAD /d HTTP/1.1\r\nHost: h\r\n\r\nPOST /e HTT";
    let events = [
        request(Method::Get, "/a", ""),
        request(Method::Post, "/b", "xyz"),
        request(Method::Post, "/c", "hello"),
        request(Method::Head, "/d", ""),
        Event::Wants(Part::Head),
    ];
    assert_eq!(whole(input), events);
    assert_eq!(whole(""), [Event::Wants(Part::First)]);
}

#[test]
fn buffer_grows_with_a_pipeline() {
    // The number of requests at a time, and the largest space that the framer offers for them.
    for (count, room) in [(1, 1024), (30, 1024), (100, 2048)] {
        let mut framer = Framer::new(Limits { head: 16 * 1024, body: 100 });
        let requests = b"GET /json HTTP/1.1\r\nHost: h\r\n\r\n".repeat(count);
        let (mut offered, mut rest, mut found) = (0, [&requests[..], &requests].into_iter(), 0);
        let mut input: &[u8] = &[];
        while found < 2 * count {
            match framer.next() {
                Ok(Next::Request) => found += 1,
                Ok(Next::More(_)) => {
                    if input.is_empty() {
                        input = rest.next().unwrap();
                    }
                    let space = framer.space();
                    offered = offered.max(space.len());
                    let len = input.len().min(space.len());
                    space[..len].copy_from_slice(&input[..len]);
                    framer.filled(len);
                    input = &input[len..];
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(offered, room, "{count} at a time");
    }
}

#[test]
fn continue_is_sent_once() {
    let mut framer = Framer::new(LIMITS);
    let head = b"POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    framer.space()[..head.len()].copy_from_slice(head);
    framer.filled(head.len());
    assert_eq!(framer.next(), Ok(Next::Continue));
    assert_eq!(framer.next(), Ok(Next::More(Part::Body)));
    framer.space()[..2].copy_from_slice(b"hi");
    framer.filled(2);
    assert_eq!(framer.next(), Ok(Next::Request));
    assert_eq!(framer.next(), Ok(Next::More(Part::First)));
}

#[test]
fn keep_alive_follows_version_and_header() {
    let cases = [
        ("HTTP/1.1\r\nHost: h", true),
        ("HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE", false),
        ("HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close", false),
        ("HTTP/1.0", false),
        ("HTTP/1.0\r\nConnection: Keep-Alive", true),
    ];
    for (rest, expected) in cases {
        let events = whole(&format!("GET / {rest}\r\n\r\n"));
        assert!(
            matches!(events[0], Event::Request { keep_alive, .. } if keep_alive == expected),
            "{rest:?}: {events:?}"
        );
    }
}

#[test]
fn request_that_may_hide_a_second_one_is_refused() {
    let heads = [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length: 3 3",
        "Content-Length:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Content-Length : 3",
        " Content-Length: 3",
        "X: y\r\n folded: z",
        "X: y\rContent-Length: 3",
        "X: \0",
        ": y",
        "Host: second",
    ];
    for head in heads {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\nabc");
        assert_eq!(whole(&input), refused(Status::BadRequest), "{head:?}");
    }
    for coding in ["gzip, chunked", "chunked, gzip", "identity", "xchunked", "chunked;q=1", ""] {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {coding}\r\n\r\nabc");
        assert_eq!(whole(&input), refused(Status::NotImplemented), "{coding:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(whole(old), refused(Status::BadRequest));
    let bodies = [
        "\r\n\r\n",
        ";x\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3;x\ny\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        "0\r\n bad\r\n\r\n",
        "0\n\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\r\n\n",
    ];
    for body in bodies {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(whole(&input), refused(Status::BadRequest), "{body:?}");
    }
}

#[test]
fn other_heads_are_refused() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", Status::BadRequest),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", Status::VersionNotSupported),
        ("GET http:x HTTP/1.1\r\nHost: h\r\n\r\n", Status::BadRequest),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", Status::BadRequest),
        ("GET /\r\n\r\n", Status::BadRequest),
        ("\x16\x03\x01\x02\0", Status::BadRequest),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n", Status::ExpectationFailed),
    ];
    for (input, status) in cases {
        assert_eq!(whole(input), refused(status), "{input:?}");
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let head = |len: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(len - frame))
    };
    let fits = [request(Method::Get, "/", ""), Event::Wants(Part::First)];
    assert_eq!(whole(&head(LIMITS.head)), fits);
    assert_eq!(whole(&head(LIMITS.head + 1)), refused(Status::HeaderFieldsTooLarge));
    // The head of the second request crosses the end of the buffer.
    assert_eq!(whole(&(head(300) + &head(LIMITS.head))), [&fits[..1], &fits[..]].concat());

    let fields = |count: usize| whole(&format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a:\r\n".repeat(count - 1)));
    assert_eq!(fields(64), fits);
    assert_eq!(fields(65), refused(Status::HeaderFieldsTooLarge));

    let known =
        |len: usize| whole(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n{}", "x".repeat(len)));
    let body = "x".repeat(LIMITS.body);
    let fits = [request(Method::Post, "/", &body), Event::Wants(Part::First)];
    assert_eq!(known(LIMITS.body), fits);
    assert_eq!(known(LIMITS.body + 1), refused(Status::ContentTooLarge));
    let huge = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n";
    assert_eq!(whole(huge), refused(Status::ContentTooLarge));

    let chunked = |end: &str| {
        whole(&format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{body}\r\n{end}"))
    };
    assert_eq!(chunked("0\r\n\r\n"), fits);
    assert_eq!(chunked("1\r\nx\r\n0\r\n\r\n"), refused(Status::ContentTooLarge));
    let padded = |len: usize| chunked(&format!("0;{}\r\n\r\n", "x".repeat(len - 4)));
    assert_eq!(padded(256), fits);
    assert_eq!(padded(257), refused(Status::BadRequest));
    let trailers = |len: usize| chunked(&format!("0\r\nX: {}\r\n\r\n", "x".repeat(len - 7)));
    assert_eq!(trailers(LIMITS.head), fits);
    assert_eq!(trailers(LIMITS.head + 1), refused(Status::HeaderFieldsTooLarge));
}
