//! A pipeline: each stage is a goroutine, with a channel to the next.
//!
//! Go's blog, "Pipelines and cancellation": a generator, a stage that squares, a loop that receives. A pipeline stops
//! when its values are at an end, when nobody wants more of them, when a stage gives up, or with its context; in each
//! case all of its goroutines end.
//!
//! Prints:
//!
//! ```text
//! 4 9 16
//! the first three of an endless one: [1, 4, 9]
//! given up: "x" is no number
//! ```

use greenthread::ctx::Context;
use greenthread::patterns::Pipeline;

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let squares: Vec<_> = Pipeline::new(&ctx, [2, 3, 4]).map(|n| n * n).map(|n| n.to_string()).collect().unwrap();
    println!("{}", squares.join(" "));

    let first: Vec<u64> = Pipeline::new(&ctx, 1..).map(|n| n * n).take(3).collect().unwrap();
    println!("the first three of an endless one: {first:?}");

    let parse = |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} is no number"));
    let numbers = Pipeline::new(&ctx, ["1", "x", "3"]).try_map(parse);
    println!("given up: {}", numbers.collect::<Vec<_>>().unwrap_err());
}
