//! A goroutine leak, how to see it, and its fix.
//!
//! Three goroutines look something up, and only the first answer is wanted. In Go the two others wait for ever to send
//! on an unbuffered channel. In Rust they do not, since a send fails when the last receiver is gone, unless somebody
//! keeps a receiver: here each goroutine has one itself. `debug::blocked_for` names those who wait, and
//! `num_goroutine`, Go's `runtime.NumGoroutine`, says how many there are.
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
    // An error says that nobody wants the answer any more.
    let _ = answers.send("found it");
}

/// Each goroutine looks first whether another was faster. For that it has a receiver, and so its own send never fails.
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

/// The goroutines have senders only. The receiver goes with this function, and the sends that wait then fail.
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
    // Those that came too late have been told, and may still be on their way out.
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
