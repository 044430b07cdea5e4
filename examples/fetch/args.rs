//! The command line.

use std::ffi::OsStr;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lexopt::Error;

use crate::cli::Command;
use crate::url::Url;

const HELP: &str = "\
Usage: fetch [OPTION]... URL...

Gets the URLs, many at once, and prints a line for each in the order given:
status, bytes of the body, seconds, URL. Plain http only; redirects are not
followed.

Options:
  -c, --concurrency N  at most N at a time (default: 16)
  -t, --timeout SEC    for each URL (default: 30)
  -h, --help           print this help and exit
  -V, --version        print the version and exit

Exit status: 0 if every URL gave a complete answer, of any status; 1 if one did
not (standard error says why), or if a signal came (SIGINT, SIGTERM); 2 if the
command line is wrong; 141 if the reader of the output is gone.
";

/// The options of a run.
pub(crate) struct Options {
    pub(crate) urls: Vec<Url>,
    pub(crate) concurrency: usize,
    pub(crate) timeout: Duration,
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Command<Options>, Error> {
    let mut options = Options { urls: Vec::new(), concurrency: 16, timeout: Duration::from_secs(30) };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('c') | Long("concurrency") => options.concurrency = concurrency(&parser.value()?)?,
            Short('t') | Long("timeout") => options.timeout = timeout(&parser.value()?)?,
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version("fetch")),
            Value(text) => options.urls.push(url(&text)?),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.urls.is_empty() {
        return Err("no URL given".into());
    }
    Ok(Command::Run(options))
}

fn concurrency(value: &OsStr) -> Result<usize, Error> {
    let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| format!("--concurrency: must be a number from 1, not {value:?}").into())
}

fn timeout(value: &OsStr) -> Result<Duration, Error> {
    let seconds = value.to_str().and_then(|text| text.parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("--timeout: must be a number of seconds, not {value:?}").into())
}

fn url(value: &OsStr) -> Result<Url, Error> {
    let text = value.to_str().ok_or("not UTF-8");
    text.and_then(Url::parse).map_err(|error| format!("{value:?}: {error}").into())
}
