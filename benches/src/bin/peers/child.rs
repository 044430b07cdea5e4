//! Child processes, of which there is one at a time: its output, a limit to its time, and its end when ours comes.
//!
//! A child leads a process group of its own, so that all of `cargo build` can be ended at once. That also keeps the
//! terminal's Ctrl-C from it: a signal that ends this program is caught, and ends the child's group first. The lock
//! around the group is held while a child is started and while it is reaped: the signal's thread never finds a child
//! that is not entered yet, nor a number that the kernel has given away again.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio, exit};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The group of the child that runs now.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Why there is no output.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no such program, or it cannot be started.
    NotStarted(io::Error),
    /// It said so by its status, or took too long.
    Failed(String),
}

/// From now on the signals that end this program end its child too.
pub(crate) fn end_with_us() -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        let signal = signals.forever().next().expect("nobody closes them");
        // Held until the end, so that no child is started any more.
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = *running {
            kill(group);
        }
        exit(128 + signal);
    });
    Ok(())
}

/// Runs `command` to its end, at most for `limit`, and hands back what it wrote to stdout.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<String, Failure> {
    let deadline = Instant::now() + limit;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut running = RUNNING.lock().expect("no thread panics with it");
    let mut child = command.spawn().map_err(Failure::NotStarted)?;
    let group = Pid::from_child(&child);
    *running = Some(group);
    drop(running);

    let mut stdout = child.stdout.take().expect("it is piped");
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        // Nobody listens any more after the limit.
        let _ = tx.send(read);
    });
    let text = rx.recv_timeout(limit);
    reap(&mut child, group, deadline).map_err(Failure::Failed)?;
    match text {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(Failure::Failed(format!("its output: {error}"))),
        Err(_) => Err(Failure::Failed("no end in time".to_owned())),
    }
}

/// Waits for the end of the child, and brings it about at `deadline`.
fn reap(child: &mut Child, group: Pid, deadline: Instant) -> Result<(), String> {
    loop {
        let mut running = RUNNING.lock().expect("no thread panics with it");
        let late = Instant::now() >= deadline;
        if late {
            kill(group);
        }
        let ended = if late { child.wait().map(Some) } else { child.try_wait() };
        if !matches!(ended, Ok(None)) {
            *running = None;
        }
        match ended {
            Ok(None) => {}
            Ok(Some(_)) if late => return Err("no end in time".to_owned()),
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Err(error) => return Err(error.to_string()),
        }
        drop(running);
        // Its output is complete, so that it has all but ended.
        thread::sleep(Duration::from_millis(1));
    }
}

fn kill(group: Pid) {
    // It fails if the group has ended by itself, which is as good.
    let _ = kill_process_group(group, Signal::KILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, Failure> {
        output(Command::new("sh").args(["-c", script]), limit)
    }

    /// One test, because there is one child at a time.
    #[test]
    fn children_end_as_they_must() {
        let long = Duration::from_secs(60);
        assert_eq!(shell("echo a; echo b", long).expect("it succeeds"), "a\nb\n");
        assert!(matches!(shell("exit 3", long), Err(Failure::Failed(why)) if why.contains('3')));
        assert!(matches!(output(&mut Command::new("/no/such/program"), long), Err(Failure::NotStarted(_))));

        // What the shell has started in the background holds the pipe, which closes with the whole group.
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]).stderr(writer);
        let failure = output(&mut command, Duration::from_millis(100));
        assert!(matches!(failure, Err(Failure::Failed(why)) if why == "no end in time"));
        assert!(RUNNING.lock().expect("no thread panics with it").is_none());
        drop(command);
        let (tx, rx) = mpsc::channel();
        thread::spawn(move || tx.send(reader.read_to_end(&mut Vec::new())));
        rx.recv_timeout(long).expect("a process of the group lives on").expect("the pipe can be read");
    }
}
