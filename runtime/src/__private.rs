//! The items that the macros expand to. They are not for direct use, and may change in any version.

use std::process::{ExitCode, Termination};

use greenthread_scheduler as scheduler;
use greenthread_scheduler::mutex::Mutex;

pub use greenthread_macros::go as go_macro;
pub use greenthread_scheduler::{Mechanism, go, limit_guard_mappings};

/// A value that `go!` can call. The trait exists for its error message.
#[diagnostic::on_unimplemented(
    message = "go! expected a call, as in `go!(f(x))`, or a closure, as in `go!(move || f(x))`",
    label = "its value, of type `{Self}`, cannot be called without arguments",
    note = "to run a block, a macro or an operator in the goroutine, write `go!(move || ..)`"
)]
pub trait Callable {
    fn call(self);
}

#[diagnostic::do_not_recommend]
impl<F: FnOnce() -> T, T> Callable for F {
    fn call(self) {
        self();
    }
}

/// Starts a goroutine that calls a value.
#[track_caller]
pub fn go_value<F: Callable + Send + 'static>(f: F) {
    go(move || f.call());
}

/// Runs `main` as the main goroutine.
///
/// The main goroutine reports the result, which therefore need not be `Send`.
#[track_caller]
pub fn run_main<R: Termination + 'static>(main: fn() -> R) -> ExitCode {
    scheduler::run_main(move || main().report())
}

/// Runs `test` as a goroutine, once for each number of Ps, until a run reports a failure.
///
/// The number of Ps is a setting of the whole process, so tests run one after the other.
pub fn run_test<R: Termination + 'static>(name: &str, procs: &[usize], test: fn() -> R) -> ExitCode {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let before = scheduler::gomaxprocs();
    let restore = RestoreProcs(before);
    let unchanged = [before];
    for &n in if procs.is_empty() { &unchanged[..] } else { procs } {
        if n != before || !procs.is_empty() {
            scheduler::set_gomaxprocs(n);
        }
        let options = scheduler::Options { name: Some(name.into()), ..Default::default() };
        let handle = scheduler::spawn(move || test().report(), options).expect("test: default options are possible");
        match handle.join() {
            Ok(code) if code == ExitCode::SUCCESS => {}
            Ok(code) => return code,
            Err(payload) => {
                drop(restore);
                std::panic::resume_unwind(payload);
            }
        }
    }
    ExitCode::SUCCESS
}

struct RestoreProcs(usize);

impl Drop for RestoreProcs {
    fn drop(&mut self) {
        scheduler::set_gomaxprocs(self.0);
    }
}
