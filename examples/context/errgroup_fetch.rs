//! Fetching several pages at once, where the first error cancels the other fetches.
//!
//! The counterpart of Go's `golang.org/x/sync/errgroup`. `Group::with_context` creates a context
//! that ends when the first goroutine returns an error, and `wait` returns that error when all
//! goroutines have ended. Connects, reads, and writes under the context end when it ends, so none
//! of them waits for a page that is not needed anymore.
//!
//! Prints:
//!
//! ```text
//! /a: the page /a
//! /b: the page /b
//! /c: the page /c
//! all: Ok(())
//! /broken: status 500
//! /slow/1: context canceled
//! /slow/2: context canceled
//! all: Err("/broken: status 500")
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use greenthread::ctx::Context;
use greenthread::sync::Mutex;
use greenthread::sync::errgroup::Group;

#[path = "../common/http.rs"]
mod http;
#[path = "../common/http_get.rs"]
mod http_get;

use http::Answer;

#[greenthread::main]
fn main() -> io::Result<()> {
    let (ctx, _cancel) = Context::background().with_cancel();
    let addr = http::serve(&ctx, page)?;
    for paths in [["/a", "/b", "/c"], ["/slow/1", "/broken", "/slow/2"]] {
        let result = fetch_all(&ctx, addr, &paths);
        println!("all: {result:?}");
    }
    Ok(())
}

/// Fetches the pages concurrently and prints the outcome for each path.
fn fetch_all(ctx: &Context, addr: SocketAddr, paths: &[&'static str]) -> Result<(), String> {
    let (group, ctx) = Group::with_context(ctx);
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    for &path in paths {
        let (ctx, outcomes) = (ctx.clone(), Arc::clone(&outcomes));
        group.go(move || {
            let outcome = fetch(&ctx, addr, path);
            outcomes.lock().push(outcome.clone());
            outcome.map(drop)
        });
    }
    let result = group.wait();
    let mut lines: Vec<_> = outcomes.lock().drain(..).map(|outcome| outcome.unwrap_or_else(|error| error)).collect();
    lines.sort();
    println!("{}", lines.join("\n"));
    result
}

fn fetch(ctx: &Context, addr: SocketAddr, path: &str) -> Result<String, String> {
    match http_get::get(ctx, addr, path) {
        Ok(Answer { status: 200, body }) => Ok(format!("{path}: {body}")),
        Ok(Answer { status, .. }) => Err(format!("{path}: status {status}")),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

/// Returns the server's page for a path.
fn page(ctx: &Context, path: &str) -> Answer {
    if path == "/broken" {
        return Answer::new(500, "out of order");
    }
    if path.starts_with("/slow/") {
        // Takes longer than any client waits.
        let _ = ctx.done().recv();
    }
    Answer::new(200, format!("the page {path}"))
}
