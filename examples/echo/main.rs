//! `echo`: a TCP server that sends back what it receives.
//!
//! ```text
//!   main: serve ──┬─ goroutine per connection: read, write what was read, again
//!                 ├─ ...
//!                 `─ ...
//! ```
//!
//! The whole server is the loop in `echo`, written as if for one client. Each client has a
//! goroutine, so a client that sends nothing costs a page of stack and a small buffer, but no
//! thread and no wake-up. With `--idle`, a client that neither sends nor receives for that long is
//! disconnected. The stream enforces the timeouts, as in std.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::net::TcpStream;
use lexopt::Arg::{Long, Short};
use lexopt::Error;

#[path = "../common/server.rs"]
mod server;

use server::Command;

const NAME: &str = "echo";

const HELP: &str = "\
Usage: echo [OPTION]...

Sends back to each TCP client what it receives, until the client has sent
everything. SIGINT and SIGTERM end the server.

Options:
  -a, --addr ADDR      listen here (default: 127.0.0.1:7007; port 0 means any).
                       The first line of output is 'listening on ADDRESS'
  -i, --idle SECONDS   close a connection on which nothing moved for this long
                       (default: 0, never)
  -g, --grace SECONDS  how long the connections may go on after a signal
                       (default: 1)
  -h, --help           print this help and exit
  -V, --version        print the version and exit

Exit status: 0, 1 if the server cannot listen, 2 if the command line is wrong.
";

/// The initial buffer of a connection. It is small while the client is quiet, and doubles each time
/// a read fills it.
const SMALL: usize = 2 * 1024;
const LARGE: usize = 64 * 1024;

struct Options {
    addr: SocketAddr,
    idle: Option<Duration>,
    grace: Duration,
}

#[greenthread::main]
fn main() -> ExitCode {
    server::run(NAME, parse(lexopt::Parser::from_env()), serve)
}

fn parse(mut parser: lexopt::Parser) -> Result<Command<Options>, Error> {
    let mut options = Options { addr: ([127, 0, 0, 1], 7007).into(), idle: None, grace: Duration::from_secs(1) };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('a') | Long("addr") => options.addr = server::value("--addr", &parser.value()?)?,
            Short('i') | Long("idle") => {
                let idle = server::seconds("--idle", &parser.value()?)?;
                options.idle = Some(idle).filter(|idle| !idle.is_zero());
            }
            Short('g') | Long("grace") => options.grace = server::seconds("--grace", &parser.value()?)?,
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version(NAME)),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn serve(options: Options) -> io::Result<()> {
    let (ctx, _cancel) = server::until_signal();
    let idle = options.idle;
    server::listen(options.addr)?.serve(&ctx, options.grace, move |ctx, stream| {
        // The failure of one client does not affect the others.
        let _ = echo(ctx, &stream, idle);
    })
}

/// Echoes until the client has sent everything, an error occurs, the idle timeout passes, or the
/// context ends.
fn echo(ctx: &Context, stream: &TcpStream, idle: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(idle)?;
    stream.set_write_timeout(idle)?;
    let mut stream = stream.with_ctx(ctx);
    // On the heap, because a goroutine's stack is meant for calls.
    let mut buffer = vec![0; SMALL];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                stream.write_all(&buffer[..count])?;
                if count == buffer.len() && count < LARGE {
                    buffer.resize(count * 2, 0);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
