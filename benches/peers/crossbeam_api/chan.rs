//! Streams and ping-pong. Making the channels is not timed; spawning is, where it is spread over many values.

use std::time::{Duration, Instant};

use crate::channel::bounded;
use crate::spawn;

const BUFFER: usize = 128;

/// So many round trips through two unbuffered channels.
pub(crate) fn ping_pong(rounds: u64) -> Duration {
    let (ping, pings) = bounded(0);
    let (pong, pongs) = bounded(0);
    let other = spawn(move || {
        for n in pings {
            if pong.send(n).is_err() {
                break;
            }
        }
    });
    let start = Instant::now();
    for n in 0..rounds {
        ping.send(n).expect("the other plays on");
        assert_eq!(pongs.recv(), Ok(n));
    }
    let elapsed = start.elapsed();
    drop(ping);
    other.join().expect("the other player");
    elapsed
}

/// So many values through one buffer, from `pairs` senders to `pairs` receivers.
pub(crate) fn stream(pairs: u64, values: u64) -> Duration {
    let (tx, rx) = bounded(BUFFER);
    let start = Instant::now();
    let senders = (0..pairs).map(|id| {
        let tx = tx.clone();
        // The first takes what the division leaves over.
        let mine = values / pairs + if id == 0 { values % pairs } else { 0 };
        spawn(move || (0..mine).for_each(|n| tx.send(n).expect("receivers outlive senders")))
    });
    let senders: Vec<_> = senders.collect();
    let receivers: Vec<_> = (0..pairs)
        .map(|_| {
            let rx = rx.clone();
            spawn(move || rx.into_iter().count() as u64)
        })
        .collect();
    drop((tx, rx));
    for sender in senders {
        sender.join().expect("a sender");
    }
    let received: u64 = receivers.into_iter().map(|receiver| receiver.join().expect("a receiver")).sum();
    assert_eq!(received, values);
    start.elapsed()
}
