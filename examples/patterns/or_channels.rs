//! `or`: one channel that closes with the first of many signals.
//!
//! Of timers, of goroutines that end, of requests to stop: whatever is a channel, however many there are. Go programs
//! build it from `reflect.Select`, or from a tree of goroutines ("Concurrency in Go", the or-channel). Nothing is
//! received by it, so afterwards one can look who was first.
//!
//! Prints:
//!
//! ```text
//! done in less than an hour: true
//! there is a signal of timer 2
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
    println!("there is a signal of timer {}", first.unwrap());

    let searches = [HOUR, HOUR, Duration::from_millis(10), HOUR].map(|takes| spawn(move || time::sleep(takes)));
    or(&ctx, searches.iter().map(|search| search.done().clone())).recv().unwrap_err();
    let found = searches.iter().position(JoinHandle::is_finished);
    println!("search {} has ended", found.unwrap());
}
