//! Heartbeats: telling an idle goroutine from one that hangs.
//!
//! From outside, the two look the same, unless the goroutine reports that it makes progress. In
//! "Concurrency in Go", the goroutine sends on a channel in each iteration of its loop. Here,
//! `pulse.recv` beats while it waits for a job, and `pulse.beat` beats in the middle of a job.
//! Neither of them waits for a listener. `wait_quiet` notices when the beats stop.
//!
//! Prints:
//!
//! ```text
//! idle: 3 beats, so it is alive
//! its result: 42
//! no beat for 20 ms: it hangs
//! told to end, it says: context canceled
//! ```

use std::time::Duration;

use greenthread::channel;
use greenthread::ctx::Context;
use greenthread::patterns::heartbeat;

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let period = Duration::from_millis(2);

    let (tx, jobs) = channel::bounded(0);
    let worker = heartbeat(&ctx, period, move |pulse| pulse.recv(&jobs).unwrap() * 2);
    println!("idle: {} beats, so it is alive", worker.beats().iter().take(3).count());
    tx.send(21).unwrap();
    println!("its result: {}", worker.join().unwrap());

    let worker = heartbeat(&ctx, period, |pulse| {
        pulse.beat();
        // Hangs, as if on a lock that is never released or a peer that does not answer.
        pulse.ctx().done().recv().unwrap_err();
        pulse.ctx().err().unwrap()
    });
    if let Ok(true) = worker.wait_quiet(&ctx, 10 * period) {
        println!("no beat for 20 ms: it hangs");
    }
    worker.cancel();
    println!("told to end, it says: {}", worker.join().unwrap());
}
