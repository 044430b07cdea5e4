//! The runtime's own words on stderr: warnings, and the end of the process.

use std::fmt;
use std::io::Write;

use crate::machine::stack::overflow::Stderr;

/// Prints one warning line. Never fails: without a stderr there is nobody to warn.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "greenthread: {text}");
}

/// Prints Go's "fatal error" line and ends the process with status 2, as Go does.
///
/// The lock of `std`'s stderr is passed by: a goroutine may be parked with it.
pub(crate) fn fatal(text: &str) -> ! {
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("fatal error: {text}\n"));
    std::process::exit(2);
}

/// Like [`fatal`], but prints the text that `report` makes after the line.
///
/// The line comes first since a report takes memory, and memory may be what has run out.
pub(crate) fn fatal_with_report(text: &str, report: impl FnOnce() -> String) -> ! {
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("fatal error: {text}\n"));
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("\n{}\n", report()));
    std::process::exit(2);
}

/// Prints a "fatal error" line and aborts: nothing of the program runs any more, neither handlers of its end nor
/// destructors of its thread-locals.
pub(crate) fn abort(text: fmt::Arguments<'_>) -> ! {
    let _ = fmt::Write::write_fmt(&mut Stderr, format_args!("fatal error: {text}\n"));
    std::process::abort();
}

/// Prints text as it is.
pub(crate) fn print(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Ends the process if it is dropped by a panic. On a thread that runs the scheduler a panic is a fault of the
/// scheduler itself: without the thread, what it had in hand would wait for ever, and nobody would know why.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print("fatal error: the scheduler has panicked\n");
            std::process::abort();
        }
    }
}
