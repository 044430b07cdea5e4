//! A steady rate limiter: one request each 10 ms, whoever makes it.
//!
//! Go's `rate.NewLimiter(rate.Every(period), 1)` of golang.org/x/time/rate. The first request goes at once, the others
//! wait, first come, first served. Whoever would have to wait beyond his deadline is told so at once.
//!
//! Prints:
//!
//! ```text
//! 6 requests, in at least 50 ms: true
//! today's second: context deadline exceeded
//! ```

use std::time::{Duration, Instant};

use greenthread::ctx::Context;
use greenthread::patterns::RateLimiter;
use greenthread::scope;

static REQUESTS: RateLimiter = RateLimiter::steady(Duration::from_millis(10));

#[greenthread::main]
fn main() {
    let (ctx, begin) = (Context::background(), Instant::now());
    scope(|s| {
        for _client in 0..3 {
            s.spawn(|| {
                for _request in 0..2 {
                    REQUESTS.wait(&ctx).unwrap();
                }
            });
        }
    });
    println!("6 requests, in at least 50 ms: {}", begin.elapsed() >= Duration::from_millis(50));

    let daily = RateLimiter::steady(Duration::from_secs(24 * 3600));
    daily.wait(&ctx).unwrap();
    let (ctx, _cancel) = ctx.with_timeout(Duration::from_secs(60));
    println!("today's second: {}", daily.wait(&ctx).unwrap_err());
}
