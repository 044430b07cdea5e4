//! One receiver that selects: over channels with one sender each, or beside a "done" that never
//! comes, or with a default and nothing to receive.

use std::time::{Duration, Instant};

use crate::channel::{Receiver, Sender, bounded, select};
use crate::spawn;

/// Creates `N` channels with a sender for each, which together send `values`.
///
/// The caller also gets the sending ends, because a closed channel is always ready.
fn sources<const N: usize>(capacity: usize, values: u64) -> ([Sender<u64>; N], [Receiver<u64>; N]) {
    let channels: [_; N] = std::array::from_fn(|_| bounded(capacity));
    let (senders, count) = (channels.clone().map(|(tx, _)| tx), N as u64);
    for (id, tx) in (0..).zip(senders.clone()) {
        let mine = values / count + u64::from(id < values % count);
        spawn(move || (0..mine).for_each(|n| tx.send(n).expect("the receiver takes all")));
    }
    (senders, channels.map(|(_, rx)| rx))
}

/// Receives over two channels.
pub(crate) fn two(capacity: usize, selects: u64) -> Duration {
    let (_open, [a, b]) = sources(capacity, selects);
    let start = Instant::now();
    for _ in 0..selects {
        let value = select! {
            recv(a) -> value => value,
            recv(b) -> value => value,
        };
        value.expect("the channel is open");
    }
    start.elapsed()
}

/// Receives over eight channels.
pub(crate) fn eight(capacity: usize, selects: u64) -> Duration {
    let (_open, [a, b, c, d, e, f, g, h]) = sources(capacity, selects);
    let start = Instant::now();
    for _ in 0..selects {
        let value = select! {
            recv(a) -> value => value,
            recv(b) -> value => value,
            recv(c) -> value => value,
            recv(d) -> value => value,
            recv(e) -> value => value,
            recv(f) -> value => value,
            recv(g) -> value => value,
            recv(h) -> value => value,
        };
        value.expect("the channel is open");
    }
    start.elapsed()
}

/// Polls one empty channel.
pub(crate) fn default_one(selects: u64) -> Duration {
    let (_open, a) = bounded::<u64>(1);
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            recv(a) -> _ => unreachable!("nothing is sent"),
            default => {}
        }
    }
    start.elapsed()
}

/// Polls two empty channels.
pub(crate) fn default_two(selects: u64) -> Duration {
    let ((_open_a, a), (_open_b, b)) = (bounded::<u64>(1), bounded::<u64>(1));
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            recv(a) -> _ => unreachable!("nothing is sent"),
            recv(b) -> _ => unreachable!("nothing is sent"),
            default => {}
        }
    }
    start.elapsed()
}

/// Receives from one channel, each time beside another channel that says when to stop.
pub(crate) fn done(capacity: usize, selects: u64) -> Duration {
    let (_open, [data]) = sources(capacity, selects);
    let (_not_yet, done) = bounded::<()>(0);
    let start = Instant::now();
    for _ in 0..selects {
        select! {
            recv(data) -> value => { value.expect("the channel is open"); }
            recv(done) -> _ => unreachable!("it never comes"),
        }
    }
    start.elapsed()
}
