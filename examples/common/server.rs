//! What the servers of this folder have in common: from the command line to the last goodbye.
//!
//! ```text
//!   main ── args ── listen ── serve ──┬─ goroutine: connection
//!                     ^               ├─ goroutine: connection
//!   SIGINT, SIGTERM ──'               └─ ...
//! ```
//! A signal cancels the context that `serve` watches. It accepts no more, gives the connections some seconds to come to
//! an end by themselves, and then cancels their contexts, too.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use greenthread::ctx::{Cancel, Context};
use greenthread::net::TcpListener;
use greenthread::signal::{self, Signal};
use lexopt::Error;

#[path = "cli.rs"]
pub(crate) mod cli;

pub(crate) use cli::{Command, run};

/// Listens, and says where on the first line of standard output: port 0 means any.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
    cli::print(format!("listening on {}\n", listener.local_addr()?))?;
    Ok(listener)
}

/// A context that ends when the user presses Ctrl-C, or the system asks the program to end.
pub(crate) fn until_signal() -> (Context, Cancel) {
    signal::notify_context(&Context::background(), &[Signal::SIGINT, Signal::SIGTERM])
}

/// The value of an option, whose name is only needed for the message.
pub(crate) fn value<T: FromStr<Err: Display>>(name: &str, value: &OsStr) -> Result<T, Error> {
    let text = value.to_str().ok_or_else(|| format!("{name}: {value:?} is not UTF-8"))?;
    text.parse().map_err(|error| format!("{name}: {text:?}: {error}").into())
}

/// A value in seconds, such as `30` or `0.5`.
pub(crate) fn seconds(name: &str, text: &OsStr) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(value(name, text)?).map_err(|error| format!("{name}: {error}").into())
}
