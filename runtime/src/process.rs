//! Waiting for children of the process: Go's `os/exec`, on `std`'s [`Command`] and [`Child`].
//!
//! Children are built and started as ever, by [`std::process`]. What waits there keeps its OS thread meanwhile, and
//! cannot be told to stop. What waits here parks the goroutine, or blocks the thread that calls it, and has a form
//! that a context ends.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | run a program to its end | [`status`], [`status_ctx`] | `Cmd.Run`, `exec.CommandContext` |
//! | and get what it prints | [`output`], [`output_ctx`] | `Cmd.Output` |
//! | start it, and do something meanwhile | [`Command::spawn`] | `Cmd.Start` |
//! | wait for one that was started | [`wait`], [`wait_ctx`] | `Cmd.Wait` |
//! | wait for it, and get what it prints | [`wait_with_output`], [`wait_with_output_ctx`] | |
//! | talk to it meanwhile | [`Async::new`] on its `stdin`, `stdout` and `stderr` | `Cmd.StdinPipe`, `Cmd.StdoutPipe` |
//! | signal it | [`send_signal`] | `Process.Signal` |
//! | end it, politely at first | [`terminate`] | `Cmd.Cancel` and `Cmd.WaitDelay` |
//! | end it at once | [`Child::kill`] | `Process.Kill` |
//!
//! ```
//! use greenthread::ctx::Context;
//! use greenthread::process;
//! use std::process::Command;
//! use std::time::Duration;
//!
//! let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(10));
//! let output = process::output_ctx(&ctx, Command::new("echo").arg("hello"))?;
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Reading what a child prints while it runs, line by line:
//!
//! ```
//! use greenthread::net::Async;
//! use greenthread::process;
//! use std::io::{BufRead, BufReader};
//! use std::process::{Command, Stdio};
//!
//! let mut child = Command::new("sh").args(["-c", "echo one; echo two"]).stdout(Stdio::piped()).spawn()?;
//! let stdout = Async::new(child.stdout.take().unwrap())?;
//! let lines: Vec<String> = BufReader::new(stdout).lines().collect::<Result<_, _>>()?;
//! assert_eq!(lines, ["one", "two"]);
//! assert!(process::wait(&mut child)?.success());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # When a context ends
//! What has started the child, or got it by value, kills it (SIGKILL), waits until it is gone, and returns the error of
//! the context. [`wait_ctx`], which has it by reference, leaves it as it is. Only the child itself is killed: what it
//! has started in turn goes on, unless it ends when its pipes close. Nobody waits for those, even if they have the
//! child's output open. (Go waits, unless there is a `WaitDelay`.)
//!
//! # How it waits
//! On Linux a process has a descriptor that becomes readable when the process ends (`pidfd_open`, since 5.3), and that
//! is waited for as for a socket. It takes a descriptor for as long as the wait. Where there is none (another system,
//! a container that denies the call, no free descriptor) the wait looks whether the child has ended: after 1 ms at
//! first, then less and less often, every 50 ms at last.
//!
//! Rejected for this: a thread for each child, which no context could end; and SIGCHLD, whose handler is the whole
//! process's, needs descriptors as well, and is never called if whoever started the program has blocked the signal.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::panic;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use greenthread_ctx::Context;
use greenthread_scheduler::{open_process, send_signal as send};

use crate::net::Async;
use crate::scope::scope;
use crate::signal::Signal;

/// How long it takes from one look at a child to the next: at least, at most, and as a share of the time so far.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(50);
const SHARE: u32 = 16;

/// Blocks until the child has ended: [`Child::wait`] that parks. Go's `Cmd.Wait`.
///
/// As there, the child's `stdin` is closed first, if it is still here, so that the child does not wait for more.
///
/// # Errors
/// What the system says, as that somebody else has waited for the child.
///
/// ```
/// use greenthread::process;
/// use std::process::Command;
///
/// let mut child = Command::new("true").spawn()?;
/// assert!(process::wait(&mut child)?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    wait_ctx(&Context::background(), child)
}

