//! `kv` over sockets: checks its commands, its answers to protocol errors, and that clients do not
//! disturb each other.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

#[path = "kv/client.rs"]
mod client;
mod common;
#[path = "kv/model.rs"]
mod model;
#[path = "kv/pubsub.rs"]
mod pubsub;

use client::{Client, Reply, encode, kv};
use common::random::{Rng, seed};
use common::{assert_closed, check_command_line};
use model::Model;

#[test]
fn command_line_errors_are_reported() {
    check_command_line(
        env!("CARGO_BIN_EXE_kv"),
        "kv",
        &[
            (&["--addr", "nowhere"], "--addr: \"nowhere\": invalid socket address syntax"),
            (&["--max-bulk", "much"], "--max-bulk: \"much\": invalid digit found in string"),
            (&["--grace", "inf"], "--grace: cannot convert float seconds to Duration: value is either too big or NaN"),
            (&["dump.rdb"], "unexpected argument \"dump.rdb\""),
        ],
    );
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";

/// Commands in this order, and Redis's replies to them.
const DIALOGUE: &[(&str, &str)] = &[
    ("PING", "+PONG"),
    ("ping hello", "hello"),
    ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
    ("ECHO hi", "hi"),
    ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
    ("NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
    ("GET s", "nil"),
    ("SET s 1", "+OK"),
    ("SET s 2 NX", "nil"),
    ("SET other 2 XX", "nil"),
    ("SET s 3 XX GET", "1"),
    ("SET s 3 NX XX", "-ERR syntax error"),
    ("SET s 3 EX", "-ERR syntax error"),
    ("SET s 3 EX x", NOT_AN_INTEGER),
    ("SET s 3 EX 0", "-ERR invalid expire time in 'set' command"),
    ("SET s 3 PX -1", "-ERR invalid expire time in 'set' command"),
    ("SET s 3 EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
    ("SET s 3 EX 1 PX 1", "-ERR syntax error"),
    ("INCR s", ":4"),
    ("DECR s", ":3"),
    ("INCRBY s -10", ":-7"),
    ("DECRBY s 3", ":-10"),
    ("INCRBY s 1.5", NOT_AN_INTEGER),
    ("SET big 9223372036854775807", "+OK"),
    ("INCR big", "-ERR increment or decrement would overflow"),
    ("GET big", "9223372036854775807"),
    ("SET word x", "+OK"),
    ("INCR word", NOT_AN_INTEGER),
    ("MSET a 1 b 2", "+OK"),
    ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
    ("RPUSH l a b c", ":3"),
    ("LPUSH l z", ":4"),
    ("LRANGE l 0 -1", "[z, a, b, c]"),
    ("LRANGE l -2 9", "[b, c]"),
    ("LRANGE l 2 1", "[]"),
    ("LRANGE l -9 -9", "[]"),
    ("LRANGE nolist 0 -1", "[]"),
    ("LRANGE l x 1", NOT_AN_INTEGER),
    ("LPOP l", "z"),
    ("RPOP l 2", "[c, b]"),
    ("LPOP l 0", "[]"),
    ("LPOP l -1", "-ERR value is out of range, must be positive"),
    ("LPOP nolist", "nil"),
    ("LPOP nolist 2", "nil"),
    ("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command"),
    ("LLEN l", ":1"),
    ("GET l", WRONG_TYPE),
    ("INCR l", WRONG_TYPE),
    ("LPUSH s x", WRONG_TYPE),
    ("LRANGE s 0 1", WRONG_TYPE),
    ("SET l x GET", WRONG_TYPE),
    ("MGET a l b nokey", "[1, nil, 2, nil]"),
    ("TYPE l", "+list"),
    ("TYPE s", "+string"),
    ("TYPE nokey", "+none"),
    ("EXISTS a a nokey", ":2"),
    ("TTL nokey", ":-2"),
    ("TTL a", ":-1"),
    ("EXPIRE a 100", ":1"),
    ("TTL a", ":100"),
    ("SET a 5 KEEPTTL", "+OK"),
    ("TTL a", ":100"),
    ("PERSIST a", ":1"),
    ("PERSIST a", ":0"),
    ("EXPIRE nokey 100", ":0"),
    ("EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
    ("PEXPIRE a -1", ":1"),
    ("EXISTS a", ":0"),
    ("DEL b b nokey", ":1"),
    ("KEYS [sl]", "[l, s]"),
    ("DBSIZE", ":4"),
    ("SELECT 0", "+OK"),
    ("SELECT 1", "-ERR DB index is out of range"),
    ("CONFIG GET save", "[save, ]"),
    ("CONFIG GET maxmemory", "[]"),
    ("CONFIG SET a b", "-ERR unknown subcommand 'SET'"),
    ("CLIENT GETNAME", "nil"),
    ("CLIENT SETNAME me", "+OK"),
    ("CLIENT GETNAME", "me"),
    ("CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command"),
    ("COMMAND DOCS", "[]"),
    ("PUBLISH nobody hears", ":0"),
    ("FLUSHALL NOW", "-ERR syntax error"),
    ("FLUSHALL", "+OK"),
    ("DBSIZE", ":0"),
    ("QUIT", "+OK"),
];

#[test]
fn replies_match_redis() {
    let server = kv(1, &[]);
    let mut client = Client::new(&server);
    for &(command, expected) in DIALOGUE {
        let words: Vec<_> = command.split(' ').collect();
        let mut reply = client.call(&words);
        if words[0] == "KEYS" {
            reply.sort();
        }
        assert_eq!(reply.to_string(), expected, "{command}");
    }
    assert_closed(client.stream());
}

#[test]
fn info_has_numbers() {
    let server = kv(1, &[]);
    let mut client = Client::new(&server);
    client.call(&["SET", "k", "v", "EX", "1000"]);
    let info = client.call(&["INFO"]).to_string();
    for line in ["connected_clients:1", "total_commands_processed:1", "db0:keys=1,expires=1"] {
        assert!(info.lines().any(|found| found == line), "{line} in {info}");
    }
}

#[test]
fn commands_match_the_model() {
    let mut rng = Rng::new(seed());
    for procs in [1, 2, 4] {
        let server = kv(procs, &[]);
        let mut client = Client::new(&server);
        let mut model = Model::default();
        for _ in 0..200 {
            // A pipeline of random length.
            let batch: Vec<_> = (0..=rng.index(40)).map(|_| model::command(&mut rng)).collect();
            client.send(&batch.iter().flat_map(|words| encode(words)).collect::<Vec<u8>>());
            for words in &batch {
                let (mut seen, mut expected) = (client.reply(), model.run(words));
                if words[0] == "KEYS" {
                    seen.sort();
                    expected.sort();
                }
                assert_eq!(seen, expected, "{words:?}");
            }
        }
    }
}

#[test]
fn split_requests_get_the_same_replies() {
    let mut rng = Rng::new(seed());
    let server = kv(2, &[]);
    for _ in 0..30 {
        let mut client = Client::new(&server);
        let texts: Vec<String> = (0..20).map(|n| format!("{n}\r\n$*{}", "x".repeat(rng.index(3000)))).collect();
        let bytes: Vec<u8> = texts.iter().flat_map(|text| encode(&["ECHO", text.as_str()])).collect();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let most = if rng.one_in(3) { 4000 } else { 20 };
            let (piece, later) = rest.split_at((1 + rng.index(most)).min(rest.len()));
            client.send(piece);
            rest = later;
        }
        for text in texts {
            assert_eq!(client.reply(), Reply::bulk(&text));
        }
    }
}

#[test]
fn inline_requests() {
    let server = kv(1, &[]);
    let mut client = Client::new(&server);
    client.send(b"PING\r\n\r\n  ECHO \"two \\x41 words\\n\"  \nECHO 'it\\'s'\r\n*0\r\n*-1\r\nECHO last\r\n");
    for expected in ["+PONG", "two A words\n", "it's", "last"] {
        assert_eq!(client.reply().to_string(), expected);
    }
}

#[test]
fn a_deep_pipeline_is_answered_in_order() {
    let server = kv(2, &[]);
    let client = Client::new(&server);
    let bytes: Vec<u8> = (0..100_000).flat_map(|n| encode(&["ECHO", &n.to_string()])).collect();
    thread::scope(|scope| {
        let mut writer = client.stream();
        scope.spawn(move || writer.write_all(&bytes).unwrap());
        let mut client = Client::new_on(client.stream().try_clone().unwrap());
        for n in 0..100_000 {
            assert_eq!(client.reply(), Reply::bulk(&n.to_string()));
        }
    });
}

#[test]
fn protocol_error_is_reported_and_disconnects() {
    let server = kv(2, &["--max-bulk", "1000"]);
    let mut witness = Client::new(&server);
    let long = [b"*1\r\n$", "1".repeat(70_000).as_bytes()].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\rx", "invalid multibulk length"),
        (b"*1\r\n:5\r\n", "expected '$', got ':'"),
        (b"*1\r\n\xff", "expected '$', got '\\xff'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$1001\r\n", "invalid bulk length"),
        (b"*1\r\n$4\r\nPINGxx", "no CRLF after bulk"),
        (b"ECHO \"open\r\n", "unbalanced quotes in request"),
        (b"ECHO \"a\"b\r\n", "unbalanced quotes in request"),
        (&long, "too big bulk count string"),
        (&long[5..], "too big inline request"),
        (&[b"*", &long[5..]].concat(), "too big mbulk count string"),
    ];
    for (bytes, why) in cases {
        let mut client = Client::new(&server);
        client.send(&[&encode(&["PING"]), *bytes].concat());
        assert_eq!(client.reply().to_string(), "+PONG");
        assert_eq!(client.reply().to_string(), format!("-ERR Protocol error: {why}"));
        assert_closed(client.stream());
    }
    let most = "v".repeat(1000);
    assert_eq!(witness.call(&["ECHO", &most]), Reply::bulk(&most));
}

#[test]
fn garbage_harms_only_its_sender() {
    let mut rng = Rng::new(seed());
    let server = kv(2, &[]);
    let mut witness = Client::new(&server);
    let request = encode(&["SET", "key", "value"]);
    for round in 0..300 {
        let client = Client::new(&server);
        let garbage: Vec<u8> = if round % 2 == 0 {
            (0..rng.index(300)).map(|_| rng.next() as u8).collect()
        } else {
            // Requests with some bytes replaced.
            let mut bytes = request.repeat(5);
            for _ in 0..=rng.index(3) {
                let at = rng.index(bytes.len());
                bytes[at] = rng.next() as u8;
            }
            bytes
        };
        let mut stream = client.stream();
        // Fails if the server disconnects before the end.
        let _ = stream.write_all(&garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        assert_eq!(witness.call(&["ECHO", "fine"]), Reply::bulk("fine"));
    }
}

#[test]
fn large_value_is_stored_and_returned() {
    let server = kv(2, &[]);
    let mut client = Client::new(&server);
    let value = "0123456789abcdef".repeat(1 << 20);
    assert_eq!(client.call(&["SET", "large", &value]).to_string(), "+OK");
    assert!(client.call(&["GET", "large"]) == Reply::bulk(&value));
    assert_eq!(client.call(&["PING"]).to_string(), "+PONG");
}

#[test]
fn keys_expire() {
    let server = kv(2, &[]);
    let mut client = Client::new(&server);
    client.call(&["SET", "soon", "x", "PX", "50"]);
    client.call(&["SET", "late", "x", "EX", "1000"]);
    client.call(&["RPUSH", "list", "x"]);
    client.call(&["PEXPIRE", "list", "50"]);
    let end = Instant::now() + Duration::from_secs(20);
    while client.call(&["EXISTS", "soon", "list", "late"]).to_string() != ":1" {
        assert!(Instant::now() < end, "they do not expire");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.call(&["DBSIZE"]).to_string(), ":1");
    assert_eq!(client.call(&["KEYS", "*"]).to_string(), "[late]");
    assert_eq!(client.call(&["GET", "soon"]).to_string(), "nil");
    assert_eq!(client.call(&["RPUSH", "list", "y"]).to_string(), ":1");
    assert_eq!(client.call(&["TTL", "list"]).to_string(), ":-1");
}

#[test]
fn commands_are_atomic() {
    for procs in [1, 2, 4] {
        let server = kv(procs, &[]);
        thread::scope(|scope| {
            for id in 0..6_u32 {
                let mut client = Client::new(&server);
                scope.spawn(move || {
                    for n in 0..300_u32 {
                        client.call(&["INCR", "counter"]);
                        let value = (id * 1000 + n).to_string();
                        client.call(&["MSET", "a", &value, "b", &value, "c", &value]);
                        let Reply::Array(seen) = client.call(&["MGET", "c", "b", "a"]) else { panic!("no array") };
                        assert!(seen.iter().all(|one| *one == seen[0]), "torn: {seen:?}");
                    }
                });
            }
        });
        assert_eq!(Client::new(&server).call(&["GET", "counter"]).to_string(), "1800", "{procs} Ps");
    }
}

#[test]
fn signal_ends_the_server_with_connected_clients() {
    let mut server = kv(2, &[]);
    let (mut busy, silent) = (Client::new(&server), Client::new(&server));
    let mut subscriber = Client::new(&server);
    subscriber.call(&["SUBSCRIBE", "news"]);
    busy.call(&["PING"]);
    server.terminate();
    for client in [&busy, &silent, &subscriber] {
        assert_closed(client.stream());
    }
    assert_eq!(server.wait().code(), Some(0));
}
