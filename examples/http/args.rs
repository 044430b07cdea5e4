//! The command line.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::time::Duration;

use lexopt::Arg::{Long, Short};
use lexopt::Error;

use crate::connection::Patience;
use crate::framer::Limits;
use crate::server::{Command, seconds, value};

const HELP: &str = "\
Usage: http [OPTION]...

Serves HTTP/1.1 and 1.0:

  GET /plaintext   Hello, World!
  GET /json        the same as JSON
  GET /slow?ms=N   an answer after N milliseconds, unless the client goes away
  POST /echo       the body that was sent

Options:
  -a, --addr ADDR      listen here (default: 127.0.0.1:8080; port 0 means any).
                       The first line of output is 'listening on ADDRESS'
  --max-head BYTES     the largest head of a request (default: 16384)
  --max-body BYTES     the largest body of a request (default: 1048576)
  --idle-timeout SEC   between two requests (default: 60)
  --head-timeout SEC   for a head, from its first byte (default: 10)
  --body-timeout SEC   for a body, from the end of its head (default: 30)
  --write-timeout SEC  until the client has taken an answer (default: 30)
  --grace SEC          for running requests when the server ends (default: 10)
  -h, --help           print this help and exit
  -V, --version        print the version and exit

A timeout may strike an eighth earlier. SIGINT or SIGTERM ends the server: it
accepts no more, finishes running requests, and cancels them after the grace.

Exit status: 0 if it was ended by a signal, 1 if it cannot listen, 2 if the
command line is wrong.
";

/// The longest timeout. A longer one would mean forever anyway, and this limit keeps clocks from
/// overflowing.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The smallest limit for a head: a request and a chunk-size line must fit.
const MIN_HEAD: usize = 512;

/// The options of a run.
pub(crate) struct Options {
    pub(crate) addr: SocketAddr,
    pub(crate) patience: Patience,
    pub(crate) grace: Duration,
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Command<Options>, Error> {
    let mut options = Options {
        addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
        patience: Patience {
            limits: Limits { head: 16 * 1024, body: 1024 * 1024 },
            idle: Duration::from_secs(60),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
        },
        grace: Duration::from_secs(10),
    };
    let mut parser = lexopt::Parser::from_env();
    let patience = &mut options.patience;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('a') | Long("addr") => options.addr = value("--addr", &parser.value()?)?,
            Long("max-head") => patience.limits.head = value("--max-head", &parser.value()?)?,
            Long("max-body") => patience.limits.body = value("--max-body", &parser.value()?)?,
            Long("idle-timeout") => patience.idle = timeout("--idle-timeout", &parser.value()?)?,
            Long("head-timeout") => patience.head = timeout("--head-timeout", &parser.value()?)?,
            Long("body-timeout") => patience.body = timeout("--body-timeout", &parser.value()?)?,
            Long("write-timeout") => patience.write = timeout("--write-timeout", &parser.value()?)?,
            Long("grace") => options.grace = seconds("--grace", &parser.value()?)?,
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version("http")),
            _ => return Err(argument.unexpected()),
        }
    }
    if patience.limits.head < MIN_HEAD {
        return Err(format!("--max-head: must be at least {MIN_HEAD}").into());
    }
    Ok(Command::Run(options))
}

fn timeout(name: &str, text: &OsStr) -> Result<Duration, Error> {
    Ok(seconds(name, text)?.min(MAX_TIMEOUT))
}
