//! Waiting for child processes: Go's `os/exec`, on top of `std`'s [`Command`] and [`Child`].
//!
//! Children are configured and started with [`std::process`], as usual. Waiting with `std` occupies
//! an OS thread and cannot be interrupted. The functions here park the goroutine (or block the
//! calling thread) while they wait, and have variants that a context can end.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | run a program to its end | [`status`], [`status_ctx`] | `Cmd.Run`, `exec.CommandContext` |
//! | and read what it prints | [`output`], [`output_ctx`] | `Cmd.Output` |
//! | start it and continue | [`Command::spawn`] | `Cmd.Start` |
//! | wait for a child that was started | [`wait`], [`wait_ctx`] | `Cmd.Wait` |
//! | wait for it, and read what it prints | [`wait_with_output`], [`wait_with_output_ctx`] | |
//! | use its `stdin`, `stdout` and `stderr` | [`Async::new`] | `Cmd.StdinPipe`, `Cmd.StdoutPipe` |
//! | signal it | [`send_signal`] | `Process.Signal` |
//! | end it gracefully | [`terminate`] | `Cmd.Cancel` and `Cmd.WaitDelay` |
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
//! let mut command = Command::new("sh");
//! let mut child = command.args(["-c", "echo one; echo two"]).stdout(Stdio::piped()).spawn()?;
//! let stdout = Async::new(child.stdout.take().unwrap())?;
//! let lines: Vec<String> = BufReader::new(stdout).lines().collect::<Result<_, _>>()?;
//! assert_eq!(lines, ["one", "two"]);
//! assert!(process::wait(&mut child)?.success());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # When a context ends
//! A function that starts the child, or takes it by value, kills the child (SIGKILL), waits until
//! it is gone, and returns the context's error. [`wait_ctx`] takes the child by reference and
//! leaves it running. Only the child itself is killed. Processes that the child has started
//! continue, unless they end when their pipes close. The functions do not wait for those processes,
//! even if the processes hold the child's output open. (Go waits, unless there is a `WaitDelay`.)
//!
//! # How it waits
//! On Linux, a process can have a descriptor that becomes readable when the process ends
//! (`pidfd_open`, since 5.3). The functions wait for that descriptor as they would for a socket,
//! and use one descriptor while they wait. If no such descriptor is available (on another system,
//! in a container that denies the call, or if no descriptor is free), the functions poll. They
//! check whether the child has ended, first after 1 ms, then less and less often, and finally every
//! 50 ms.
//!
//! Rejected: a thread for each child, because no context could end it. Rejected: SIGCHLD, because
//! its handler belongs to the whole process, also needs descriptors, and is never called if the
//! program was started with the signal blocked.

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

/// The pause between two checks of a child: the minimum, the maximum, and the share of the time
/// waited so far.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);
const PAUSE_SHARE: u32 = 16;

/// Waits until the child has ended.
///
/// Like [`Child::wait`], but parks the goroutine. Go's `Cmd.Wait`. The child's `stdin` is closed
/// first, if it was not taken, so that the child does not wait for more input.
///
/// # Errors
/// The system's error, for example if the child was waited for elsewhere.
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

/// Waits like [`wait`], but only until `ctx` ends.
///
/// If the context ends first, the child continues and can be waited for again.
///
/// # Errors
/// The errors of [`wait`], and the context's error.
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
    // The child has not been waited for, so its ID cannot have been reused.
    let mut pidfd = open_process(child.id()).ok().and_then(|pidfd| Async::new(pidfd).ok());
    let since = Instant::now();
    loop {
        match &pidfd {
            Some(pidfd) => pidfd.with_ctx(ctx).readable()?,
            None => ctx.sleep((since.elapsed() / PAUSE_SHARE).clamp(MIN_PAUSE, MAX_PAUSE))?,
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        // If the descriptor was readable, a debugger has to wait for the child first, and the
        // descriptor does not report when that happens.
        pidfd = None;
    }
}

/// A child that is killed and waited for on drop, unless it was waited for before.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Neither call has an effect if the child was waited for. If the system refuses, there is
        // no other way to end the child.
        let _ = self.0.kill();
        let _ = wait(&mut self.0);
    }
}

/// Runs a program and waits until it has ended.
///
/// Like [`Command::status`], but parks the goroutine. Go's `Cmd.Run`.
///
/// # Errors
/// The system's error, for example if the program does not exist.
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

