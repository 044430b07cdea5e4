//! Result channels: how a goroutine returns what it has found.
//!
//! For one result, the function that starts the goroutine returns the receiver, like Go's
//! `func f() <-chan T`. A capacity of one lets the goroutine end even if the result is never
//! received. For many results, all goroutines share a channel. Results arrive in any order, so each
//! result says which input it belongs to and whether the work succeeded. The channel closes when
//! the last sender is dropped, so nothing has to be counted.
//!
//! Prints:
//!
//! ```text
//! 6 * 7 = 42
//! "12": 12
//! "x": invalid digit found in string
//! "300": number too large to fit in target type
//! "7": 7
//! ```

use std::num::ParseIntError;

use greenthread::channel::{self, Receiver};
use greenthread::go;

#[greenthread::main]
fn main() {
    let product = multiply(6, 7);
    // Do other work here.
    println!("6 * 7 = {}", product.recv().unwrap());

    let texts = ["12", "x", "300", "7"];
    let mut results: Vec<_> = parse_all(&texts).iter().collect();
    results.sort_by_key(|(index, _)| *index);
    for (index, result) in results {
        match result {
            Ok(number) => println!("{:?}: {number}", texts[index]),
            Err(error) => println!("{:?}: {error}", texts[index]),
        }
    }
}

fn multiply(a: u64, b: u64) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(1);
    go!(move || {
        // Fails if the caller has dropped the receiver and so does not need the product.
        let _ = tx.send(a * b);
    });
    rx
}

fn parse_all(texts: &[&'static str]) -> Receiver<(usize, Result<u8, ParseIntError>)> {
    let (tx, rx) = channel::bounded(texts.len());
    for (index, &text) in texts.iter().enumerate() {
        let tx = tx.clone();
        go!(move || {
            let _ = tx.send((index, text.parse()));
        });
    }
    rx
}
