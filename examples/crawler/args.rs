//! The command line.

use std::num::NonZeroUsize;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Error, ValueExt};

use crate::cli::Command;
use crate::url::Url;

const HELP: &str = "\
Usage: crawler [OPTION]... [URL]

Visits the page and all pages on the same server that it leads to, each once,
and prints status, depth and path of each. Plain http only. Without a URL it
starts a server of its own, with some twenty pages, and visits those.

Options:
  -c, --concurrency N  at most N pages at a time (default: 4)
  -r, --rate N         at most N pages per second, such as 0.5 (default: 20)
  -d, --depth N        no page more than N links away
  -t, --timeout SEC    for all of it (default: 60)
  -h, --help           print this help and exit
  -V, --version        print the version and exit

Exit status: 0 if every page gave an answer, of any status; 1 if one did not,
or if time ran out or a signal came before the end (standard error says why); 2
if the command line is wrong; 141 if the reader of the output is gone.
";

/// The options of a run.
pub(crate) struct Options {
    /// `None` means the program's own site.
    pub(crate) url: Option<Url>,
    pub(crate) concurrency: usize,
    /// The time from one page to the next.
    pub(crate) period: Duration,
    pub(crate) depth: u32,
    pub(crate) timeout: Duration,
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Command<Options>, Error> {
    let mut options = Options {
        url: None,
        concurrency: 4,
        period: Duration::from_millis(50),
        depth: u32::MAX,
        timeout: Duration::from_secs(60),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('c') | Long("concurrency") => options.concurrency = parser.value()?.parse::<NonZeroUsize>()?.get(),
            Short('r') | Long("rate") => options.period = parser.value()?.parse_with(period)?,
            Short('d') | Long("depth") => options.depth = parser.value()?.parse()?,
            Short('t') | Long("timeout") => options.timeout = parser.value()?.parse_with(seconds)?,
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version("crawler")),
            Value(text) if options.url.is_none() => options.url = Some(text.parse_with(Url::parse)?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

/// Parses a number of events per second, and returns the time between two events.
fn period(text: &str) -> Result<Duration, String> {
    let period = text.parse().ok().and_then(|rate: f64| Duration::try_from_secs_f64(rate.recip()).ok());
    period.ok_or_else(|| "not a number above zero".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "not a number of seconds".to_owned())
}
