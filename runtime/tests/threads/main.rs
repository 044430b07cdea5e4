//! Goroutines and the threads that run them: each test runs in a process of its own (see
//! `common::child`).

#[path = "../common/mod.rs"]
mod common;

mod migration;
mod os_threads;
mod ties;
mod unwinding;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::child::main(&[migration::SUITE, os_threads::SUITE, ties::SUITE, unwinding::SUITE])
}
