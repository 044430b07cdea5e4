//! Programs that run as children of the test, for what ends the process or must be set before it begins.
//!
//! The test program runs itself again, with the name of the program in an environment variable. Its `main` must be real, since
//! the end of `main` is part of what is tested; so these test programs come without the usual harness, and bring their own list.

use std::env;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use greenthread::__private::Mechanism;

use super::LIMIT;

/// How long a child that hangs may take to say where.
const LAST_WORDS: Duration = Duration::from_secs(10);

const VARIABLE: &str = "GREENTHREAD_TEST_PROGRAM";

/// What the runtime reads.
const SETTINGS: [&str; 4] = ["GOMAXPROCS", "GODEBUG", "GREENTHREAD_STACK", "GREENTHREAD_MAXTHREADS"];

/// A test, by name.
pub type Test = (&'static str, fn());

/// What a child runs as its `main`, by name.
pub type Main = (&'static str, fn() -> ExitCode);

/// A list of functions with their names: `named![a, b]`.
#[allow(unused_macros)]
macro_rules! named {
    ($($($name:ident)::+),* $(,)?) => { &[$((stringify!($($name)::+), $($name)::+)),*] };
}
#[allow(unused_imports)]
pub(crate) use named;

/// Switches a mechanism off, for the rest of this process: one that is there to show what happens then.
pub fn without(mechanism: Mechanism) {
    // SAFETY: what follows is made to be defined without it: it counts wrong, crashes, or waits for ever, and is watched from outside.
    unsafe { mechanism.switch_off() };
}

/// The `main` of a test program: runs the program that the variable names, else the tests, one after the other. Takes a part of a
/// name, and `--exact` and `--list`, as the usual harness does.
pub fn main(tests: &[Test], programs: &[Main]) -> ExitCode {
    if let Ok(wanted) = env::var(VARIABLE) {
        // The compiler prints paths with spaces in them.
        let program = programs.iter().find(|(name, _)| name.replace(' ', "") == wanted);
        let (_, program) = program.expect("the program is in the list");
        return program();
    }
    let flag = |flag: &str| env::args().skip(1).any(|arg| arg == flag);
    let wanted: Vec<String> = env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| {
        wanted.is_empty() || wanted.iter().any(|w| if flag("--exact") { name == w } else { name.contains(w) })
    };
    let mut failed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| is_wanted(name)) {
        if flag("--list") {
            println!("{name}: test");
        } else if panic::catch_unwind(test).is_ok() {
            println!("test {name} ... ok");
        } else {
            println!("test {name} ... FAILED");
            failed += 1;
        }
    }
    ExitCode::from(u8::from(failed > 0) * 101)
}

/// A child to be run.
pub struct Program(Command);

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// The program `name` of this test program, with none of the runtime's settings.
pub fn program(name: &str) -> Program {
    let mut command = Command::new(env::current_exe().expect("a program knows its own path"));
    command.env(VARIABLE, name).env("RUST_BACKTRACE", "0");
    for setting in SETTINGS {
        command.env_remove(setting);
    }
    Program(command)
}

/// As [`program`], with no more than `limit` descriptors.
pub fn program_with_descriptors(name: &str, limit: u32) -> Program {
    program_after(&format!("ulimit -n {limit}"), name)
}

/// As [`program`], started by a shell that has run `setup` before.
pub fn program_after(setup: &str, name: &str) -> Program {
    let Program(program) = program(name);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{setup}; exec \"$0\"")]).arg(program.get_program());
    for (variable, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(variable, value),
            None => shell.env_remove(variable),
        };
    }
    Program(shell)
}

impl Program {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs the child for `duration`, checks that it has neither ended nor said anything, and kills it.
    pub fn lives_for(mut self, duration: Duration) {
        let pipes = self.0.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the child starts");
        let stderr = read_all(child.stderr.take().expect("it has a pipe"));
        thread::sleep(duration);
        let ended = child.try_wait().expect("the child is ours");
        child.kill().expect("the child is ours");
        child.wait().expect("the child is ours");
        let stderr = stderr.join().expect("readers do not panic");
        assert!(ended.is_none() && stderr.is_empty(), "{ended:?}: {stderr}");
    }

    /// Runs the child to its end; one that takes too long is asked for its goroutines and killed, and the test fails with
    /// what it said.
    pub fn run(mut self) -> Ended {
        let begin = Instant::now();
        let pipes = self.0.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the child starts");
        let stdout = read_all(child.stdout.take().expect("it has a pipe"));
        let stderr = read_all(child.stderr.take().expect("it has a pipe"));
        let mut hangs = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child is ours") {
                break status;
            }
            if begin.elapsed() > LIMIT && !hangs {
                hangs = true;
                // Without the program `kill` there is no dump.
                let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            }
            if begin.elapsed() > LIMIT + LAST_WORDS {
                child.kill().expect("the child is ours");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let took = begin.elapsed();
        let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().expect("readers do not panic"));
        let ended = Ended { status, stdout, stderr, took };
        assert!(!hangs, "the child hangs: {:?}\n{}\n{}", ended.status, ended.stdout, ended.stderr);
        ended
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Ended {
    /// Checks the exit status.
    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// Checks that the child was aborted.
    #[track_caller]
    pub fn aborts(self) -> Self {
        self.killed_by(libc::SIGABRT)
    }

    /// Checks that a signal ended the child.
    #[track_caller]
    pub fn killed_by(self, signal: i32) -> Self {
        assert_eq!(self.status.signal(), Some(signal), "{self:#?}");
        self
    }

    /// Checks that stderr has `text` in it.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        self
    }

    /// Checks that stderr has no `text` in it.
    #[track_caller]
    pub fn does_not_say(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "{text:?} in {self:#?}");
        self
    }

    /// Checks that stderr is empty.
    #[track_caller]
    pub fn says_nothing(self) -> Self {
        assert_eq!(self.stderr, "");
        self
    }

    /// Checks what is on stdout.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "{self:#?}");
        self
    }
}
