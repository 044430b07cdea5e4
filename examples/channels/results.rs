//! Result channels: how a goroutine hands back what it found out.
//!
//! For one result the function that starts the goroutine returns the receiver, Go's `func f() <-chan T`. The capacity
//! of one lets the goroutine end even if nobody asks. For many results all goroutines share a channel; each result says
//! whose it is, as they come in any order, and whether it went well. The channel closes when the last sender is
//! dropped, so nobody counts.
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
    // Here is the time for other things.
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
        // It fails if the caller has dropped the receiver: then the product is not wanted.
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
