//! A stage used twice: numbers are squared, then squared again.
//!
//! The input and the output have the same type, so stages compose like functions: Go's
//! `sq(sq(gen(1, 2, 3)))`.
//!
//! Prints:
//!
//! ```text
//! 1
//! 16
//! 81
//! ```

use greenthread::ctx::Context;
use greenthread::patterns::Pipeline;

#[greenthread::main]
fn main() {
    let numbers = Pipeline::new(&Context::background(), [1, 2, 3]);
    for n in &square(square(numbers)) {
        println!("{n}");
    }
}

fn square(numbers: Pipeline<u32>) -> Pipeline<u32> {
    numbers.map(|n| n * n)
}
