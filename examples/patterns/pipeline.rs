//! A pipeline: each stage is a goroutine with a channel to the next stage.
//!
//! From "Pipelines and cancellation" on Go's blog: a generator, a stage that squares, a loop that
//! receives. A pipeline stops when its values end, when no receiver is left, when a stage fails, or
//! when its context ends. In each case, all of its goroutines end.
//!
//! Prints:
//!
//! ```text
//! 4 9 16
//! the first three squares: [1, 4, 9]
//! failed: "x" is not a number
//! ```

use greenthread::ctx::Context;
use greenthread::patterns::Pipeline;

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let squares: Vec<_> = Pipeline::new(&ctx, [2, 3, 4]).map(|n| n * n).map(|n| n.to_string()).collect().unwrap();
    println!("{}", squares.join(" "));

    let first: Vec<u64> = Pipeline::new(&ctx, 1..).map(|n| n * n).take(3).collect().unwrap();
    println!("the first three squares: {first:?}");

    let parse = |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} is not a number"));
    let numbers = Pipeline::new(&ctx, ["1", "x", "3"]).try_map(parse);
    println!("failed: {}", numbers.collect::<Vec<_>>().unwrap_err());
}
