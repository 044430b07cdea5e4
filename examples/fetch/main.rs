//! `fetch URL...`: gets many URLs at once, and prints the status, size, and time of each of them in
//! the order given.
//!
//! ```text
//!   main ──┬─ goroutine: waits for the semaphore, connects, asks, reads ─┐
//!     ^    ├─ goroutine: ...                                             ├─> main: joins and
//!     │    └─ ...                                                        ┘   prints in order
//!   SIGINT, SIGTERM
//! ```
//!
//! Every URL has a goroutine from the start; the semaphore limits how many of them work at once.
//! Each goroutine has a context with a timeout. This context is a child of the context that a
//! signal ends. `TcpStream::connect_ctx` and `with_ctx` make the socket obey the child context, so
//! no other code here deals with time.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenthread::ctx::Context;
use greenthread::spawn;
use greenthread::sync::Semaphore;

mod args;
#[path = "../http/chunked.rs"]
mod chunked;
#[path = "../common/cli.rs"]
mod cli;
mod client;
mod url;

use args::Options;
use greenthread::signal::{self, Signal};
use url::Url;

/// The result for one URL.
struct Answer {
    status: u16,
    /// The bytes of the body.
    bytes: u64,
    time: Duration,
}

#[greenthread::main]
fn main() -> ExitCode {
    cli::run("fetch", args::parse(), fetch)
}

/// Prints a line for each URL, and returns the exit status, which says whether every URL gave an
/// answer. Returns an error if standard output cannot be written.
fn fetch(options: Options) -> io::Result<ExitCode> {
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

    let mut all_answered = true;
    for goroutine in running {
        // The panic hook has printed the panic.
        let Ok((url, result)) = goroutine.join() else {
            all_answered = false;
            continue;
        };
        match result {
            Ok(Answer { status, bytes, time }) => {
                cli::print(format!("{status} {bytes:>10} {:>9.3} {url}\n", time.as_secs_f64()))?;
            }
            Err(error) => {
                all_answered = false;
                cli::complain("fetch", &format_args!("{url}: {error}"));
            }
        }
    }
    Ok(if all_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gets one URL when the semaphore allows. The time limit begins at that point.
fn visit(ctx: &Context, places: &Semaphore, timeout: Duration, url: &Url) -> io::Result<Answer> {
    let _place = places.acquire_ctx(ctx, 1)?;
    let begin = Instant::now();
    let (ctx, _cancel) = ctx.with_timeout(timeout);
    let mut bytes = 0;
    let status = client::get(&ctx, url, |data| bytes += data.len() as u64)?;
    Ok(Answer { status, bytes, time: begin.elapsed() })
}
