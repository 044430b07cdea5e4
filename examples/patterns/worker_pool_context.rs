//! A worker pool that is cut short: by a timeout, and by hand in the middle.
//!
//! When the context ends, so does the pool. No further job is started, and the running jobs learn
//! of the end from their contexts. The results simply stop, as if there were no more; `wait` and
//! `collect` tell the difference. Afterward, no goroutine is left.
//!
//! Prints:
//!
//! ```text
//! all of them: context deadline exceeded
//! before the end: [1, 2, 3, 4]
//! and then: the user pressed Ctrl-C
//! goroutines left: main
//! ```

use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, worker_pool};
use greenthread::{num_goroutine, yield_now};

#[greenthread::main]
fn main() {
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(20));
    let all = download(&ctx).collect::<Vec<_>>();
    println!("all of them: {}", all.unwrap_err());

    let (ctx, cancel) = Context::background().with_cancel_cause();
    let pages = download(&ctx);
    let mut early: Vec<_> = pages.iter().take(4).collect();
    early.sort();
    println!("before the end: {early:?}");
    cancel.cancel("the user pressed Ctrl-C");
    println!("and then: {}", pages.wait().unwrap_err());

    // When `wait` returns, the last goroutines may not have exited yet.
    while num_goroutine() > 1 {
        yield_now();
    }
    println!("goroutines left: main");
}

/// Downloads a hundred pages, two at a time. From the fifth page on, each takes longer than this
/// program waits.
fn download(ctx: &Context) -> Pipeline<u32> {
    worker_pool(ctx, 2, Pipeline::new(ctx, 1..=100), |ctx, page| {
        if page > 4 {
            // Fails when the context ends; then no one receives the result.
            let _ = ctx.sleep(Duration::from_secs(3600));
        }
        page
    })
}
