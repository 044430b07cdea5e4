//! Loop variables in goroutines: who captures what.
//!
//! In Go before 1.22 all rounds of a loop shared one variable, and goroutines started in the loop mostly saw its last
//! value. In Rust each round has a variable of its own, and `move` gives it to the closure. Leave `move` out, and the
//! compiler refuses (E0373): the goroutine may outlive what it borrows. To share one variable is possible, but has to
//! be asked for.
//!
//! Prints:
//!
//! ```text
//! moved: [0, 1, 2]
//! borrowed: [3, 5, 7]
//! shared: [3, 3, 3]
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenthread::{channel, go, scope};

#[greenthread::main]
fn main() {
    println!("moved: {:?}", moved());
    println!("borrowed: {:?}", borrowed(&["ada", "grace", "barbara"]));
    println!("shared: {:?}", shared());
}

/// Each goroutine owns a copy of the `n` of its round.
fn moved() -> Vec<usize> {
    let (tx, numbers) = channel::unbounded();
    for n in 0..3 {
        let tx = tx.clone();
        go!(move || tx.send(n).unwrap());
    }
    drop(tx);
    let mut all: Vec<_> = numbers.iter().collect();
    all.sort();
    all
}

/// A scope ends after its goroutines, so they may borrow from outside of it. What is moved here are references.
fn borrowed(names: &[&str]) -> Vec<usize> {
    let mut lengths = vec![0; names.len()];
    scope(|s| {
        for (name, length) in names.iter().zip(&mut lengths) {
            s.spawn(move || *length = name.len());
        }
    });
    lengths
}

/// Go's old mistake, written out: one variable for all rounds, and goroutines that look at it after the last one.
fn shared() -> Vec<usize> {
    let shared = Arc::new(AtomicUsize::new(0));
    let (end_of_loop, ended) = channel::bounded::<Infallible>(0);
    let (tx, numbers) = channel::unbounded();
    while shared.load(Ordering::Relaxed) < 3 {
        let (n, ended, tx) = (Arc::clone(&shared), ended.clone(), tx.clone());
        go!(move || {
            ended.recv().unwrap_err();
            tx.send(n.load(Ordering::Relaxed)).unwrap();
        });
        shared.fetch_add(1, Ordering::Relaxed);
    }
    drop((end_of_loop, tx));
    numbers.iter().collect()
}