/// As [`wait`], as long as `ctx` lasts. If it ends first the child goes on, and can be waited for again.
///
/// # Errors
/// As there, and that of the context.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::process;
/// use std::process::Command;
/// use std::time::Duration;
///
/// let mut child = Command::new("sleep").arg("60").spawn()?;
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
/// let error = process::wait_ctx(&ctx, &mut child).unwrap_err();
/// assert_eq!(error.to_string(), "context deadline exceeded");
/// child.kill()?;
/// assert!(!process::wait(&mut child)?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_ctx(ctx: &Context, child: &mut Child) -> io::Result<ExitStatus> {
    drop(child.stdin.take());
    ctx.err().map_or(Ok(()), Err)?;
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    // It has not been waited for, so its number is its own.
    let mut report = open_process(child.id()).ok().and_then(|pidfd| Async::new(pidfd).ok());
    let since = Instant::now();
    loop {
        match &report {
            Some(pidfd) => pidfd.with_ctx(ctx).readable()?,
            None => ctx.sleep((since.elapsed() / SHARE).clamp(FIRST_PAUSE, LAST_PAUSE))?,
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        // If it was reported, a debugger is to wait for the child first, and nobody reports that.
        report = None;
    }
}

/// A child that is killed and waited for if nobody has done so when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both do nothing if it was waited for. If the system refuses, there is nothing more to be done.
        let _ = self.0.kill();
        let _ = wait(&mut self.0);
    }
}

/// Runs a program, and blocks until it has ended: [`Command::status`] that parks. Go's `Cmd.Run`.
///
/// # Errors
/// What the system says, as that there is no such program.
///
/// ```
/// use greenthread::process;
/// use std::process::Command;
///
/// let status = process::status(Command::new("sh").args(["-c", "exit 3"]))?;
/// assert_eq!(status.code(), Some(3));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn status(command: &mut Command) -> io::Result<ExitStatus> {
    status_ctx(&Context::background(), command)
}

/// As [`status`], as long as `ctx` lasts: Go's `exec.CommandContext`, and `Cmd.Run`. If it ends first the child is
/// killed, and gone when this returns; if it has ended already nothing is started.
///
/// # Errors
/// As there, and that of the context.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::process;
/// use std::process::Command;
/// use std::time::Duration;
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
/// let error = process::status_ctx(&ctx, Command::new("sleep").arg("60")).unwrap_err();
/// assert_eq!(error.to_string(), "context deadline exceeded");
/// ```
pub fn status_ctx(ctx: &Context, command: &mut Command) -> io::Result<ExitStatus> {
    ctx.err().map_or(Ok(()), Err)?;
    let mut child = Killed(command.spawn()?);
    wait_ctx(ctx, &mut child.0)
}

/// Runs a program, and blocks until it has ended and all that it has printed has been read: [`Command::output`] that
/// parks. Go's `Cmd.Output`.
///
/// `stdout` and `stderr` are captured, whatever was set in `command`, and stay set so. `stdin` is what was set, or else
/// this process's, as with [`Command::spawn`]. (`std` captures what was not set, and has nothing to read for the
/// child.)
///
/// # Errors
/// What the system says, as that there is no such program. That the program fails is no error here: look at the status.
///
/// ```
/// use greenthread::process;
/// use std::process::Command;
///
/// let output = process::output(Command::new("sh").args(["-c", "echo out; echo err >&2"]))?;
/// assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn output(command: &mut Command) -> io::Result<Output> {
    output_ctx(&Context::background(), command)
}

