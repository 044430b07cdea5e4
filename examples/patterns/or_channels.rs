//! `or`: one channel that closes at the first of many signals.
//!
//! It takes any number of channels, such as timers, the done channels of goroutines, or requests to
//! stop. Go programs build it from `reflect.Select`, or from a tree of goroutines (the or-channel
//! of "Concurrency in Go"). `or` receives nothing, so you can check afterward which channel was
//! first.
//!
//! Prints:
//!
//! ```text
//! done in less than an hour: true
//! timer 2 fired first
//! search 2 has ended
//! ```

use std::time::{Duration, Instant};

use greenthread::ctx::Context;
use greenthread::patterns::or;
use greenthread::{JoinHandle, spawn, time};

const HOUR: Duration = Duration::from_secs(3600);

#[greenthread::main]
fn main() {
    let (ctx, begin) = (Context::background(), Instant::now());
    let timers = [24 * HOUR, HOUR, Duration::from_millis(10), 2 * HOUR].map(time::after);
    or(&ctx, timers.clone()).recv().unwrap_err();
    println!("done in less than an hour: {}", begin.elapsed() < HOUR);
    let first = timers.iter().position(|timer| timer.try_recv().is_ok());
    println!("timer {} fired first", first.unwrap());

    let searches = [HOUR, HOUR, Duration::from_millis(10), HOUR].map(|takes| spawn(move || time::sleep(takes)));
    or(&ctx, searches.iter().map(|search| search.done().clone())).recv().unwrap_err();
    let found = searches.iter().position(JoinHandle::is_finished);
    println!("search {} has ended", found.unwrap());
}
