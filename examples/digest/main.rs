//! `digest FOLDER...`: the SHA-256 of every file under the folders, in the format of `sha256sum`.
//!
//! ```text
//!            jobs: a path, and the slot for its answer
//!   walker ------------------------------------------> workers, GOMAXPROCS * 4
//!     |                                                  |
//!     |  a slot per file, in path order                  |  each fills its slot
//!     `----------------------> window <------------------'
//!                                 |
//!                                 `-> printer (main): waits for the oldest slot,
//!                                     prints it, takes the next
//! ```
//!
//! The workers finish in any order, but the lines must be printed in path order. And a tree of a
//! million files must not need more memory than a tree of a thousand. The window (see `window.rs`)
//! solves both problems: it keeps the answers in the order of the walker's requests, and it has
//! only `WINDOW` places. When the oldest file is huge, the walker runs ahead until all places are
//! taken. Then it waits, like every sender to a full channel.
//!
//! Everything else is plain blocking code. Reading a file may block an OS thread, but this program
//! does not have to care: the scheduler lets another thread run the other goroutines.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use greenthread::channel::{self, Receiver, Sender};
use greenthread::go;

mod args;
#[path = "../common/cli.rs"]
mod cli;
mod hash;
mod line;
mod progress;
mod walk;
mod window;

use args::Options;
use hash::Sum;
use progress::Progress;
use walk::{Failure, Walk};
use window::{Entrance, Exit, Slot};

/// The number of files that the walker may be ahead of the printer. A wider window keeps the
/// workers busy behind a larger file, and takes more memory.
const WINDOW: usize = 4096;

/// A file to read.
struct Job {
    path: PathBuf,
    answer: Slot<Answer>,
}

/// The outcome for a file, or an error for a folder that cannot be listed.
type Answer = Result<(PathBuf, Sum), Failure>;

#[greenthread::main]
fn main() -> ExitCode {
    cli::run("digest", args::parse(), digest)
}

/// Prints a line for each file, and returns the exit status, which says whether all files could be
/// read. Returns an error if standard output cannot be written.
fn digest(options: Options) -> io::Result<ExitCode> {
    let progress = Progress::new(options.progress);
    let (entrance, exit) = window::new(WINDOW);
    let (jobs_tx, jobs) = channel::bounded(options.workers);

    go!(move || walker(options.roots, entrance, jobs_tx));
    for _ in 0..options.workers {
        let (jobs, progress) = (jobs.clone(), progress.clone());
        go!(move || worker(jobs, progress));
    }
    let all_read = printer(exit, progress).map_err(cli::cannot_print)?;
    Ok(if all_read { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Walks the folders, and requests the digest of each file. Its channels close when it returns,
/// which ends the workers and the printer.
fn walker(roots: Vec<PathBuf>, window: Entrance<Answer>, jobs: Sender<Job>) {
    for found in roots.into_iter().flat_map(Walk::new) {
        let Some(answer) = window.reserve() else { return };
        match found {
            Ok(path) => jobs.send(Job { path, answer }).expect("the workers run while there may be jobs"),
            Err(failure) => answer.fill(Err(failure)),
        }
    }
}

/// Reads files until there are no more.
fn worker(jobs: Receiver<Job>, progress: Progress) {
    // On the heap, because a goroutine's stack is meant for calls, and allocated only once, because
    // all files share it.
    let mut buffer = vec![0; hash::BUFFER];
    for Job { path, answer } in jobs {
        answer.fill(match hash::file(&path, &mut buffer, &progress) {
            Ok(sum) => Ok((path, sum)),
            Err(error) => Err(Failure { path, error }),
        });
    }
}

/// Prints the answers in path order as they become available.
fn printer(window: Exit<Answer>, progress: Progress) -> io::Result<bool> {
    // Not `stdout().lock()`: that lock belongs to the OS thread, and the goroutine may wake up on
    // another thread.
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout());
    let interactive = io::stdout().is_terminal();
    let mut all_read = true;
    for answer in window {
        match answer {
            Some(Ok((path, sum))) => {
                line::write(&mut out, &path, &sum)?;
                progress.file_done();
                if interactive {
                    progress.suspend(|| out.flush())?;
                }
            }
            Some(Err(Failure { path, error })) => {
                all_read = false;
                progress.suspend(|| cli::complain("digest", &format_args!("{}: {error}", line::printable(&path))));
            }
            // The panic hook has printed the reason.
            None => all_read = false,
        }
    }
    out.flush()?;
    progress.finish();
    Ok(all_read)
}
