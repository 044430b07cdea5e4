//! The code that the servers of this folder share, from the command line to the shutdown.
//!
//! ```text
//!   main ── args ── listen ── serve ──┬─ goroutine: connection
//!                     ^               ├─ goroutine: connection
//!   SIGINT, SIGTERM ──'               └─ ...
//! ```
//! A signal cancels the context that `serve` watches. The server then accepts no more connections,
//! gives the open connections some seconds to end by themselves, and finally cancels their
//! contexts.

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

/// Listens, and prints the address on the first line of standard output, since port 0 means any
/// port.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
    cli::print(format!("listening on {}\n", listener.local_addr()?))?;
    Ok(listener)
}

/// Returns a context that ends when the user presses Ctrl-C, or the system asks the program to end.
pub(crate) fn until_signal() -> (Context, Cancel) {
    signal::notify_context(&Context::background(), &[Signal::SIGINT, Signal::SIGTERM])
}

/// Parses the value of an option; `name` is the option's name for the error message.
pub(crate) fn value<T: FromStr<Err: Display>>(name: &str, value: &OsStr) -> Result<T, Error> {
    let text = value.to_str().ok_or_else(|| format!("{name}: {value:?} is not UTF-8"))?;
    text.parse().map_err(|error| format!("{name}: {text:?}: {error}").into())
}

/// Parses a number of seconds, such as `30` or `0.5`.
pub(crate) fn seconds(name: &str, text: &OsStr) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(value(name, text)?).map_err(|error| format!("{name}: {error}").into())
}
