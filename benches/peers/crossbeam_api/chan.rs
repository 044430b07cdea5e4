//! Streams. Creating the channel is not timed. Spawning is, but it is spread over many values.

use std::time::{Duration, Instant};

use crate::channel::bounded;
use crate::spawn;

const BUFFER: usize = 128;

/// Sends `values` through one buffer, from `pairs` senders to `pairs` receivers.
pub(crate) fn stream(pairs: u64, values: u64) -> Duration {
    let (tx, rx) = bounded(BUFFER);
    let start = Instant::now();
    let senders = (0..pairs).map(|id| {
        let tx = tx.clone();
        // The first sender takes the remainder of the division.
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
        sender.join().expect("a sender does not panic");
    }
    let received: u64 = receivers.into_iter().map(|receiver| receiver.join().expect("a receiver does not panic")).sum();
    assert_eq!(received, values);
    start.elapsed()
}
