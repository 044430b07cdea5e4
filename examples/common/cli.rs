//! What the programs of this folder have in common towards the user: help, complaints, exit status.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::{self, ExitCode, Termination};

use lexopt::Error;

/// What the shell reports for a program that SIGPIPE ended, as it ends `sha256sum | head`.
const BROKEN_PIPE: u8 = 128 + 13;

/// What the user wants.
pub(crate) enum Command<O> {
    /// Do the work.
    Run(O),
    /// Only print this text.
    Say(String),
}

impl<O> Command<O> {
    /// The answer to `--version`.
    pub(crate) fn version(program: &str) -> Self {
        Self::Say(format!("{program} {}\n", env!("CARGO_PKG_VERSION")))
    }
}

/// Does what the command line says. Its result is the exit status: what `work` says, 2 for a wrong command line, 1 for everything
/// else that went wrong, which is told on standard error.
pub(crate) fn run<O, T: Termination>(
    program: &str,
    command: Result<Command<O>, Error>,
    work: impl FnOnce(O) -> io::Result<T>,
) -> ExitCode {
    let result = match command {
        Ok(Command::Run(options)) => work(options).map(Termination::report),
        Ok(Command::Say(text)) => print(&text).map(Termination::report),
        Err(error) => {
            complain(program, &format_args!("{error}, see '{program} --help'"));
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|error| {
        complain(program, &error);
        ExitCode::FAILURE
    })
}

/// Says on standard error what went wrong. If even that cannot be written, the exit status still tells.
pub(crate) fn complain(program: &str, what: &dyn Display) {
    let _ = io::stderr().write_all(format!("{program}: {what}\n").as_bytes());
}

/// Prints to standard output.
pub(crate) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(cannot_print)
}

/// What is to be said of standard output's error. If its reader has gone there is nothing to be said, and nobody to work for: the program
/// ends as others do, which SIGPIPE ends.
pub(crate) fn cannot_print(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(BROKEN_PIPE.into());
    }
    io::Error::new(error.kind(), format!("write error: {error}"))
}
