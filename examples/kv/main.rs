//! `kv`: a server for the Redis protocol, for unmodified `redis-cli` and `redis-benchmark`.
//!
//! ```text
//!   main: serve ──┬─ goroutine per connection: read, run, reply ─── shards, each under a lock ──┐
//!                 ├─ ...                                                                         |
//!                 └─ ...  a subscriber: and its pusher <── outbox <── broker <── PUBLISH         |
//!                                                                                               |
//!   sweeper: sleeps until the first key expires ────────────────────────────────────────────────┘
//! ```
//!
//! Redis runs all commands on one thread, so each of them is atomic. Here, they run on all Ps and
//! are still atomic: see `store.rs` for the locks. `resp.rs` is the protocol, `connection.rs` the
//! loop of a connection, and `commands.rs` the table of the commands. `strings.rs`, `lists.rs`,
//! `keys.rs`, and `admin.rs` implement the commands. `pubsub.rs` and `outbox.rs` carry messages
//! between connections.
//!
//! After a signal, the requests that have arrived are still answered, and then each connection is
//! closed.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use greenthread::go;

mod admin;
mod args;
mod commands;
mod connection;
mod glob;
mod keys;
mod lists;
mod outbox;
mod pubsub;
mod resp;
#[path = "../common/server.rs"]
mod server;
mod store;
mod strings;

use args::Options;
use pubsub::Broker;
use resp::Limits;
use store::Store;

/// The state that all connections share.
struct Database {
    store: Store,
    broker: Broker,
    limits: Limits,
    outbox: usize,
    started: Instant,
    /// The number of open connections, and the number of all connections so far.
    clients: AtomicUsize,
    accepted: AtomicU64,
    commands: AtomicU64,
}

#[greenthread::main]
fn main() -> ExitCode {
    server::run(args::NAME, args::parse(lexopt::Parser::from_env()), serve)
}

fn serve(options: Options) -> io::Result<()> {
    let (ctx, _cancel) = server::until_signal();
    let (store, woken) = Store::new();
    let database = Arc::new(Database {
        store,
        broker: Broker::default(),
        limits: Limits { bulk: options.max_bulk },
        outbox: options.outbox,
        started: Instant::now(),
        clients: AtomicUsize::new(0),
        accepted: AtomicU64::new(0),
        commands: AtomicU64::new(0),
    });
    let listener = server::listen(options.addr)?;
    let (sweeper, until) = (Arc::clone(&database), ctx.clone());
    go!(move || sweeper.store.keep_clean(&until, &woken));

    let signal = ctx.clone();
    listener.serve(&ctx, options.grace, move |ctx, stream| {
        database.clients.fetch_add(1, Ordering::Relaxed);
        // The failure of one client does not affect the others.
        let _ = connection::serve(&database, &signal, ctx, stream);
        database.clients.fetch_sub(1, Ordering::Relaxed);
    })
}
