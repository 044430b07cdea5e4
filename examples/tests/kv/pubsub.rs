//! Publish and subscribe.

use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Reply, encode, kv};
use crate::common::{Server, assert_closed};

fn array(words: &[&str]) -> String {
    format!("[{}]", words.join(", "))
}

/// Publishes until `count` subscribers receive the message, because only the server knows when a
/// client has subscribed.
fn reach(publisher: &mut Client, channel: &str, count: i64) {
    let end = Instant::now() + Duration::from_secs(20);
    while publisher.call(&["PUBLISH", channel, "anybody there?"]) != Reply::Integer(count) {
        assert!(Instant::now() < end, "no subscriber receives it");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn subscribers_get_published_messages() {
    let server = kv(2, &[]);
    let (mut one, mut two, mut publisher) = (Client::new(&server), Client::new(&server), Client::new(&server));
    one.send(&encode(&["SUBSCRIBE", "news", "sport"]));
    assert_eq!(one.reply().to_string(), array(&["subscribe", "news", ":1"]));
    assert_eq!(one.reply().to_string(), array(&["subscribe", "sport", ":2"]));
    assert_eq!(two.call(&["PSUBSCRIBE", "n*"]).to_string(), array(&["psubscribe", "n*", ":1"]));
    assert_eq!(two.call(&["SUBSCRIBE", "news"]).to_string(), array(&["subscribe", "news", ":2"]));

    assert_eq!(publisher.call(&["PUBLISH", "news", "a"]), Reply::Integer(3));
    assert_eq!(publisher.call(&["PUBLISH", "sport", "b"]), Reply::Integer(1));
    assert_eq!(publisher.call(&["PUBLISH", "nothing", "c"]), Reply::Integer(1));
    assert_eq!(publisher.call(&["PUBLISH", "weather", "d"]), Reply::Integer(0));
    assert_eq!(one.reply().to_string(), array(&["message", "news", "a"]));
    assert_eq!(one.reply().to_string(), array(&["message", "sport", "b"]));
    assert_eq!(two.reply().to_string(), array(&["message", "news", "a"]));
    assert_eq!(two.reply().to_string(), array(&["pmessage", "n*", "news", "a"]));
    assert_eq!(two.reply().to_string(), array(&["pmessage", "n*", "nothing", "c"]));

    one.stream().shutdown(Shutdown::Both).unwrap();
    reach(&mut publisher, "sport", 0);
    assert_eq!(publisher.call(&["PUBLISH", "news", "e"]), Reply::Integer(2));
}

#[test]
fn subscribers_may_only_send_some_commands() {
    let server = kv(1, &[]);
    let mut client = Client::new(&server);
    assert_eq!(client.call(&["UNSUBSCRIBE"]).to_string(), array(&["unsubscribe", "nil", ":0"]));
    assert_eq!(client.call(&["UNSUBSCRIBE", "x"]).to_string(), array(&["unsubscribe", "x", ":0"]));
    client.send(&[encode(&["ECHO", "before"]), encode(&["SUBSCRIBE", "a"]), encode(&["PING"])].concat());
    assert_eq!(client.reply().to_string(), "before");
    assert_eq!(client.reply().to_string(), array(&["subscribe", "a", ":1"]));
    assert_eq!(client.reply().to_string(), array(&["pong", ""]));
    assert_eq!(
        client.call(&["GET", "k"]).to_string(),
        "-ERR Can't execute 'get': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT are allowed in this context"
    );
    assert_eq!(client.call(&["PSUBSCRIBE", "p"]).to_string(), array(&["psubscribe", "p", ":2"]));
    assert_eq!(client.call(&["UNSUBSCRIBE"]).to_string(), array(&["unsubscribe", "a", ":1"]));
    assert_eq!(client.call(&["PUNSUBSCRIBE", "p"]).to_string(), array(&["punsubscribe", "p", ":0"]));
    assert_eq!(client.call(&["PUBLISH", "a", "x"]), Reply::Integer(0));
    assert_eq!(client.call(&["QUIT"]).to_string(), "+OK");
    assert_closed(client.stream());
}

#[test]
fn many_channels_at_once() {
    let server = kv(2, &["--outbox", "100"]);
    let mut client = Client::new(&server);
    let names: Vec<String> = (0..2000).map(|n| format!("channel-{n}")).collect();
    client.send(&encode(&[&["SUBSCRIBE".to_string()], names.as_slice()].concat()));
    for (n, name) in names.iter().enumerate() {
        assert_eq!(client.reply().to_string(), array(&["subscribe", name, &format!(":{}", n + 1)]));
    }
}

/// Checks that all subscribers receive all messages of all publishers, in one order.
#[test]
fn messages_have_one_order() {
    const EACH: usize = 300;
    for procs in [1, 2, 4] {
        let server = kv(procs, &[]);
        let mut subscribers: Vec<_> = (0..3).map(|_| Client::new(&server)).collect();
        for subscriber in &mut subscribers {
            subscriber.call(&["SUBSCRIBE", "all"]);
        }
        let seen: Vec<Vec<Reply>> = thread::scope(|scope| {
            for id in 0..3 {
                let mut publisher = Client::new(&server);
                scope.spawn(move || {
                    for n in 0..EACH {
                        assert_eq!(publisher.call(&["PUBLISH", "all", &format!("{id}-{n}")]), Reply::Integer(3));
                    }
                });
            }
            let read = |mut client: Client| (0..3 * EACH).map(|_| client.reply()).collect();
            let readers: Vec<_> = subscribers.into_iter().map(|client| scope.spawn(move || read(client))).collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert!(seen.iter().all(|one| *one == seen[0]), "{procs} Ps");
        for id in 0..3 {
            let expected = (0..EACH).map(|n| array(&["message", "all", &format!("{id}-{n}")]));
            let own = |text: &String| text.starts_with(&format!("[message, all, {id}-"));
            assert!(seen[0].iter().map(Reply::to_string).filter(own).eq(expected), "{procs} Ps: of {id}");
        }
    }
}

/// Publishes more than the sockets and an outbox can hold, while `keeps_up` keeps reading.
fn flood(server: &Server, publisher: &mut Client, keeps_up: Client) {
    const MESSAGES: usize = 400;
    let message = "m".repeat(100_000);
    let reader = thread::spawn(move || {
        let mut client = keeps_up;
        (0..MESSAGES).map(|_| client.reply()).count()
    });
    for _ in 0..MESSAGES {
        // Slowly enough for a subscriber that reads. The pauses are for that reader; they measure
        // nothing.
        publisher.call(&["PUBLISH", "flood", &message]);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(reader.join().unwrap(), MESSAGES);
    assert_eq!(Client::new(server).call(&["PING"]).to_string(), "+PONG");
}

#[test]
fn slow_subscriber_is_disconnected_without_a_wait() {
    let server = kv(2, &["--outbox", "10000000"]);
    let (mut slow, mut fast, mut publisher) = (Client::new(&server), Client::new(&server), Client::new(&server));
    slow.call(&["SUBSCRIBE", "flood"]);
    fast.call(&["SUBSCRIBE", "flood"]);
    flood(&server, &mut publisher, fast);
    reach(&mut publisher, "flood", 0);
    // It gets the messages that were already on their way, and then the end of the stream in place
    // of the lost messages.
    let mut got = 0;
    while slow.try_reply().is_some() {
        got += 1;
    }
    assert!(got < 400, "it got all {got}");
}
