//! Test programs whose tests each run in a process of their own, and the programs that these tests
//! run as children: for what ends the process, changes it for good, or must have it to itself.
//!
//! A test program of this kind has no libtest harness: [`main`] is its `main`. It starts itself
//! again for each test, with the test's name in an environment variable, and several at a time. A
//! test in turn starts the same executable with the name of a program. A program needs a real
//! `main`, since the end of `main` is part of what is tested.

use std::collections::VecDeque;
use std::env;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::panic::Location;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use greenthread::__private::Mechanism;
use greenthread::config::DEFAULT_STACK_SIZE;

use super::watchdog::patiently;
use super::{LIMIT, apart};

/// The time that a child which hangs has to print its dump.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The limit of a test, which may run several programs with a limit of their own.
const TEST_LIMIT: Duration = Duration::from_secs(900);

/// The number of tests that run at the same time. They spend most of it waiting, and measure
/// nothing.
const AT_A_TIME: usize = 4;

/// The environment variable that says what a process runs: `test suite::name` or
/// `program suite::name`.
const VARIABLE: &str = "GREENTHREAD_TEST_PROGRAM";

/// The variables that the runtime reads.
const SETTINGS: [&str; 4] = ["GOMAXPROCS", "GODEBUG", "GREENTHREAD_STACK", "GREENTHREAD_MAXTHREADS"];

/// The name of a test, and the test.
pub type Test = (&'static str, fn());

/// A function that a child runs as its `main`, by name.
pub type Main = (&'static str, fn() -> ExitCode);

/// The tests and programs of one file.
pub struct Suite {
    /// The file that names the suite: `tests/isolated/crash.rs` is the suite `crash`.
    pub file: &'static str,
    pub tests: &'static [Test],
    pub programs: &'static [Main],
    /// Called at the start of each process, before anything else.
    pub setup: fn(),
    /// `true` if the tests measure something or use the whole machine, so no other test may run at
    /// the same time.
    pub is_alone: bool,
}

/// Makes the suite of the file that uses it, as in `suite!(TESTS, PROGRAMS)`.
#[allow(unused_macros)]
macro_rules! suite {
    ($tests:expr, $programs:expr) => {
        $crate::common::child::Suite {
            file: file!(),
            tests: $tests,
            programs: $programs,
            setup: || (),
            is_alone: false,
        }
    };
}
#[allow(unused_imports)]
pub(crate) use suite;

/// Lists functions with their names, as in `named![a, b]`.
#[allow(unused_macros)]
macro_rules! named {
    ($($($name:ident)::+),* $(,)?) => { &[$((stringify!($($name)::+), $($name)::+)),*] };
}
#[allow(unused_imports)]
pub(crate) use named;

impl Suite {
    /// Sets a function that each process calls before anything else.
    pub const fn after(self, setup: fn()) -> Self {
        Self { setup, ..self }
    }

    /// Keeps every other test from running at the same time as one of this suite.
    pub const fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }
}

/// Returns the name of the suite in `file`.
fn suite_of(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".rs").unwrap_or(name)
}

/// Switches a mechanism off for the rest of this process, to show what it prevents.
pub fn without(mechanism: Mechanism) {
    // SAFETY: the programs that do this are defined without the mechanism: they count wrong, crash,
    // or wait forever, and the test watches them from outside.
    unsafe { mechanism.switch_off() };
}

/// Runs the test or the program that the variable names, or else all tests.
///
/// The `main` of a test program. It takes the arguments of libtest that matter here: parts of
/// names, `--exact`, `--skip` and `--list`.
pub fn main(suites: &[Suite]) -> ExitCode {
    let Ok(wanted) = env::var(VARIABLE) else { return run_all(suites) };
    let (kind, name) = wanted.split_once(' ').expect("a kind and a name");
    let (suite, name) = name.split_once("::").expect("a suite and a name");
    let suite = suites.iter().find(|s| suite_of(s.file) == suite).expect("the suite is in the list");
    // The compiler prints paths with spaces in them.
    let is_wanted = |other: &str| other.replace(' ', "") == name;
    (suite.setup)();
    if kind == "program" {
        let (_, program) = suite.programs.iter().find(|(name, _)| is_wanted(name)).expect("the program is in the list");
        return program();
    }
    let (_, test) = suite.tests.iter().find(|(name, _)| is_wanted(name)).expect("the test is in the list");
    // Messages and watchdogs show the name of the thread.
    let thread = thread::Builder::new().name(name.to_owned()).spawn(test).expect("a thread can be started");
    ExitCode::from(u8::from(thread.join().is_err()) * 101)
}

/// The tests that the arguments ask for.
struct Filter {
    wanted: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
}

impl Filter {
    fn from_arguments() -> Self {
        let mut this = Self { wanted: Vec::new(), skipped: Vec::new(), exact: false, list: false };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--exact" => this.exact = true,
                "--list" => this.list = true,
                "--skip" => this.skipped.extend(arguments.next()),
                // The number of tests at a time is fixed, so this option has no effect.
                "--test-threads" => drop(arguments.next()),
                other if other.starts_with('-') => {}
                _ => this.wanted.push(argument),
            }
        }
        this
    }

    fn takes(&self, name: &str) -> bool {
        let matches = |part: &String| if self.exact { name == part } else { name.contains(&**part) };
        (self.wanted.is_empty() || self.wanted.iter().any(matches)) && !self.skipped.iter().any(matches)
    }
}

