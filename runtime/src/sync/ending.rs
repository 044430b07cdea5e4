//! Work for a goroutine, with a report of how the work ended.

use std::panic::{self, AssertUnwindSafe};
use std::thread;

/// Returns a closure for a goroutine that runs `f` and reports how it ended: with a value, or with
/// the payload of a panic or of `exit_goroutine` ([`Exited`](greenthread_scheduler::Exited)).
///
/// `f` and its captures are dropped before the report, and `report` is called once.
pub(crate) fn reporting<T>(f: impl FnOnce() -> T, report: impl FnOnce(thread::Result<T>)) -> impl FnOnce() {
    move || {
        let end = panic::catch_unwind(AssertUnwindSafe(f));
        report(end);
    }
}
