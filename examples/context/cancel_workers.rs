//! Canceling two workers by hand, one after the other.
//!
//! Each worker has its own context, like Go's `context.WithCancel`, with a handle that cancels it.
//! A worker answers pings until its context ends. Canceling one context does not affect the other;
//! canceling the parent would end both. `with_cancel_cause` also records why.
//!
//! Prints:
//!
//! ```text
//! ada: alive, grace: alive
//! ada ended: context canceled
//! ada: gone, grace: alive
//! grace ended: context canceled (the shift is over)
//! ada: gone, grace: gone
//! ```

use greenthread::channel::{self, Sender};
use greenthread::ctx::{Context, Error, RecvError};
use greenthread::{JoinHandle, spawn};

#[greenthread::main]
fn main() {
    let parent = Context::background();
    let (ada_ctx, cancel_ada) = parent.with_cancel();
    let (grace_ctx, cancel_grace) = parent.with_cancel_cause();
    let (ada, ada_ended) = work(&ada_ctx);
    let (grace, grace_ended) = work(&grace_ctx);

    let report = || println!("ada: {}, grace: {}", state(&ada), state(&grace));
    report();
    cancel_ada.cancel();
    println!("ada ended: {}", ada_ended.join().unwrap());
    report();
    cancel_grace.cancel("the shift is over");
    println!("grace ended: {} ({})", grace_ended.join().unwrap(), grace_ctx.cause().unwrap());
    report();
}

/// A ping is the channel for its answer.
type Ping = Sender<()>;

/// Starts a worker that returns the reason that it ended.
fn work(ctx: &Context) -> (Sender<Ping>, JoinHandle<Error>) {
    let (tx, pings) = channel::bounded(0);
    let ctx = ctx.clone();
    let worker = spawn(move || {
        loop {
            match ctx.recv::<Ping>(&pings) {
                Ok(ping) => ping.send(()).unwrap(),
                Err(RecvError::Ended(error)) => return error,
                Err(error) => unreachable!("main keeps the sender: {error}"),
            }
        }
    });
    (tx, worker)
}

fn state(worker: &Sender<Ping>) -> &'static str {
    let (tx, answer) = channel::bounded(1);
    // The worker owns the receiver, so sending fails once the worker is gone.
    match worker.send(tx) {
        Ok(()) => answer.recv().map_or("gone", |()| "alive"),
        Err(_) => "gone",
    }
}
