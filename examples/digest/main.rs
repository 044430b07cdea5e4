//! `digest FOLDER...`: the SHA-256 of every file under the folders, as `sha256sum` would print it.
//!
//! ```text
//!            jobs: a path, and the slot for its answer
//!   walker ---------------------------------------------> workers, GOMAXPROCS * 4
//!     |                                                      |
//!     |  a slot per file, in path order                      |  each fills its slot when it is done
//!     `----------------------> window <----------------------'
//!                                 |
//!                                 `-> printer (main): waits for the oldest slot, prints it, takes the next
//! ```
//!
//! The workers finish in any order, the lines must come out in path order, and a tree of a million files must not
//! need more memory than one of a thousand. The window (see `window.rs`) does both: it keeps the answers in the order
//! in which the walker asked, and it has `WINDOW` places. When the oldest file is a huge one, the walker runs ahead
//! until the places are taken, and then it waits, as any sender does whose channel is full.
//!
//! The rest is plain blocking code. Nothing here knows that reading a file may block an OS thread: while it does, the
//! scheduler lets another thread run the goroutines that wait.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use greenthread::channel::{self, Receiver, Sender};
use greenthread::go;

mod args;
mod hash;
mod line;
mod progress;
mod walk;
mod window;

use args::{Command, Options};
use hash::Sum;
use progress::Progress;
use walk::{Failure, Walk};
use window::{Entrance, Exit, Slot};

/// How many files the walker may be ahead of the printer. A wider window keeps the workers busy behind a larger file,
/// and takes more memory.
const WINDOW: usize = 4096;

/// What the shell reports for a program that SIGPIPE ended, as it ends `sha256sum | head`.
const BROKEN_PIPE: u8 = 128 + 13;

/// A file to be read.
struct Job {
    path: PathBuf,
    answer: Slot<Answer>,
}

/// What came of a file, or of a folder that cannot be listed.
type Answer = Result<(PathBuf, Sum), Failure>;

#[greenthread::main]
fn main() -> ExitCode {
    let result = match args::parse() {
        Ok(Command::Digest(options)) => digest(options),
        Ok(Command::Say(text)) => io::stdout().write_all(text.as_bytes()).map(|()| true),
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(BROKEN_PIPE),
        Err(error) => {
            complain(&format_args!("write error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for each file; `Ok(false)` if some could not be read, an error if standard output cannot be written.
fn digest(options: Options) -> io::Result<bool> {
    let progress = Progress::new(options.progress);
    let (entrance, exit) = window::new(WINDOW);
    let (jobs_tx, jobs) = channel::bounded(options.workers);

    go!(move || walker(options.roots, entrance, jobs_tx));
    for _ in 0..options.workers {
        let (jobs, progress) = (jobs.clone(), progress.clone());
        go!(move || worker(jobs, progress));
    }
    printer(exit, progress)
}

/// Walks the folders, and asks for the digest of each file. Its channels close when it returns, and so everything ends.
fn walker(roots: Vec<PathBuf>, window: Entrance<Answer>, jobs: Sender<Job>) {
    for found in roots.into_iter().flat_map(Walk::new) {
        let Some(answer) = window.reserve() else { return };
        match found {
            Ok(path) => jobs.send(Job { path, answer }).expect("the workers stay while there may be jobs"),
            Err(failure) => answer.fill(Err(failure)),
        }
    }
}

/// Reads files until there are no more.
fn worker(jobs: Receiver<Job>, progress: Progress) {
    // On the heap: a goroutine's stack is for calls. And once: the files share it.
    let mut buffer = vec![0; hash::BUFFER];
    for Job { path, answer } in jobs {
        answer.fill(match hash::file(&path, &mut buffer, &progress) {
            Ok(sum) => Ok((path, sum)),
            Err(error) => Err(Failure { path, error }),
        });
    }
}

/// Prints the answers in path order as they come.
fn printer(window: Exit<Answer>, progress: Progress) -> io::Result<bool> {
    // Not `stdout().lock()`: that lock belongs to the OS thread, and the goroutine may wake up on another one.
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
                progress.suspend(|| complain(&format_args!("{}: {error}", line::printable(&path))));
            }
            // The panic hook has said why.
            None => all_read = false,
        }
    }
    out.flush()?;
    progress.finish();
    Ok(all_read)
}

/// Says on standard error what went wrong. If even that cannot be written, the exit status still tells.
fn complain(what: &dyn std::fmt::Display) {
    let _ = io::stderr().write_all(format!("digest: {what}\n").as_bytes());
}
