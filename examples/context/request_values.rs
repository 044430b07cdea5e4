//! Values that belong to a request, passed from the middleware of an HTTP server to everything it
//! calls.
//!
//! The counterpart of Go's `context.WithValue`, with middleware like Go's
//! `func(http.Handler) http.Handler`: it takes a handler and returns a handler. Each middleware
//! stores its value in the context under its own type; Go programs use a key of an unexported type
//! for this. So the log knows which user sent the request, even though `orders` does not pass that
//! on.
//!
//! Prints:
//!
//! ```text
//! /orders?user=ada: 200 orders of ada
//! /orders?user=grace: 200 orders of grace
//! /orders: 401 who are you?
//! the log:
//!   request 1, ada: reading the orders
//!   request 2, grace: reading the orders
//!   request 3, nobody: refused
//! ```

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use greenthread::channel::{self, Sender};
use greenthread::ctx::Context;

#[path = "../common/http.rs"]
mod http;
#[path = "../common/http_get.rs"]
mod http_get;

use http::{Answer, Handler};

struct RequestId(u64);
struct User(String);

/// The sender for the lines of the log.
struct Log(Sender<String>);

#[greenthread::main]
fn main() -> io::Result<()> {
    let (log, lines) = channel::unbounded();
    let (ctx, _cancel) = Context::background().with_value(Log(log)).with_cancel();
    let addr = http::serve(&ctx, with_request_id(with_user(orders)))?;
    for path in ["/orders?user=ada", "/orders?user=grace", "/orders"] {
        let answer = http_get::get(&Context::background(), addr, path)?;
        println!("{path}: {} {}", answer.status, answer.body);
    }
    println!("the log:");
    lines.try_iter().for_each(|line| println!("  {line}"));
    Ok(())
}

/// Returns a handler that numbers the requests.
fn with_request_id(next: impl Handler) -> impl Handler {
    let last = AtomicU64::new(0);
    move |ctx: &Context, path: &str| {
        let id = last.fetch_add(1, Ordering::Relaxed) + 1;
        next(&ctx.with_value(RequestId(id)), path)
    }
}

/// Returns a handler that refuses requests without a user name.
fn with_user(next: impl Handler) -> impl Handler {
    move |ctx: &Context, path: &str| match path.split_once("?user=") {
        Some((path, user)) => next(&ctx.with_value(User(user.to_owned())), path),
        None => {
            log(ctx, "refused");
            Answer::new(401, "who are you?")
        }
    }
}

fn orders(ctx: &Context, _path: &str) -> Answer {
    let User(user) = ctx.value().expect("with_user comes first");
    log(ctx, "reading the orders");
    Answer::new(200, format!("orders of {user}"))
}

fn log(ctx: &Context, event: &str) {
    let Some(Log(lines)) = ctx.value() else { return };
    let id = ctx.value().map_or(0, |RequestId(id)| *id);
    let user = ctx.value().map_or("nobody", |User(user)| user);
    lines.send(format!("request {id}, {user}: {event}")).expect("main receives");
}
