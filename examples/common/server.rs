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
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use greenthread::ctx::{Cancel, Context};
use greenthread::net::TcpListener;
use greenthread::signal::{self, Signal};
use lexopt::Error;

/// What the user wants.
pub(crate) enum Command<O> {
    /// Do the work.
    Serve(O),
    /// Only print this text.
    Say(String),
}

impl<O> Command<O> {
    /// The answer to `--version`.
    pub(crate) fn version(program: &str) -> Self {
        Self::Say(format!("{program} {}\n", env!("CARGO_PKG_VERSION")))
    }
}

/// Does what the command line says. Its result is the exit status: 2 for a wrong command line, 1 for everything else
/// that went wrong, which is told on standard error.
pub(crate) fn run<O>(
    program: &str,
    command: Result<Command<O>, Error>,
    serve: impl FnOnce(O) -> io::Result<()>,
) -> ExitCode {
    let (result, status) = match command {
        Ok(Command::Serve(options)) => (serve(options), ExitCode::FAILURE),
        Ok(Command::Say(text)) => (io::stdout().write_all(text.as_bytes()), ExitCode::FAILURE),
        Err(error) => (Err(io::Error::other(format!("{error}, see '{program} --help'"))), ExitCode::from(2)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even that cannot be written, the exit status still tells.
            let _ = io::stderr().write_all(format!("{program}: {error}\n").as_bytes());
            status
        }
    }
}

/// Listens, and says where on the first line of standard output: port 0 means any.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", listener.local_addr()?)?;
    out.flush()?;
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
