//! The command line of the Rust servers: `--addr ADDR --workers N`.

use std::env;
use std::fmt::Display;
use std::net::SocketAddr;
use std::process;
use std::str::FromStr;

pub(crate) struct Options {
    pub(crate) addr: SocketAddr,
    pub(crate) workers: usize,
}

/// Parses the command line, and ends the process if it is invalid.
pub(crate) fn parse() -> Options {
    let mut options = Options { addr: SocketAddr::from(([127, 0, 0, 1], 8080)), workers: 1 };
    let mut arguments = env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--addr" => options.addr = value(&name, arguments.next()),
            "--workers" => options.workers = value(&name, arguments.next()),
            _ => refuse(&format!("{name:?} is not an option; the options are --addr ADDR and --workers N")),
        }
    }
    options
}

fn value<T: FromStr<Err: Display>>(name: &str, text: Option<String>) -> T {
    let text = text.unwrap_or_else(|| refuse(&format!("{name} needs a value")));
    text.parse().unwrap_or_else(|error| refuse(&format!("{name}: {text:?}: {error}")))
}

fn refuse(why: &str) -> ! {
    eprintln!("{why}");
    process::exit(2)
}
