//! Channels between goroutines.
//!
//! Timed: unbuffered ping-pong between two goroutines (a round trip is two sends, two receives and two switches);
//! a stream through a buffer of 128 from one sender to one receiver, and from four to four (per value). Not timed:
//! making the channel and spawning. With 2 Ps a value may cross to another thread: how often is the scheduler's choice,
//! so read these figures together with those of 1 P.
//!
//! The rivals' equivalents: Go's `make(chan int)` and `make(chan int, 128)`; crossbeam-channel between threads.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread::channel::bounded;
use greenthread_benches::{PROCS, on_procs};

const BUFFER: usize = 128;

fn ping_pong(rounds: u64) -> Duration {
    let (ping, pings) = bounded(0);
    let (pong, pongs) = bounded(0);
    let other = greenthread::spawn(move || {
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

fn stream(pairs: u64, values: u64) -> Duration {
    let (tx, rx) = bounded(BUFFER);
    let start = Instant::now();
    let senders = (0..pairs).map(|id| {
        let tx = tx.clone();
        // The first takes what the division leaves over.
        let mine = values / pairs + if id == 0 { values % pairs } else { 0 };
        greenthread::spawn(move || (0..mine).for_each(|n| tx.send(n).expect("receivers outlive senders")))
    });
    let senders: Vec<_> = senders.collect();
    let receivers: Vec<_> = (0..pairs)
        .map(|_| {
            let rx = rx.clone();
            greenthread::spawn(move || rx.into_iter().count() as u64)
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

fn channel(c: &mut Criterion) {
    let mut group = c.benchmark_group("channel");
    for procs in PROCS {
        let parameter = format!("procs={procs}");
        group.bench_function(BenchmarkId::new("unbuffered_ping_pong", &parameter), |b| {
            b.iter_custom(|iters| on_procs(procs, move || ping_pong(iters)));
        });
        for pairs in [1, 4] {
            group.bench_function(BenchmarkId::new(format!("buffered_{pairs}_to_{pairs}"), &parameter), |b| {
                b.iter_custom(|iters| on_procs(procs, move || stream(pairs, iters)));
            });
        }
    }
}

criterion_group!(benches, channel);
criterion_main!(benches);
