//! The command line.

use std::ffi::OsStr;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::Error;

use crate::cli::Command;

/// The largest sensible number of workers, given that each has a buffer.
const MAX_WORKERS: usize = 65_536;

const HELP: &str = "\
Usage: digest [OPTION]... FOLDER...

Prints the SHA-256 of every regular file under the folders, in the format of
sha256sum and in the order of the bytes of the paths, for sha256sum -c to check.
A FOLDER may also be a single file. Symbolic links are followed if named on the
command line, and not within a folder.

Options:
  -w, --workers N  read N files at a time (default: 4 for each of GOMAXPROCS)
  -p, --progress   show files and bytes done, if standard error is a terminal
  -h, --help       print this help and exit
  -V, --version    print the version and exit

Exit status: 0 on success, 1 if a file or folder could not be read or the
output not be written (standard error says which), 2 if the command line is
wrong, 141 if the reader of the output is gone.
";

/// The options of a run.
pub(crate) struct Options {
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) workers: usize,
    pub(crate) progress: bool,
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Command<Options>, Error> {
    let mut options = Options { roots: Vec::new(), workers: greenthread::gomaxprocs() * 4, progress: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('w') | Long("workers") => options.workers = workers(&parser.value()?)?,
            Short('p') | Long("progress") => options.progress = true,
            Short('h') | Long("help") => return Ok(Command::Say(HELP.into())),
            Short('V') | Long("version") => return Ok(Command::version("digest")),
            Value(root) if root == "-" => return Err("standard input is not read; a file of that name is './-'".into()),
            Value(root) => options.roots.push(root.into()),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.roots.is_empty() {
        return Err("no folder given".into());
    }
    Ok(Command::Run(options))
}

fn workers(value: &OsStr) -> Result<usize, Error> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.filter(|number| (1..=MAX_WORKERS).contains(number)).ok_or_else(|| {
        let value = value.to_string_lossy();
        format!("the number of workers must be from 1 to {MAX_WORKERS}, not {value:?}").into()
    })
}