/// Runs every test that the arguments ask for: first those that may run side by side, then the
/// others.
fn run_all(suites: &[Suite]) -> ExitCode {
    let filter = Filter::from_arguments();
    let names_of = |is_alone: bool| {
        let suites = suites.iter().filter(move |suite| suite.is_alone == is_alone);
        let names =
            suites.flat_map(|suite| suite.tests.iter().map(|(name, _)| format!("{}::{name}", suite_of(suite.file))));
        names.filter(|name| filter.takes(name)).collect::<VecDeque<_>>()
    };
    let (together, alone) = (names_of(false), names_of(true));
    let count = together.len() + alone.len();
    if filter.list {
        together.iter().chain(&alone).for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("running {count} tests");
    let failed = run_at_once(AT_A_TIME, together) + run_at_once(1, alone);
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {result}. {} passed; {failed} failed", count - failed);
    ExitCode::from(u8::from(failed > 0) * 101)
}

/// Runs the tests, up to `at_a_time` of them at once, and returns how many failed.
fn run_at_once(at_a_time: usize, tests: VecDeque<String>) -> usize {
    let (tests, failed) = (Mutex::new(tests), Mutex::new(0));
    let next = || tests.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some(name) = next() {
            let ended = start(&format!("test {name}")).run_within(TEST_LIMIT);
            // The lock is held while a result is printed, so that reports do not mix.
            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            match ended {
                Ok(ended) if ended.status.success() => println!("test {name} ... ok ({:.2?})", ended.took),
                Ok(ended) | Err(ended) => {
                    *failed += 1;
                    println!(
                        "{}{}test {name} ... FAILED ({}, {:.2?})",
                        ended.stdout, ended.stderr, ended.status, ended.took
                    );
                }
            }
        }
    };
    thread::scope(|scope| (0..at_a_time).for_each(|_| drop(scope.spawn(work))));
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A child that has not been started.
pub struct Program(Command);

/// The end of a child.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// Returns the size of a goroutine's stack as reports write it.
pub fn default_stack() -> String {
    format!("{} KiB", DEFAULT_STACK_SIZE >> 10)
}

/// Returns this executable as a program that runs `what`.
fn start(what: &str) -> Program {
    let mut command = Command::new(env::current_exe().expect("a program knows its own path"));
    command.env(VARIABLE, what).env(apart::VARIABLE, "1");
    Program(command)
}

/// Returns the program `name` of the calling file, with none of the runtime's settings.
#[track_caller]
pub fn program(name: &str) -> Program {
    let Program(mut command) = start(&format!("program {}::{name}", suite_of(Location::caller().file())));
    command.env("RUST_BACKTRACE", "0");
    for setting in SETTINGS {
        command.env_remove(setting);
    }
    Program(command)
}

/// Returns [`program`] with at most `limit` descriptors.
#[track_caller]
pub fn program_with_descriptors(name: &str, limit: u32) -> Program {
    program_after(&format!("ulimit -n {limit}"), name)
}

/// Returns [`program`], started by a shell after it has run `setup`.
#[track_caller]
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

    /// Runs the child for `duration`, checks that it has neither ended nor said anything, and kills
    /// it.
    pub fn lives_for(mut self, duration: Duration) {
        let pipes = self.0.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the child starts");
        let stderr = read_all(child.stderr.take().expect("the child has a pipe"));
        thread::sleep(duration);
        let ended = child.try_wait().expect("the child is ours");
        child.kill().expect("the child is ours");
        child.wait().expect("the child is ours");
        let stderr = stderr.join().expect("readers do not panic");
        assert!(ended.is_none() && stderr.is_empty(), "{ended:?}: {stderr}");
    }

    /// Runs the child to its end; one that takes too long is asked for its goroutines and killed,
    /// and the test fails with what it said.
    pub fn run(self) -> Ended {
        self.run_within(LIMIT).unwrap_or_else(|Ended { status, stdout, stderr, .. }| {
            panic!("the child hangs: {status:?}\n{stdout}\n{stderr}");
        })
    }

    /// Runs the child to its end. After `limit` it is asked for its goroutines and killed; then
    /// what it said is an error.
    fn run_within(mut self, limit: Duration) -> Result<Ended, Ended> {
        let (begin, limit) = (Instant::now(), patiently(limit));
        let pipes = self.0.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the child starts");
        let stdout = read_all(child.stdout.take().expect("the child has a pipe"));
        let stderr = read_all(child.stderr.take().expect("the child has a pipe"));
        let mut hangs = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child is ours") {
                break status;
            }
            if begin.elapsed() > limit && !hangs {
                hangs = true;
                // The dump needs the program `kill`.
                let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            }
            if begin.elapsed() > limit + patiently(LAST_WORDS) {
                child.kill().expect("the child is ours");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let took = begin.elapsed();
        let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().expect("readers do not panic"));
        let ended = Ended { status, stdout, stderr, took };
        if hangs { Err(ended) } else { Ok(ended) }
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

    /// Checks that stderr contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        self
    }

    /// Checks that stderr does not contain `text`.
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

    /// Checks the whole text of stdout.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "{self:#?}");
        self
    }
}
