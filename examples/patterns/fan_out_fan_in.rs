//! Fan-out and fan-in: several goroutines square numbers, and one channel collects the squares.
//!
//! From "Pipelines and cancellation" on Go's blog: several goroutines read one channel until it is
//! closed, and `merge` joins their outputs. Each number goes to a free goroutine. `worker_pool`
//! does the same in one call; with separate calls, each branch can have its own stages.
//!
//! Prints:
//!
//! ```text
//! squares: [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]
//! sum: 385
//! ```

use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, fan_in, fan_out};

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let numbers = Pipeline::new(&ctx, 1..=10);
    let branches = fan_out(&ctx, 3, numbers, |n: u32| n * n);
    let mut squares: Vec<_> = fan_in(&ctx, branches).collect().unwrap();
    squares.sort();
    println!("squares: {squares:?}");
    println!("sum: {}", squares.iter().sum::<u32>());
}
