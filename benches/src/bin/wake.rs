//! How long a readied goroutine waits when its waker keeps its own P busy.
//!
//! Timed: from just before the send to just after the receive. A readied goroutine first goes to
//! the waker's P. If the waker goes on computing, another P has to steal it. With 1 P it waits
//! until the waker parks, or until the waker loses its P after 10 ms. `hot`: the next send follows
//! at once, so the other P may still be spinning. `idle`: both Ps have gone to sleep in between, so
//! the figure contains the wake-up of an OS thread (20 us and more on a virtual machine).
//!
//! The rival's equivalent is the same program in Go, with `make(chan time.Time, 1)` and a loop on
//! `time.Since`.

use std::time::{Duration, Instant};

use greenthread::channel::bounded;
use greenthread_benches::{PROCS, Times, hog, numbers, on_procs};

const HELP: &str = "wake: latency of a goroutine whose waker keeps its P busy";

fn latencies(count: u64, busy: Duration, gap: Duration) -> Times {
    let (tx, rx) = bounded::<Instant>(1);
    let (done, dones) = bounded::<Duration>(1);
    let receiver = greenthread::spawn(move || {
        for sent in rx {
            done.send(sent.elapsed()).expect("the sender waits");
        }
    });
    let mut times = Vec::with_capacity(count as usize);
    for _ in 0..count {
        tx.send(Instant::now()).expect("the receiver is running");
        hog(busy);
        times.push(dones.recv().expect("the receiver answers"));
        if !gap.is_zero() {
            greenthread::time::sleep(gap);
        }
    }
    drop(tx);
    receiver.join().expect("the receiver does not panic");
    Times::new(times)
}

fn main() {
    let [count, busy] = numbers(HELP, [("count", 1000), ("busy-us", 200)]);
    let busy = Duration::from_micros(busy);
    println!("the waker keeps its P for {busy:?}; {count} wake-ups each");
    for procs in PROCS {
        for (name, gap) in [("hot", Duration::ZERO), ("idle", Duration::from_millis(2))] {
            let times = on_procs(procs, move || latencies(count, busy, gap));
            println!("procs={procs} {name:<5} {times}");
        }
    }
}
