//! Deadlines: work that stops when its time is up.
//!
//! The counterpart of Go's `context.WithTimeout` and `WithDeadline`. The context is passed down
//! through all calls. Every wait under it ends in time, whether on a channel, in a sleep, or on a
//! socket. A callee may have a shorter deadline than its caller, but never a longer one. A
//! computation has to check `ctx.err()` now and then.
//!
//! Prints:
//!
//! ```text
//! quick: Ok("done")
//! waiting: Err(DeadlineExceeded)
//! computing: Err(DeadlineExceeded)
//! a longer deadline below has no effect: true
//! no answer from the printer: context deadline exceeded
//! ```

use std::time::Duration;

use greenthread::ctx::{Context, Error};

const HOUR: Duration = Duration::from_secs(3600);

/// So short that it passes during the computation.
const SHORT: Duration = Duration::from_millis(10);

#[greenthread::main]
fn main() {
    let background = Context::background();
    let (ctx, _cancel) = background.with_timeout(HOUR);
    println!("quick: {:?}", print_page(&ctx, Duration::ZERO));

    let (ctx, _cancel) = background.with_timeout(SHORT);
    println!("waiting: {:?}", print_page(&ctx, HOUR));

    let (ctx, _cancel) = background.with_timeout(SHORT);
    println!("computing: {:?}", compute(&ctx));

    let (longer, _cancel) = ctx.with_timeout(HOUR);
    println!("a longer deadline below has no effect: {}", longer.deadline() == ctx.deadline());

    let (ctx, _cancel) = background.with_timeout_cause(SHORT, "no answer from the printer");
    if let Err(error) = print_page(&ctx, HOUR) {
        println!("{}: {error}", ctx.cause().unwrap());
    }
}

fn print_page(ctx: &Context, takes: Duration) -> Result<&'static str, Error> {
    ctx.sleep(takes)?;
    Ok("done")
}

/// Searches for the longest Collatz sequence below a limit that is out of reach.
fn compute(ctx: &Context) -> Result<u64, Error> {
    let mut longest = 0;
    for start in 1..u64::from(u32::MAX) {
        if let Some(error) = ctx.err() {
            return Err(error);
        }
        let (mut n, mut steps) = (start, 0);
        while n != 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        longest = longest.max(steps);
    }
    Ok(longest)
}
