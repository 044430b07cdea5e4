//! `until_done`: a `for` loop over a channel that also ends with a context.
//!
//! A plain `for` loop ends only when the channel is closed. In "Concurrency in Go", the loop is
//! `for v := range orDone(done, c)`, with another goroutine in between. Here, `until_done` is an
//! iterator.
//!
//! Prints:
//!
//! ```text
//! received: [0, 1, 2, 3, 4]
//! why the loop ended: context canceled
//! the sensor took 5 samples
//! ```

use greenthread::channel;
use greenthread::ctx::Context;
use greenthread::patterns::until_done;
use greenthread::spawn;

#[greenthread::main]
fn main() {
    let (tx, samples) = channel::bounded(0);
    // Runs until no receiver is left.
    let sensor = spawn(move || (0..).take_while(|sample| tx.send(*sample).is_ok()).count());

    let (ctx, cancel) = Context::background().with_cancel();
    let mut received = Vec::new();
    for sample in until_done(&ctx, samples) {
        received.push(sample);
        if sample == 4 {
            cancel.cancel();
        }
    }
    println!("received: {received:?}");
    println!("why the loop ended: {}", ctx.err().unwrap());
    println!("the sensor took {} samples", sensor.join().unwrap());
}
