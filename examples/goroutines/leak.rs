//! A goroutine leak, how to find it, and its fix.
//!
//! Three goroutines look something up, and only the first answer is needed. In Go, the other two
//! wait forever to send on an unbuffered channel. In Rust they usually do not, since a send fails
//! when the last receiver is gone. But here, each goroutine holds a receiver itself.
//! `debug::blocked_for` lists the goroutines that wait, and `num_goroutine`, Go's
//! `runtime.NumGoroutine`, counts all of them.
//!
//! Prints:
//!
//! ```text
//! leaky: found it
//! goroutine waits: chan send, spawned in leak.rs
//! goroutine waits: chan send, spawned in leak.rs
//! fixed: found it
//! 3 goroutines: main and the two that leaked
//! ```

use std::path::Path;
use std::time::Duration;

use greenthread::channel::{self, Sender};
use greenthread::debug::{self, GoroutineInfo, GoroutineState};
use greenthread::{go, num_goroutine, time};

const MIRRORS: usize = 3;

fn look_up(answers: &Sender<&str>) {
    // Fails if no receiver is left.
    let _ = answers.send("found it");
}

/// Returns the first answer, and leaks the other goroutines. To check whether another goroutine was
/// faster, each of them holds a receiver, so its own send never fails.
fn first_answer_leaky() -> &'static str {
    let (tx, rx) = channel::bounded(0);
    for _ in 0..MIRRORS {
        let (tx, rx) = (tx.clone(), rx.clone());
        go!(move || {
            if rx.is_empty() {
                look_up(&tx);
            }
        });
    }
    rx.recv().unwrap()
}

/// Returns the first answer, and leaks nothing. The goroutines hold only senders, and their waiting
/// sends fail when this function drops the receiver.
fn first_answer() -> &'static str {
    let (tx, rx) = channel::bounded(0);
    for _ in 0..MIRRORS {
        let tx = tx.clone();
        go!(move || look_up(&tx));
    }
    rx.recv().unwrap()
}

#[greenthread::main]
fn main() {
    println!("leaky: {}", first_answer_leaky());
    let leaked = loop {
        let waiting = debug::blocked_for(Duration::from_millis(20));
        if waiting.len() == MIRRORS - 1 {
            break waiting;
        }
        time::sleep(Duration::from_millis(1));
    };
    leaked.iter().for_each(describe);

    println!("fixed: {}", first_answer());
    // The sends of the slower goroutines have failed, but the goroutines may not have exited yet.
    while num_goroutine() > 1 + leaked.len() {
        time::sleep(Duration::from_millis(1));
    }
    println!("{} goroutines: main and the two that leaked", num_goroutine());
}

fn describe(goroutine: &GoroutineInfo) {
    let GoroutineState::Waiting(reason) = goroutine.state else { return };
    let file = Path::new(goroutine.spawned_at.file()).file_name().unwrap();
    println!("goroutine waits: {reason}, spawned in {}", file.display());
}
