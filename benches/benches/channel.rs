//! Channels between goroutines.
//!
//! Timed: unbuffered ping-pong between two goroutines (a round trip is two sends, two receives, and
//! two switches), and a stream through a buffer of 128 from one sender to one receiver and from
//! four to four (per value). Not timed: creating the channel and spawning. With 2 Ps a value may
//! cross to another thread. The scheduler decides how often it does, so read these figures together
//! with those of 1 P.
//!
//! The rivals' equivalents are Go's `make(chan int)` and `make(chan int, 128)`, and
//! crossbeam-channel between threads. The `peers` program runs them, with the same functions as
//! here.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread::{channel, spawn};
use greenthread_benches::{PROCS, on_procs};

#[path = "../peers/crossbeam_api/chan.rs"]
mod chan;
#[path = "../peers/common/ping_pong.rs"]
mod ping_pong;

use channel::{Receiver, Sender};
use ping_pong::ping_pong;

fn unbuffered<T>() -> (Sender<T>, Receiver<T>) {
    channel::bounded(0)
}

fn channels(c: &mut Criterion) {
    let mut group = c.benchmark_group("channel");
    for procs in PROCS {
        let parameter = format!("procs={procs}");
        group.bench_function(BenchmarkId::new("unbuffered_ping_pong", &parameter), |b| {
            b.iter_custom(|iters| on_procs(procs, move || ping_pong(iters, Receiver::recv)));
        });
        for pairs in [1, 4] {
            group.bench_function(BenchmarkId::new(format!("buffered_{pairs}_to_{pairs}"), &parameter), |b| {
                b.iter_custom(|iters| on_procs(procs, move || chan::stream(pairs, iters)));
            });
        }
    }
}

criterion_group!(benches, channels);
criterion_main!(benches);