/// As [`output`], as long as `ctx` lasts: Go's `exec.CommandContext`, and `Cmd.Output`. If it ends first the child is
/// killed, and gone when this returns, and what it has printed is lost; if it has ended already nothing is started.
///
/// # Errors
/// As there, and that of the context.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::process;
/// use std::process::Command;
/// use std::time::Duration;
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(20));
/// let error = process::output_ctx(&ctx, Command::new("sh").args(["-c", "echo begin; exec sleep 60"])).unwrap_err();
/// assert_eq!(error.to_string(), "context deadline exceeded");
/// ```
pub fn output_ctx(ctx: &Context, command: &mut Command) -> io::Result<Output> {
    ctx.err().map_or(Ok(()), Err)?;
    wait_with_output_ctx(ctx, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Blocks until the child has ended and all that it has printed has been read: [`Child::wait_with_output`] that parks.
/// What is not a pipe is not read. Both pipes are read at once, so the child never waits for the one while the other
/// is full. The child's `stdin` is closed first.
///
/// # Errors
/// What the system says. The child is killed then.
///
/// ```
/// use greenthread::process;
/// use std::process::{Command, Stdio};
///
/// let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
/// assert_eq!(process::wait_with_output(child)?.stdout, b"hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_with_output(child: Child) -> io::Result<Output> {
    wait_with_output_ctx(&Context::background(), child)
}

/// As [`wait_with_output`], as long as `ctx` lasts. If it ends first, or has ended, the child is killed, and gone when
/// this returns.
///
/// # Errors
/// As there, and that of the context.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::process;
/// use std::process::{Command, Stdio};
///
/// let child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn()?;
/// let (ctx, cancel) = Context::background().with_cancel();
/// greenthread::go!(move || cancel.cancel());
/// assert_eq!(process::wait_with_output_ctx(&ctx, child).unwrap_err().to_string(), "context canceled");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_with_output_ctx(ctx: &Context, child: Child) -> io::Result<Output> {
    let mut child = Killed(child);
    drop(child.0.stdin.take());
    let (stdout, stderr) = (child.0.stdout.take(), child.0.stderr.take());
    let (stdout, stderr) = scope(|s| {
        let stderr = s.spawn(|| drain(ctx, stderr));
        (drain(ctx, stdout), stderr.join().unwrap_or_else(|payload| panic::resume_unwind(payload)))
    });
    let (stdout, stderr) = (stdout?, stderr?);
    Ok(Output { status: wait_ctx(ctx, &mut child.0)?, stdout, stderr })
}

/// All that comes out of a pipe.
fn drain(ctx: &Context, pipe: Option<impl AsFd + Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        Async::new(pipe)?.with_ctx_mut(ctx).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Sends a signal to the child; if it has ended, does nothing. Does not block. Go's `Process.Signal`.
///
/// # Errors
/// What the system says, as that the child runs as another user by now.
///
/// ```
/// use greenthread::process;
/// use greenthread::signal::Signal;
/// use std::os::unix::process::ExitStatusExt;
/// use std::process::Command;
///
/// let mut child = Command::new("sleep").arg("60").spawn()?;
/// process::send_signal(&mut child, Signal::SIGTERM)?;
/// assert_eq!(process::wait(&mut child)?.signal(), Some(Signal::SIGTERM.as_raw()));
/// process::send_signal(&mut child, Signal::SIGTERM)?; // to nobody, and to nobody else
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn send_signal(child: &mut Child, signal: Signal) -> io::Result<()> {
    match child.try_wait()? {
        // Its number may be another's by now.
        Some(_) => Ok(()),
        None => send(child.id(), signal.as_raw()),
    }
}

/// Ends the child: asks it to (SIGTERM), and kills it if it has not ended after `grace`. Blocks until it has ended.
/// Go's `Cmd.Cancel` with `Cmd.WaitDelay`.
///
/// # Errors
/// What the system says.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::process;
/// use std::process::Command;
/// use std::time::Duration;
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
/// let mut server = Command::new("sleep").arg("60").spawn()?;
/// let status = match process::wait_ctx(&ctx, &mut server) {
///     Err(_) if ctx.err().is_some() => process::terminate(&mut server, Duration::from_secs(10))?,
///     ended => ended?,
/// };
/// println!("{status}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn terminate(child: &mut Child, grace: Duration) -> io::Result<ExitStatus> {
    send_signal(child, Signal::SIGTERM)?;
    let (ctx, _cancel) = Context::background().with_timeout(grace);
    match wait_ctx(&ctx, child) {
        Err(_) if ctx.err().is_some() => {
            child.kill()?;
            wait(child)
        }
        ended => ended,
    }
}
