//! Done channels: telling goroutines to stop, and learning that they have.
//!
//! The counterpart of Go's `done := make(chan struct{})` and `close(done)`. Nothing is ever sent on
//! the channel, as the type `Infallible` shows. The close is the message, and it reaches every
//! goroutine that receives, now or later. Dropping the sender closes the channel, even if its owner
//! panics. In the opposite direction, each goroutine has its own channel: `JoinHandle::done` closes
//! when the goroutine ends.
//!
//! Prints:
//!
//! ```text
//! got 0, 1, 2
//! the counter sent 3 numbers
//! all 5 workers have stopped
//! ```

use std::convert::Infallible;

use greenthread::channel::{self, Receiver};
use greenthread::{JoinHandle, select, spawn};

#[greenthread::main]
fn main() {
    let (stop, stopped) = channel::bounded::<Infallible>(0);
    let (numbers, counter) = count(stopped);
    let first: Vec<_> = numbers.iter().take(3).map(|n| n.to_string()).collect();
    println!("got {}", first.join(", "));
    drop(stop);
    println!("the counter sent {} numbers", counter.join().unwrap());

    let (stop, stopped) = channel::bounded::<Infallible>(0);
    let workers: Vec<_> = (0..5).map(|_| idle(stopped.clone())).collect();
    assert!(!workers.iter().any(JoinHandle::is_finished));
    drop(stop);
    for worker in &workers {
        select! {
            recv(worker.done()) -> _ => {}
        }
    }
    println!("all {} workers have stopped", workers.len());
}

/// Starts a goroutine that sends numbers until it is told to stop, and then returns how many were
/// received.
fn count(stopped: Receiver<Infallible>) -> (Receiver<u64>, JoinHandle<u64>) {
    let (tx, rx) = channel::bounded(0);
    let counter = spawn(move || {
        let mut n = 0;
        loop {
            select! {
                send(tx, n) -> _ => n += 1,
                recv(stopped) -> _ => return n,
            }
        }
    });
    (rx, counter)
}

/// Starts a goroutine that does nothing until it is told to stop.
fn idle(stopped: Receiver<Infallible>) -> JoinHandle<()> {
    spawn(move || {
        stopped.recv().unwrap_err();
    })
}
