//! Giving up on a slow operation.
//!
//! The counterpart of Go's `select` with `case <-time.After(limit)`. The limit ends the wait, not
//! the work: the operation continues, and must be able to dispose of its answer. Here, its send
//! fails because the receiver is gone. Work that can stop halfway should get a context instead: see
//! `deadline`.
//!
//! Prints:
//!
//! ```text
//! fast: the answer is 42
//! slow: no answer within 20ms
//! slow, when it is ready: the receiver is gone
//! one channel: timed out waiting on receive operation
//! ```

use std::time::Duration;

use greenthread::channel::{self, Receiver};
use greenthread::{go, select, spawn, time};

#[greenthread::main]
fn main() {
    let (tx, fast) = channel::bounded(0);
    go!(move || tx.send(42).unwrap());
    println!("fast: {}", wait(fast, Duration::from_secs(10)));

    let (hurry, hurried) = channel::bounded(0);
    let (tx, slow) = channel::bounded(0);
    let operation = spawn(move || {
        hurried.recv().unwrap(); // as slow as the rest of the world
        tx.send(42)
    });
    println!("slow: {}", wait(slow, Duration::from_millis(20)));
    hurry.send(()).unwrap();
    if operation.join().unwrap().is_err() {
        println!("slow, when it is ready: the receiver is gone");
    }

    // If there is nothing else to wait for, a method is enough.
    let (_tx, silent) = channel::bounded::<()>(0);
    println!("one channel: {}", silent.recv_timeout(Duration::from_millis(1)).unwrap_err());
}

/// Waits for the answer. Takes ownership of the receiver, which is therefore dropped when the wait
/// ends.
fn wait(answer: Receiver<u32>, limit: Duration) -> String {
    select! {
        recv(answer) -> answer => format!("the answer is {}", answer.unwrap()),
        recv(time::after(limit)) -> _ => format!("no answer within {limit:?}"),
    }
}
