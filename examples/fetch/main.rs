//! `fetch URL...`: gets many URLs at once, and prints status, bytes and time of each in the order given.
//!
//! ```text
//!   main ──┬─ goroutine: wait for the semaphore, then connect, ask, read ──┐
//!     ^    ├─ goroutine: ...                                               ├─> main: joins the oldest, prints, next
//!     │    └─ ...                                                          ┘
//!   SIGINT, SIGTERM
//! ```
//!
//! A goroutine for each URL from the start; the semaphore lets so many of them work. Each has a context with a timeout below
//! the one that a signal ends, and `TcpStream::connect_ctx` and `with_ctx` make the socket obey it: no other code here knows
//! about time.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenthread::ctx::Context;
use greenthread::spawn;
use greenthread::sync::Semaphore;

mod args;
#[path = "../http/chunked.rs"]
mod chunked;
mod client;
mod url;

use args::{Command, Options};
use client::Answer;
use greenthread::signal::{self, Signal};
use url::Url;

#[greenthread::main]
fn main() -> ExitCode {
    let result = match args::parse() {
        Ok(Command::Fetch(options)) => fetch(options),
        Ok(Command::Say(text)) => io::stdout().write_all(text.as_bytes()).map(|()| true),
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format_args!("write error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for each URL; `Ok(false)` if some gave no answer, an error if standard output cannot be written.
fn fetch(options: Options) -> io::Result<bool> {
    let (ctx, _cancel) = signal::notify_context(&Context::background(), &[Signal::SIGINT, Signal::SIGTERM]);
    let places = Arc::new(Semaphore::new(options.concurrency));
    let timeout = options.timeout;
    let running: Vec<_> = options
        .urls
        .into_iter()
        .map(|url| {
            let (ctx, places) = (ctx.clone(), places.clone());
            spawn(move || {
                let result = visit(&ctx, &places, timeout, &url);
                (url, result)
            })
        })
        .collect();

    let mut out = io::stdout();
    let mut all_answered = true;
    for goroutine in running {
        // A panic was printed by the panic hook.
        let Ok((url, result)) = goroutine.join() else {
            all_answered = false;
            continue;
        };
        match result {
            Ok((Answer { status, bytes }, time)) => {
                writeln!(out, "{status} {bytes:>10} {:>9.3} {url}", time.as_secs_f64())?;
            }
            Err(error) => {
                all_answered = false;
                complain(&format_args!("{url}: {error}"));
            }
        }
    }
    Ok(all_answered)
}

/// Gets one URL when there is a place. The time for that begins then.
fn visit(ctx: &Context, places: &Semaphore, timeout: Duration, url: &Url) -> io::Result<(Answer, Duration)> {
    let _place = places.acquire_ctx(1, ctx)?;
    let begin = Instant::now();
    let (ctx, _cancel) = ctx.with_timeout(timeout);
    let answer = client::get(&ctx, url)?;
    Ok((answer, begin.elapsed()))
}

/// Says on standard error what went wrong. If even that cannot be written, the exit status still tells.
fn complain(what: &dyn Display) {
    let _ = io::stderr().write_all(format!("fetch: {what}\n").as_bytes());
}
