//! Child processes: waits park, contexts end waits and kill children, and nothing is left behind.
//! `life.rs` tests the waits of a process that cannot get descriptors of its children.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self as std_process, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{check, check_from_thread, parked, until};
use greenthread::ctx::Context;
use greenthread::debug::{self, Fallback};
use greenthread::net::Async;
use greenthread::process;
use greenthread::signal::Signal;
use greenthread::{scope, spawn};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Builds a command that runs until it is killed.
fn endless() -> Command {
    let mut command = Command::new("sleep");
    command.arg("60");
    command
}

/// A file to which a child writes its process id.
struct Note(PathBuf);

impl Note {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("greenthread-child-{}-{n}", std_process::id())))
    }

    /// Builds a command that writes its id to the file and then runs until it is killed.
    fn endless(&self) -> Command {
        let mut command = sh("echo $$ > $0.new; mv $0.new $0; exec sleep 60");
        command.arg(&self.0);
        command
    }

    /// Waits until the child has written its id, and returns its folder in `/proc`.
    fn folder(&self) -> PathBuf {
        let mut number = None;
        until(|| {
            number = fs::read_to_string(&self.0).ok();
            number.is_some()
        });
        Path::new("/proc").join(number.unwrap().trim())
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns `true` if this many goroutines are parked because of children: until they read something
/// or a child ends or, where the system does not tell that, until they look again.
fn parked_for_children(count: usize) -> bool {
    let polls = debug::stats().fallbacks.contains(Fallback::ProcessEnd);
    let between_looks = if polls { parked("select") } else { 0 };
    parked("IO wait") + between_looks >= count
}

/// All waiters are parked at once; a goroutine that kept its thread in a system call would not be.
#[test]
fn waits_park_goroutines() {
    const CHILDREN: usize = 30;
    check(|| {
        let (reader, writer) = io::pipe().unwrap();
        let waiters: Vec<_> = (0..CHILDREN)
            .map(|n| {
                let stdin = Stdio::from(reader.try_clone().unwrap());
                spawn(move || match n % 2 {
                    0 => process::status(sh("read line; exit 7").stdin(stdin)).unwrap().code(),
                    _ => process::output(sh("read line; exit 7").stdin(stdin)).unwrap().status.code(),
                })
            })
            .collect();
        drop(reader);
        // `output` reads with two goroutines per child.
        until(|| parked_for_children(CHILDREN + CHILDREN / 2));
        drop(writer);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == Some(7)));
    });
}

#[test]
fn threads_may_wait_for_children() {
    check_from_thread(|| {
        assert!(process::status(&mut sh("exit 0")).unwrap().success());
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        assert_eq!(process::status_ctx(&ctx, &mut endless()).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(process::output(&mut sh("echo x")).unwrap().stdout, b"x\n");
    });
}

#[test]
fn a_canceled_wait_can_be_repeated() {
    check(|| {
        let mut child = sh("read line; exit 3").stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let (ctx, cancel) = Context::background().with_cancel();
        let waiter = spawn(move || {
            let waited = process::wait_ctx(&ctx, &mut child);
            (child, ctx, waited)
        });
        until(|| parked_for_children(1));
        cancel.cancel();
        let (mut child, ctx, waited) = waiter.join().unwrap();
        assert_eq!(waited.unwrap_err().to_string(), "context canceled");
        assert_eq!(child.try_wait().unwrap(), None, "the child goes on");
        stdin.write_all(b"line\n").unwrap();
        assert_eq!(process::wait(&mut child).unwrap().code(), Some(3));
        assert_eq!(
            process::wait(&mut child).unwrap().code(),
            Some(3),
            "the status is kept, so a second wait returns it"
        );
        assert_eq!(process::wait_ctx(&ctx, &mut child).unwrap_err().to_string(), "context canceled");
        // The child reads to the end of its input, so it would wait forever if `wait` did not close
        // the pipe.
        let mut reader = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(process::wait(&mut reader).unwrap().success());
    });
}

/// Each stream carries more than a pipe holds, in either order.
#[test]
fn both_pipes_are_drained_at_once() {
    check(|| {
        for script in [
            "head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero",
            "head -c 200000 /dev/zero; head -c 300000 /dev/zero >&2",
        ] {
            let output = process::output(&mut sh(script)).unwrap();
            assert!(output.status.success());
            assert_eq!((output.stdout.len(), output.stderr.len()), (200_000, 300_000));
        }
        let output = process::output(sh("echo out; echo err >&2; exit 5").stdout(Stdio::null())).unwrap();
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b"err\n"[..]),
            "`output` captures stdout in spite of the setting"
        );
        assert_eq!(output.status.code(), Some(5));
        let child = sh("cat; echo err >&2").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = process::wait_with_output(child).unwrap();
        assert_eq!((&*output.stdout, &*output.stderr), (&b""[..], &b"err\n"[..]), "without a pipe there is no output");
    });
}

