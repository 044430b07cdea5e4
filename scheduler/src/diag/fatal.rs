//! Messages that the runtime itself prints to stderr: warnings, and the reason why it ends the
//! process.

use std::fmt;
use std::io::Write;

use crate::machine::stack::overflow::Stderr;

/// Prints a warning line.
///
/// Errors are ignored: without stderr, they cannot be reported.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "greenthread: {text}");
}

/// Prints Go's "fatal error" line and ends the process with status 2, like Go.
///
/// The lock of `std`'s stderr is bypassed: a parked goroutine may hold it.
pub(crate) fn fatal(text: &str) -> ! {
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("fatal error: {text}\n"));
    std::process::exit(2);
}

/// Prints the "fatal error" line and then the text that `report` makes, and ends the process like
/// [`fatal`].
///
/// The line is printed first because a report allocates memory, which may be what has run out.
pub(crate) fn fatal_with_report(text: &str, report: impl FnOnce() -> String) -> ! {
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("fatal error: {text}\n"));
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("\n{}\n", report()));
    std::process::exit(2);
}

/// Prints a "fatal error" line and aborts.
///
/// No more code of the program runs: no exit handlers, and no destructors of thread-locals.
pub(crate) fn abort(text: fmt::Arguments<'_>) -> ! {
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("fatal error: {text}\n"));
    std::process::abort();
}

/// Prints text unchanged.
pub(crate) fn print(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Ends the process if it is dropped by a panic.
///
/// A panic on a thread that runs the scheduler is a fault of the scheduler itself. Without that
/// thread, its goroutines would wait forever, with no sign of the reason.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print("fatal error: the scheduler has panicked\n");
            std::process::abort();
        }
    }
}
