//! Work for a goroutine, with a report of how the work ended, even if it never began.
//!
//! A goroutine that gets no stack ends without having run: its closure is dropped. A counter that
//! the closure decrements in a destructor would then report work as done although it never ran. So
//! everything that waits for goroutines learns of their end through [`reporting`], which tells the
//! two cases apart.

use std::any::Any;
use std::io;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};

/// The text of the error for work that has not run.
const NOT_STARTED: &str = "a goroutine could not start: no address space for its stack; use smaller stacks, or raise \
                           the limit (ulimit -v)";

/// The outcome of a piece of work.
pub(crate) enum End<T> {
    Returned(T),
    /// The work panicked with this payload, or called `exit_goroutine`
    /// ([`Exited`](greenthread_scheduler::Exited)).
    Panicked(Box<dyn Any + Send>),
    /// The work has not run: there was no stack for its goroutine.
    NotStarted,
}

impl<T> End<io::Result<T>> {
    /// Returns the result to a caller that has waited for the work. Resumes a panic; work that has
    /// not run is an error.
    pub(crate) fn into_result(self) -> io::Result<T> {
        match self {
            Self::Returned(result) => result,
            Self::Panicked(payload) => panic::resume_unwind(payload),
            Self::NotStarted => Err(io::Error::new(io::ErrorKind::OutOfMemory, NOT_STARTED)),
        }
    }
}

/// Returns a closure for a goroutine that runs `f` and reports how it ended.
///
/// If the closure is dropped instead, it reports [`End::NotStarted`]. In either case, `f` and its
/// captures are dropped before the report, and `report` is called once.
pub(crate) fn reporting<F, T, R>(f: F, report: R) -> impl FnOnce()
where
    F: FnOnce() -> T,
    R: FnOnce(End<T>),
{
    // This is a struct, since the order in which a closure drops its captures is unspecified.
    let work = Work { f, report: Report(Some(report), PhantomData) };
    move || work.run()
}

/// The fields are dropped in this order. The second is dropped even if dropping the first panics.
struct Work<F, T, R: FnOnce(End<T>)> {
    f: F,
    report: Report<T, R>,
}

impl<F: FnOnce() -> T, T, R: FnOnce(End<T>)> Work<F, T, R> {
    fn run(self) {
        let Self { f, mut report } = self;
        let end = match panic::catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => End::Returned(value),
            Err(payload) => End::Panicked(payload),
        };
        report.make(end);
    }
}

struct Report<T, R: FnOnce(End<T>)>(Option<R>, PhantomData<fn(T)>);

impl<T, R: FnOnce(End<T>)> Report<T, R> {
    fn make(&mut self, end: End<T>) {
        if let Some(report) = self.0.take() {
            report(end);
        }
    }
}

impl<T, R: FnOnce(End<T>)> Drop for Report<T, R> {
    fn drop(&mut self) {
        self.make(End::NotStarted);
    }
}
