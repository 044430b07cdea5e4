//! `proxy --to HOST:PORT`: forwards TCP connections to another server.
//!
//! ```text
//!   main: serve ──┬─ goroutine per connection ── place ── connect ── scope ─┬─ client to server
//!                 ├─ ...                           |                        `─ server to client
//!                 `─ ...                  semaphore of --limit
//! ```
//!
//! Two goroutines copy both directions of a connection at once. They use the same two streams,
//! because reading and writing do not exclude each other. When one side has sent everything, only
//! that direction ends, and a shutdown passes the end on to the other side. So a client may close
//! its half and still wait for a long answer. When one direction fails, the context of the pair is
//! canceled, which also ends the other direction.
//!
//! `--connect-timeout` limits the total time that a client waits for a place and for the server:
//! one context with a deadline applies to both waits.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use greenthread::ctx::{Cancel, Context};
use greenthread::net::TcpStream;
use greenthread::sync::{Permit, Semaphore};
use lexopt::Arg::{Long, Short};
use lexopt::Error;

#[path = "../common/server.rs"]
mod server;

use server::Command;
use server::cli::complain;

const NAME: &str = "proxy";

const HELP: &str = "\
Usage: proxy [OPTION]... --to HOST:PORT

Forwards each TCP connection to another server, both ways, and keeps half-closed
ones open. SIGINT and SIGTERM end it.

Options:
  -t, --to HOST:PORT             the server
  -l, --listen ADDR              listen here (default: 127.0.0.1:7008; port 0
                                 means any); --addr is the same. The first line
                                 of output is 'listening on ADDRESS'
  -n, --limit N                  forward N connections at a time (default: 1024)
  -c, --connect-timeout SECONDS  how long a client waits for a place and for the
                                 server before it is disconnected (default: 5)
  -g, --grace SECONDS            how long the connections may go on after a
                                 signal (default: 5)
  -h, --help                     print this help and exit
  -V, --version                  print the version and exit

Exit status: 0, 1 if it cannot listen, 2 if the command line is wrong.
";

struct Options {
    listen: SocketAddr,
    to: String,
    limit: NonZeroUsize,
    connect_timeout: Duration,
    grace: Duration,
}

#[greenthread::main]
fn main() -> ExitCode {
    server::run(NAME, parse(lexopt::Parser::from_env()), serve)
}

fn parse(mut parser: lexopt::Parser) -> Result<Command<Options>, Error> {
    let mut options = Options {
        listen: ([127, 0, 0, 1], 7008).into(),
        to: String::new(),
        limit: NonZeroUsize::new(1024).expect("1024 is not 0"),
        connect_timeout: Duration::from_secs(5),
        grace: Duration::from_secs(5),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('t') | Long("to") => options.to = target(&parser.value()?)?,
            Short('l') | Long("listen" | "addr") => options.listen = server::value("--listen", &parser.value()?)?,
            Short('n') | Long("limit") => options.limit = server::value("--limit", &parser.value()?)?,
            Short('c') | Long("connect-timeout") => {
                options.connect_timeout = server::seconds("--connect-timeout", &parser.value()?)?;
            }
            Short('g') | Long("grace") => options.grace = server::seconds("--grace", &parser.value()?)?,
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version(NAME)),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.to.is_empty() {
        return Err("no server given".into());
    }
    Ok(Command::Run(options))
}

/// Parses a name or an address, and a port. Names are resolved again for each connection.
fn target(value: &OsStr) -> Result<String, Error> {
    let text: String = server::value("--to", value)?;
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text),
        _ => Err(format!("--to: {text:?} is not HOST:PORT").into()),
    }
}

fn serve(options: Options) -> io::Result<()> {
    let (ctx, _cancel) = server::until_signal();
    let listener = server::listen(options.listen)?;
    let grace = options.grace;
    let places = Arc::new(Semaphore::new(options.limit.get()));
    listener.serve(&ctx, grace, move |ctx, client| {
        if let Err(error) = hand_on(ctx, &client, &options, &places) {
            complain(NAME, &format_args!("{}: {error}", options.to));
        }
    })
}

/// Connects a client to the server, and returns when both directions have ended. Returns an error
/// if they could not be connected.
fn hand_on(ctx: &Context, client: &TcpStream, options: &Options, places: &Semaphore) -> io::Result<()> {
    let (server, _permit) = reach(ctx, options, places)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (ctx, cancel) = ctx.with_cancel();
    greenthread::scope(|scope| {
        scope.spawn(|| one_way(&ctx, &cancel, client, &server));
        one_way(&ctx, &cancel, &server, client);
    });
    Ok(())
}

/// Waits for a place among the connections, then connects to the server.
fn reach<'a>(ctx: &Context, options: &Options, places: &'a Semaphore) -> io::Result<(TcpStream, Permit<'a>)> {
    let (ctx, _cancel) = ctx.with_timeout(options.connect_timeout);
    let permit = places.acquire_ctx(&ctx, 1)?;
    Ok((TcpStream::connect_ctx(&ctx, options.to.as_str())?, permit))
}

/// Copies until `from` has sent everything, and then shuts down the sending side of `to`. Ends both
/// directions if copying fails.
fn one_way(ctx: &Context, cancel: &Cancel, from: &TcpStream, to: &TcpStream) {
    let copied = io::copy(&mut from.with_ctx(ctx), &mut to.with_ctx(ctx));
    if copied.is_err() || to.shutdown(Shutdown::Write).is_err() {
        cancel.cancel();
    }
}