/// Runs a program like [`status`], but only until `ctx` ends.
///
/// If the context ends first, the child is killed, and is gone when this function returns. If the
/// context has already ended, no child is started. Go's `exec.CommandContext` and `Cmd.Run`.
///
/// # Errors
/// The errors of [`status`], and the context's error.
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
    let mut child = KillOnDrop(command.spawn()?);
    wait_ctx(ctx, &mut child.0)
}

/// Runs a program, waits until it has ended, and returns everything that it has printed.
///
/// Like [`Command::output`], but parks the goroutine. Go's `Cmd.Output`.
///
/// `stdout` and `stderr` are captured, whatever was set in `command`, and `command` keeps that
/// setting. `stdin` is as set in `command`, or inherited from this process if it was not set, as
/// with [`Command::spawn`]. (`std` captures only the streams that were not set, and gives the child
/// an empty `stdin`.)
///
/// # Errors
/// The system's error, for example if the program does not exist. A program that fails is not an
/// error here: check the status.
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

/// Runs a program like [`output`], but only until `ctx` ends.
///
/// If the context ends first, the child is killed and is gone when this function returns. Its
/// output is lost. If the context has already ended, no child is started. Go's
/// `exec.CommandContext` and `Cmd.Output`.
///
/// # Errors
/// The errors of [`output`], and the context's error.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::process;
/// use std::process::Command;
/// use std::time::Duration;
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(20));
/// let mut command = Command::new("sh");
/// command.args(["-c", "echo begin; exec sleep 60"]);
/// let error = process::output_ctx(&ctx, &mut command).unwrap_err();
/// assert_eq!(error.to_string(), "context deadline exceeded");
/// ```
pub fn output_ctx(ctx: &Context, command: &mut Command) -> io::Result<Output> {
    ctx.err().map_or(Ok(()), Err)?;
    wait_with_output_ctx(ctx, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Waits until the child has ended, and returns everything that it has printed.
///
/// Like [`Child::wait_with_output`], but parks the goroutine. Only pipes are read. Both are read at
/// the same time, so a full pipe never keeps the child waiting while the other pipe is read. The
/// child's `stdin` is closed first.
///
/// # Errors
/// The system's error. In that case the child is killed.
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

/// Waits like [`wait_with_output`], but only until `ctx` ends.
///
/// If the context ends first, or has ended already, the child is killed, and is gone when this
/// function returns.
///
/// # Errors
/// The errors of [`wait_with_output`], and the context's error.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::process;
/// use std::process::{Command, Stdio};
///
/// let child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn()?;
/// let (ctx, cancel) = Context::background().with_cancel();
/// greenthread::go!(move || cancel.cancel());
/// let error = process::wait_with_output_ctx(&ctx, child).unwrap_err();
/// assert_eq!(error.to_string(), "context canceled");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_with_output_ctx(ctx: &Context, child: Child) -> io::Result<Output> {
    let mut child = KillOnDrop(child);
    drop(child.0.stdin.take());
    let (stdout, stderr) = (child.0.stdout.take(), child.0.stderr.take());
    let (stdout, stderr) = scope(|s| {
        let stderr = s.spawn(|| drain(ctx, stderr));
        (drain(ctx, stdout), stderr.join().unwrap_or_else(|payload| panic::resume_unwind(payload)))
    });
    let (stdout, stderr) = (stdout?, stderr?);
    Ok(Output { status: wait_ctx(ctx, &mut child.0)?, stdout, stderr })
}

/// Reads a pipe to its end.
fn drain(ctx: &Context, pipe: Option<impl AsFd + Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        Async::new(pipe)?.with_ctx_mut(ctx).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Sends a signal to the child, unless it has ended.
///
/// Does not block. Go's `Process.Signal`.
///
/// # Errors
/// The system's error, for example if the child now runs as another user.
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
/// process::send_signal(&mut child, Signal::SIGTERM)?; // no effect: no other process gets it
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn send_signal(child: &mut Child, signal: Signal) -> io::Result<()> {
    match child.try_wait()? {
        // The ID may now belong to another process.
        Some(_) => Ok(()),
        None => send(child.id(), signal.as_raw()),
    }
}

/// Asks the child to end (SIGTERM), and kills it if it has not ended after `grace`.
///
/// Blocks until the child has ended. Go's `Cmd.Cancel` with `Cmd.WaitDelay`.
///
/// # Errors
/// The system's error.
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
