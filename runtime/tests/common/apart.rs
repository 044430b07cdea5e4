//! Runs each test of a libtest program in a process of its own, so that tests can run side by side.
//! The number of Ps and what a test leaves behind belong to the whole process.
//!
//! The harness of the process that Cargo starts runs as many tests at a time as it likes. The first
//! check in a test calls [`runs_here`], which starts the same executable for this test alone, waits
//! for it, and returns `false`: the whole test has then run there. In that process `runs_here`
//! returns `true`.

// Not every program that includes this module uses all of it.
#![allow(dead_code, unreachable_pub)]

use std::cell::Cell;
use std::env;
use std::process::Command;
use std::thread;

/// The environment variable of a process that was started for one test.
pub const VARIABLE: &str = "GREENTHREAD_TEST_ALONE";

thread_local! {
    /// `true` once the test of this thread has run in a process of its own.
    static HAS_RUN: Cell<bool> = const { Cell::new(false) };
}

/// Returns `true` if the calling check must run its body in this process.
///
/// Otherwise the whole test has run in a process of its own and has passed there.
///
/// # Panics
/// If the test has failed in its process. The output of that process is printed first.
pub fn runs_here() -> bool {
    if env::var_os(VARIABLE).is_some() {
        return true;
    }
    // With one test at a time, libtest runs them on the main thread, and a second process gains
    // nothing.
    let thread = thread::current();
    let Some(name) = thread.name().filter(|name| *name != "main") else { return true };
    if !HAS_RUN.get() {
        run_apart(name, &[]);
        HAS_RUN.set(true);
    }
    false
}

/// Runs the test `name` of this executable in a process of its own, without the environment
/// variables `removed`.
///
/// # Panics
/// If the test fails there. The output of that process is printed first.
pub fn run_apart(name: &str, removed: &[&str]) {
    let mut child = Command::new(env::current_exe().expect("a program knows its own path"));
    // With more than one test thread, libtest runs the test on a thread with the test's name, which
    // watchdogs show.
    child.args([name, "--exact", "--nocapture", "--test-threads=2"]).env(VARIABLE, "1");
    for variable in removed {
        child.env_remove(variable);
    }
    let ended = child.output().expect("the child starts");
    let [stdout, stderr] = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // The exit status alone is not enough: it is also zero if the harness knows no test of this
    // name.
    if !ended.status.success() || !stdout.contains("test result: ok. 1 passed;") {
        println!("{stdout}{stderr}");
        panic!("{name} failed in its own process: {}", ended.status);
    }
}
