//! `bridge`: a channel of channels, read as a single channel.
//!
//! It is for results that arrive in parts, where each part is a sequence. Here, the parts are the
//! pages of a long list. The reader does not have to know about pages. For a function that returns
//! a whole sequence at once, use `flat_map`.
//!
//! Prints:
//!
//! ```text
//! all: 1 2 3 4 5 6 7 8 9
//! enough: [1, 2, 3, 4]
//! ```

use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, bridge};

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let all: Vec<_> = bridge(&ctx, pages(&ctx)).map(|n| n.to_string()).collect().unwrap();
    println!("all: {}", all.join(" "));
    // The page that is being read also stops, and no more pages are requested.
    println!("enough: {:?}", bridge(&ctx, pages(&ctx)).take(4).collect::<Vec<_>>().unwrap());
}

/// Returns three pages of three numbers, each page sent by its own goroutine.
fn pages(ctx: &Context) -> Pipeline<Pipeline<u32>> {
    let page_ctx = ctx.clone();
    Pipeline::new(ctx, [1, 4, 7]).map(move |first| Pipeline::new(&page_ctx, first..first + 3))
}
