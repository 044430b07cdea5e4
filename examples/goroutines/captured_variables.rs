//! Loop variables in goroutines: what each closure captures.
//!
//! In Go before 1.22, all iterations of a loop shared one variable, and goroutines started in the
//! loop usually saw its last value. In Rust, each iteration has its own variable, and `move` gives
//! it to the closure. Without `move`, the compiler rejects the program (E0373), since the goroutine
//! may outlive the variables that it borrows. You can still share one variable, but you have to do
//! so explicitly.
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

/// Sends the `n` of each iteration from a goroutine that owns a copy.
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

/// Fills a slice from goroutines that borrow. A scope ends after its goroutines, so they may borrow
/// from outside the scope. Only references are moved here.
fn borrowed(names: &[&str]) -> Vec<usize> {
    let mut lengths = vec![0; names.len()];
    scope(|s| {
        for (name, length) in names.iter().zip(&mut lengths) {
            s.spawn(move || *length = name.len());
        }
    });
    lengths
}

/// Repeats Go's old mistake: all iterations share one variable, and the goroutines read it after
/// the last iteration.
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