/// Each function that has started a child kills it when the context ends, and waits until it is
/// gone.
#[test]
fn the_end_of_a_context_kills_the_child() {
    check(|| {
        let kinds: [fn(&Context, &mut Command) -> io::Result<()>; 3] = [
            |ctx, command| process::status_ctx(ctx, command).map(|_| ()),
            |ctx, command| process::output_ctx(ctx, command).map(|_| ()),
            |ctx, command| process::wait_with_output_ctx(ctx, command.stderr(Stdio::piped()).spawn()?).map(|_| ()),
        ];
        for kind in kinds {
            let note = Note::new();
            let (ctx, cancel) = Context::background().with_cancel();
            scope(|s| {
                let waiter = s.spawn(|| kind(&ctx, &mut note.endless()));
                let folder = note.folder();
                assert!(folder.exists());
                cancel.cancel();
                assert_eq!(waiter.join().unwrap().unwrap_err().to_string(), "context canceled");
                assert!(!folder.exists(), "the child was waited for");
            });
        }
        // No child is started under a context that has ended.
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let note = Note::new();
        for kind in &kinds[..2] {
            assert_eq!(kind(&ctx, &mut note.endless()).unwrap_err().to_string(), "context canceled");
        }
        assert!(!note.0.exists());
        // A context that does not end has no effect, and nothing keeps it afterwards.
        let (ctx, _cancel) = Context::background().with_timeout(LONG);
        assert_eq!(process::output_ctx(&ctx, &mut sh("echo x")).unwrap().stdout, b"x\n");
    });
}

// A grandchild holds the pipes open. The call does not wait for it once the context has ended.
#[test]
fn a_grandchild_with_open_pipes_is_not_waited_for() {
    check(|| {
        let note = Note::new();
        let mut command = sh("sleep 60 & echo $! > $0.new; mv $0.new $0; exit 0");
        let (ctx, cancel) = Context::background().with_cancel();
        scope(|s| {
            let waiter = s.spawn(|| process::output_ctx(&ctx, command.arg(&note.0)));
            let folder = note.folder();
            until(|| parked("IO wait") == 2);
            cancel.cancel();
            assert_eq!(waiter.join().unwrap().unwrap_err().to_string(), "context canceled");
            let number = folder.file_name().unwrap().to_str().unwrap();
            assert!(process::status(sh("kill $0").arg(number)).unwrap().success(), "the grandchild is still there");
        });
    });
}

#[test]
fn errors_come_from_the_system() {
    check(|| {
        let missing = &mut Command::new("/nowhere/to/be/found");
        assert_eq!(process::status(missing).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(process::output(missing).unwrap_err().kind(), ErrorKind::NotFound);
        let killed = process::status(&mut sh("kill -KILL $$")).unwrap();
        assert_eq!(killed.signal(), Some(9), "a signal that ends the child is not an error");
    });
}

fn ready(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(Async::new(child.stdout.take().unwrap()).unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
}

#[test]
fn signals_are_sent_and_terminate_kills_in_the_end() {
    check(|| {
        let mut child =
            sh("trap 'exit 4' USR1; echo ready; while :; do sleep 0.01; done").stdout(Stdio::piped()).spawn().unwrap();
        ready(&mut child);
        process::send_signal(&mut child, Signal::SIGUSR1).unwrap();
        assert_eq!(process::wait(&mut child).unwrap().code(), Some(4));
        process::send_signal(&mut child, Signal::SIGUSR1).unwrap();
        let mut child = endless().spawn().unwrap();
        let real_time = Signal::real_time(1).unwrap();
        process::send_signal(&mut child, real_time).unwrap();
        assert_eq!(process::wait(&mut child).unwrap().signal(), Some(real_time.as_raw()));

        let mut child = endless().spawn().unwrap();
        assert_eq!(process::terminate(&mut child, LONG).unwrap().signal(), Some(15));
        assert_eq!(
            process::terminate(&mut child, LONG).unwrap().signal(),
            Some(15),
            "the child has ended, so the status is known"
        );
        let mut child = sh("trap '' TERM; echo ready; exec sleep 60").stdout(Stdio::piped()).spawn().unwrap();
        ready(&mut child);
        assert_eq!(process::terminate(&mut child, SHORT).unwrap().signal(), Some(9));
    });
}
