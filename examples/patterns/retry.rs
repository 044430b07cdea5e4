//! `retry`: repeats an operation that fails, with growing pauses.
//!
//! Each pause is twice as long as the one before. The caller waits only for a random part of each
//! pause, so that a thousand clients do not all come back at once. An error that will not go away
//! does not lead to a second attempt. In Go, this is a loop with a `select` in it.
//!
//! Prints:
//!
//! ```text
//! attempt 1: connection refused
//! attempt 2: connection refused
//! attempt 3: hello
//! permission denied after 1 attempt
//! no time for a second attempt: connection refused
//! ```

use std::io::{self, ErrorKind};
use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::patterns::{Backoff, Jitter, retry, retry_if};

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let backoff = Backoff::exponential(Duration::from_millis(2)).max_attempts(5);
    let greeting = retry(&ctx, backoff, |attempt| {
        connect(attempt).inspect_err(|error| println!("attempt {attempt}: {error}")).map(|text| (attempt, text))
    });
    let (attempt, text) = greeting.unwrap();
    println!("attempt {attempt}: {text}");

    let mut attempts = 0;
    let refused = |error: &io::Error| error.kind() == ErrorKind::ConnectionRefused;
    let result = retry_if(&ctx, backoff, refused, |_| -> io::Result<()> {
        attempts += 1;
        Err(ErrorKind::PermissionDenied.into())
    });
    println!("{} after {attempts} attempt", result.unwrap_err());

    let (ctx, _cancel) = ctx.with_timeout(Duration::from_secs(60));
    let slow = Backoff::exponential(Duration::from_secs(3600)).jitter(Jitter::None);
    println!("no time for a second attempt: {}", retry(&ctx, slow, connect).unwrap_err());
}

/// Fails twice, then succeeds.
fn connect(attempt: u32) -> io::Result<&'static str> {
    if attempt < 3 { Err(ErrorKind::ConnectionRefused.into()) } else { Ok("hello") }
}
