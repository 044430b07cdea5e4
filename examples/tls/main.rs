//! `tls`: a small HTTPS server, and a client for it, on rustls.
//!
//! ```text
//!   main: serve ──┬─ goroutine per connection: StreamOwned ── with_ctx ── TcpStream
//!                 `─ ...
//!   main: get ──── StreamOwned ── TcpStream, with a deadline for the whole exchange
//! ```
//!
//! rustls is a library that knows nothing about greenthread: it works on anything that is `Read`
//! and `Write`, in plain blocking style. A goroutine that waits in the middle of a handshake is
//! parked like any other, and a context or a deadline of the underlying stream ends the wait. The
//! server creates a certificate when it starts, and `get` trusts only that one.
#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg::{Long, Short, Value};
use lexopt::Error;

mod client;
#[path = "../common/server.rs"]
mod common;
mod server;

use common::Command;

const NAME: &str = "tls";

const HELP: &str = "\
Usage: tls serve [OPTION]... CERTIFICATE
       tls get [OPTION]... CERTIFICATE URL

'serve' creates a certificate for localhost, writes it to the file CERTIFICATE,
and answers HTTPS requests until SIGINT or SIGTERM. 'get' trusts the certificate
in that file, and prints the page at URL.

Options:
  -a, --addr ADDR        serve: listen here (default: 127.0.0.1:8443; port 0
                         means any). The first line of output is
                         'listening on ADDRESS'
  -g, --grace SECONDS    serve: how long the connections may go on after a
                         signal (default: 1)
  -t, --timeout SECONDS  how long one exchange may take (default: 10)
  -h, --help             print this help and exit
  -V, --version          print the version and exit

Exit status: 0, 1 if something went wrong, 2 if the command line is wrong.
";

enum Task {
    Serve(server::Options),
    Get(client::Options),
}

#[greenthread::main]
fn main() -> ExitCode {
    common::run(NAME, parse(lexopt::Parser::from_env()), |task| match task {
        Task::Serve(options) => server::serve(options),
        Task::Get(options) => client::get(&options),
    })
}

fn parse(mut parser: lexopt::Parser) -> Result<Command<Task>, Error> {
    let (mut addr, mut grace, mut timeout) = (None, None, None);
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('a') | Long("addr") => addr = Some(common::value("--addr", &parser.value()?)?),
            Short('g') | Long("grace") => grace = Some(common::seconds("--grace", &parser.value()?)?),
            Short('t') | Long("timeout") => timeout = Some(common::seconds("--timeout", &parser.value()?)?),
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version(NAME)),
            Value(word) => words.push(word),
            _ => return Err(argument.unexpected()),
        }
    }
    let timeout = timeout.unwrap_or(server::TIMEOUT);
    match &words[..] {
        [task, certificate] if task == "serve" => Ok(Command::Run(Task::Serve(server::Options {
            addr: addr.unwrap_or_else(|| ([127, 0, 0, 1], 8443).into()),
            grace: grace.unwrap_or(server::GRACE),
            timeout,
            certificate: PathBuf::from(certificate),
        }))),
        [task, ..] if task == "get" && (addr.is_some() || grace.is_some()) => {
            Err("--addr and --grace are for 'serve'".into())
        }
        [task, certificate, url] if task == "get" => {
            let url = common::value("the URL", url)?;
            Ok(Command::Run(Task::Get(client::Options { url, timeout, certificate: PathBuf::from(certificate) })))
        }
        [task, ..] if task == "serve" || task == "get" => Err("wrong number of arguments".into()),
        [task, ..] => Err(format!("{task:?} is neither 'serve' nor 'get'").into()),
        [] => Err("neither 'serve' nor 'get' is given".into()),
    }
}

/// Wraps an error of another kind in an I/O error.
fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}
