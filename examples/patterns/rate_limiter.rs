//! A steady rate limiter: one request each 10 ms, from any client.
//!
//! Like Go's `rate.NewLimiter(rate.Every(period), 1)` in golang.org/x/time/rate. The first request
//! proceeds at once; the others are served in the order in which they arrived. A request that would
//! have to wait beyond its deadline fails at once.
//!
//! Prints:
//!
//! ```text
//! 6 requests, in at least 50 ms: true
//! the second request of the day: context deadline exceeded
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
    println!("the second request of the day: {}", daily.wait(&ctx).unwrap_err());
}
