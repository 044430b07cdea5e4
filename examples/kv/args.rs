//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use lexopt::Arg::{Long, Short};
use lexopt::Error;

use crate::server::{self, Command};

pub(crate) const NAME: &str = "kv";

const HELP: &str = "\
Usage: kv [OPTION]...

A server for the Redis protocol: strings, lists, expiry, publish and subscribe.
The data is in memory and is lost when the process ends. SIGINT and SIGTERM end
the server.

Options:
  -a, --addr ADDR       listen here (default: 127.0.0.1:6379; port 0 means any).
                        The first line of output is 'listening on ADDRESS'
  -b, --max-bulk BYTES  the longest key or value (default: 536870912)
  -o, --outbox BYTES    how much may wait for a slow subscriber before it is
                        disconnected (default: 8388608)
  -g, --grace SECONDS   how long replies may still take after a signal
                        (default: 1)
  -h, --help            print this help and exit
  -V, --version         print the version and exit

Exit status: 0, 1 if the server cannot listen, 2 if the command line is wrong.
";

/// The configuration of the server.
pub(crate) struct Options {
    pub(crate) addr: SocketAddr,
    pub(crate) max_bulk: usize,
    pub(crate) outbox: usize,
    pub(crate) grace: Duration,
}

/// Reads the command line.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Command<Options>, Error> {
    let mut options = Options {
        addr: ([127, 0, 0, 1], 6379).into(),
        max_bulk: 512 * 1024 * 1024,
        outbox: 8 * 1024 * 1024,
        grace: Duration::from_secs(1),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('a') | Long("addr") => options.addr = server::value("--addr", &parser.value()?)?,
            Short('b') | Long("max-bulk") => options.max_bulk = server::value("--max-bulk", &parser.value()?)?,
            Short('o') | Long("outbox") => options.outbox = server::value("--outbox", &parser.value()?)?,
            Short('g') | Long("grace") => options.grace = server::seconds("--grace", &parser.value()?)?,
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version(NAME)),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Run(options))
}
