//! The command-line behavior that the programs of this folder share: help, error messages, exit
//! status.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::{self, ExitCode, Termination};

use lexopt::Error;

/// The status that the shell reports for a program that SIGPIPE has ended, such as `sha256sum` in
/// `sha256sum | head`.
const BROKEN_PIPE: u8 = 128 + 13;

/// The action that the user asked for.
pub(crate) enum Command<O> {
    /// Run the program with these options.
    Run(O),
    /// Only print this text.
    Say(String),
}

impl<O> Command<O> {
    /// Returns the answer to `--version`.
    pub(crate) fn version(program: &str) -> Self {
        Self::Say(format!("{program} {}\n", env!("CARGO_PKG_VERSION")))
    }
}

/// Runs the command and returns the exit status.
///
/// The status is that of `work`, 2 for a wrong command line, and 1 for every other error, which is
/// printed on standard error.
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

/// Prints an error on standard error. Even if printing fails, the exit status still reports the
/// error.
pub(crate) fn complain(program: &str, what: &dyn Display) {
    let _ = io::stderr().write_all(format!("{program}: {what}\n").as_bytes());
}

/// Prints to standard output.
pub(crate) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(cannot_print)
}

/// Adds a message to an error of standard output.
///
/// If the reader is gone, nothing is left to do, so the process ends with the status of a program
/// that SIGPIPE has ended.
pub(crate) fn cannot_print(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(BROKEN_PIPE.into());
    }
    io::Error::new(error.kind(), format!("write error: {error}"))
}
