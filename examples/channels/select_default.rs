//! `select!` with a `default` arm: channel operations that do not wait.
//!
//! As in Go, the default arm is taken if no other arm is ready. With it you can write a receive
//! that only polls, a send that drops the value when there is no room, and a check of a done
//! channel in the middle of a computation. For a single channel, `try_send` and `try_recv` do the
//! same.
//!
//! Prints:
//!
//! ```text
//! no message
//! message: hello
//! kept [0, 1, 2], dropped 7
//! stopped after 1000 steps
//! ```

use std::convert::Infallible;

use greenthread::channel::{self, Receiver};
use greenthread::select;

#[greenthread::main]
fn main() {
    let (tx, messages) = channel::bounded(1);
    println!("{}", look(&messages));
    tx.send("hello").unwrap();
    println!("{}", look(&messages));

    // A log with a slow reader: losing a sample is better than waiting.
    let (samples, kept) = channel::bounded(3);
    let mut dropped = 0;
    for n in 0..10 {
        select! {
            send(samples, n) -> sent => sent.unwrap(),
            default => dropped += 1,
        }
    }
    println!("kept {:?}, dropped {dropped}", kept.try_iter().collect::<Vec<_>>());

    let (stop, stopped) = channel::bounded::<Infallible>(0);
    let mut steps = 0;
    let steps = loop {
        select! {
            recv(stopped) -> _ => break steps,
            default => steps += 1, // a piece of the computation
        }
        if steps == 1000 {
            stop.close();
        }
    };
    println!("stopped after {steps} steps");
}

fn look(messages: &Receiver<&str>) -> String {
    select! {
        recv(messages) -> message => format!("message: {}", message.unwrap()),
        default => "no message".to_owned(),
    }
}
