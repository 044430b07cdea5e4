//! `http`: an HTTP/1.1 server in plain blocking code, with one goroutine for each connection.
//!
//! ```text
//!   main: serve ──┬─ goroutine: connection ── framer ── route ── answer
//!        ^        ├─ goroutine: connection ── ...          │
//!        │        └─ ...                                   └─ goroutine that watches the
//!   SIGINT, SIGTERM                                           client (for /slow only)
//! ```
//!
//! * `framer.rs` splits the bytes into requests, with the help of `head.rs` (based on the
//!   `httparse` crate) and `chunked.rs`. None of them does I/O, so tests can feed them bytes split
//!   in every possible way.
//! * `connection.rs` reads requests, answers them, and writes the answers to pipelined requests at
//!   once.
//! * `wire.rs` is the socket with its deadlines. It handles slow clients, clients that disconnect
//!   during a request, and the shutdown.
//!
//! A `/plaintext` request allocates nothing, because buffers belong to the connection. Only a
//! request that waits for something, here `/slow`, gets a context and a second goroutine. For other
//! requests, these would make no difference.
#![forbid(unsafe_code)]

use std::process::ExitCode;

mod answer;
mod args;
mod chunked;
mod connection;
mod framer;
mod head;
mod routes;
#[path = "../common/server.rs"]
mod server;
mod status;
#[cfg(test)]
mod tests;
mod wire;

#[greenthread::main]
fn main() -> ExitCode {
    server::run("http", args::parse(), |options| {
        let listener = server::listen(options.addr)?;
        let (ctx, _cancel) = server::until_signal();
        let drain = ctx.clone();
        listener.serve(&ctx, options.grace, move |ctx, stream| {
            connection::serve(ctx, &drain, stream, &options.patience);
        })
    })
}
