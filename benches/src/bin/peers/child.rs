//! Child processes: their output, a limit to their time, and their end when this program ends.
//!
//! A child leads a process group of its own, so that all of `cargo build` can be ended at once.
//! That also shields the child from the terminal's Ctrl-C: this program catches the signals that
//! end it, and ends the groups first. The lock around the groups is held while a child is started
//! and while it is reaped. So the thread that handles signals never misses a child that is not in
//! the list yet, and never sees a process ID that the kernel has reused.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio, exit};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The groups of the children that run now: one, or a server's and its client's.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// The reason why there is no output.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The program does not exist or cannot be started.
    NotStarted(io::Error),
    /// The program failed with a status, or took too long.
    Failed(String),
}

/// Arranges that the signals that end this program end its children too.
pub(crate) fn kill_children_on_signal() -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        let signal = signals.forever().next().expect("the handle is never closed");
        // Held until the end, so that no further child is started.
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().for_each(|&group| send(group, Signal::KILL));
        exit(128 + signal);
    });
    Ok(())
}

/// Runs `command` to its end, at most for `limit`, and returns what it wrote to stdout.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<String, Failure> {
    let deadline = Instant::now() + limit;
    let (mut running, mut stdout) = Running::start(command)?;
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        // Fails if the limit has passed, because the receiver is gone.
        let _ = tx.send(read);
    });
    let text = rx.recv_timeout(limit);
    match running.reap(deadline) {
        Ok(Some(status)) if status.success() => {}
        Ok(Some(status)) => return Err(Failure::Failed(status.to_string())),
        Ok(None) => return Err(Failure::Failed(TIMED_OUT.to_owned())),
        Err(error) => return Err(Failure::Failed(error.to_string())),
    }
    match text {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(Failure::Failed(format!("cannot read its output: {error}"))),
        Err(_) => Err(Failure::Failed(TIMED_OUT.to_owned())),
    }
}

const TIMED_OUT: &str = "did not end in time";

/// A child that runs until it is told to end.
///
/// It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    running: Running,
    /// The lines that it writes to stdout.
    lines: mpsc::Receiver<String>,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let (running, stdout) = Running::start(command)?;
        let (tx, lines) = mpsc::channel();
        // Read to the end, because a full pipe would stop the server.
        thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| tx.send(line)));
        Ok(Self { running, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.child.id()
    }

    /// Returns the next line that it writes, or the reason why there is none.
    pub(crate) fn line(&self, limit: Duration) -> Result<String, String> {
        self.lines.recv_timeout(limit).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => "it printed nothing in time".to_owned(),
            mpsc::RecvTimeoutError::Disconnected => "it ended too early".to_owned(),
        })
    }

    /// Asks it to end, with any status.
    pub(crate) fn end(mut self, limit: Duration) -> Result<(), String> {
        send(self.running.group, Signal::TERM);
        match self.running.reap(Instant::now() + limit) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("did not end in time after SIGTERM".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A child that has been started.
#[derive(Debug)]
struct Running {
    child: Child,
    group: Pid,
    reaped: bool,
}

impl Running {
    fn start(command: &mut Command) -> Result<(Self, ChildStdout), Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut groups = RUNNING.lock().expect(NOT_POISONED);
        let mut child = command.spawn().map_err(Failure::NotStarted)?;
        let group = Pid::from_child(&child);
        groups.push(group);
        let stdout = child.stdout.take().expect("stdout is piped");
        Ok((Self { child, group, reaped: false }, stdout))
    }

    /// Waits for the end of the child, and kills it at `deadline`: then the result is `None`.
    fn reap(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            let mut groups = RUNNING.lock().expect(NOT_POISONED);
            let late = Instant::now() >= deadline;
            if late {
                send(self.group, Signal::KILL);
            }
            let ended = if late { self.child.wait().map(Some) } else { self.child.try_wait() };
            if !matches!(ended, Ok(None)) {
                groups.retain(|&group| group != self.group);
                self.reaped = true;
                return ended.map(|status| status.filter(|_| !late));
            }
            drop(groups);
            // Its output is complete, or it was asked to end: it will end soon.
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            // A destructor cannot report an error.
            let _ = self.reap(Instant::now());
        }
    }
}

const NOT_POISONED: &str = "no thread panics while it holds the lock";

fn send(group: Pid, signal: Signal) {
    // Fails if the group has already ended, which is fine.
    let _ = kill_process_group(group, signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, Failure> {
        output(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn a_server_prints_lines_and_ends_on_request() {
        let long = Duration::from_secs(60);
        let start = |script: &str| Server::start(Command::new("sh").args(["-c", script])).expect("a shell");
        let server = start("echo here; echo I am; sleep 1000");
        assert_eq!(server.line(long).as_deref(), Ok("here"));
        assert_eq!(server.line(long).as_deref(), Ok("I am"));
        assert!(server.line(Duration::from_millis(1)).is_err());
        assert_eq!(server.end(long), Ok(()));

        let ignores_sigterm = start("trap '' TERM; echo here; while :; do sleep 1000; done");
        ignores_sigterm.line(long).expect("the script prints a line");
        assert!(ignores_sigterm.end(Duration::from_millis(100)).is_err());
        assert!(start("exit 3").line(long).is_err());
    }

    #[test]
    fn failures_are_reported_and_a_late_group_is_killed() {
        let long = Duration::from_secs(60);
        assert_eq!(shell("echo a; echo b", long).expect("the script succeeds"), "a\nb\n");
        assert!(matches!(shell("exit 3", long), Err(Failure::Failed(why)) if why.contains('3')));
        assert!(matches!(output(&mut Command::new("/no/such/program"), long), Err(Failure::NotStarted(_))));

        // The pipe is also held by what the shell has started in the background. It closes when the
        // whole group ends.
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]).stderr(writer);
        let failure = output(&mut command, Duration::from_millis(100));
        assert!(matches!(failure, Err(Failure::Failed(why)) if why == "did not end in time"));
        drop(command);
        let (tx, rx) = mpsc::channel();
        thread::spawn(move || tx.send(reader.read_to_end(&mut Vec::new())));
        rx.recv_timeout(long).expect("a process of the group lives on").expect("the pipe can be read");
    }
}
