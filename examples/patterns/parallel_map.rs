//! `parallel_map`: calls a function for many items, a few at a time, until the first error.
//!
//! This is Go's `errgroup` with `SetLimit`, and a slice of results. The function and the items may
//! borrow from the caller, which gets the results in the order of the items. When a call fails, no
//! further item is started, and the running calls learn of the failure from their contexts.
//!
//! Prints:
//!
//! ```text
//! lengths: [3, 5, 7]
//! failed: page 3 is missing
//! 4 of 1000 pages were started
//! ```

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::patterns::parallel_map;

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let names = ["ada", "grace", "barbara"];
    let lengths = parallel_map(&ctx, 2, &names, |_ctx, name| io::Result::Ok(name.len()));
    println!("lengths: {:?}", lengths.unwrap());

    let started = AtomicUsize::new(0);
    let pages = parallel_map(&ctx, 4, 0..1000, |ctx, page| {
        started.fetch_add(1, Ordering::Relaxed);
        if page == 3 {
            return Err(io::Error::other("page 3 is missing"));
        }
        // Would take an hour if no call failed.
        Ok(ctx.sleep(Duration::from_secs(3600))?)
    });
    println!("failed: {}", pages.unwrap_err());
    println!("{} of 1000 pages were started", started.into_inner());
}
