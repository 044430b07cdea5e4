//! A bursty rate limiter: a token bucket.
//!
//! Like Go's `rate.NewLimiter(rate.Every(period), 3)` in golang.org/x/time/rate. Each request takes
//! a token out of the bucket, which is full at first. While the bucket is not full, one more token
//! arrives each period. So after a quiet time, three requests may proceed at once; in the long run,
//! one request proceeds each period.
//!
//! Prints:
//!
//! ```text
//! 10 requests at once: 3 served, 7 turned away
//! 3 at once and 4 that wait take at least 40 ms: true
//! after a quiet time 3 at once again: true
//! ```

use std::time::{Duration, Instant};

use greenthread::ctx::Context;
use greenthread::patterns::RateLimiter;
use greenthread::time;

#[greenthread::main]
fn main() {
    // No token arrives during the loop.
    let limiter = RateLimiter::bursty(Duration::from_secs(3600), 3);
    let served = (0..10).filter(|_| limiter.try_take()).count();
    println!("10 requests at once: {served} served, {} turned away", 10 - served);

    let period = Duration::from_millis(10);
    let (limiter, begin) = (RateLimiter::bursty(period, 3), Instant::now());
    for _request in 0..7 {
        limiter.wait(&Context::background()).unwrap();
    }
    println!("3 at once and 4 that wait take at least 40 ms: {}", begin.elapsed() >= 4 * period);

    time::sleep(3 * period);
    println!("after a quiet time 3 at once again: {}", limiter.try_take_n(3));
}
