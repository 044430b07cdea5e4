//! Work that is given to a goroutine, and the report of how it ended, also when it never began.
//!
//! A goroutine for which there is no stack ends without having run: its closure is dropped. A counter that the closure
//! counts down in a destructor would then say "done" for work that nobody has done. So all that waits for goroutines
//! learns of their end by [`reporting`], which tells the two apart.

use std::any::Any;
use std::io;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};

/// How a piece of work ended.
pub(crate) enum End<T> {
    Returned(T),
    /// With the payload of the panic, or [`Exited`](greenthread_scheduler::Exited).
    Panicked(Box<dyn Any + Send>),
    /// It has not run: there was no stack for its goroutine.
    NotStarted,
}

impl<T> End<io::Result<T>> {
    /// The result for a caller who has waited for the work: a panic goes on, and that it did not run is an error.
    pub(crate) fn into_result(self) -> io::Result<T> {
        match self {
            Self::Returned(result) => result,
            Self::Panicked(payload) => panic::resume_unwind(payload),
            Self::NotStarted => Err(io::Error::new(io::ErrorKind::OutOfMemory, "no stack for a goroutine")),
        }
    }
}

/// A closure for a goroutine that runs `f` and reports how it ended. If the closure is dropped instead, it reports
/// [`End::NotStarted`]. In either case `f` and what it has captured are gone before that, and `report` is called once.
pub(crate) fn reporting<F, T, R>(f: F, report: R) -> impl FnOnce()
where
    F: FnOnce() -> T,
    R: FnOnce(End<T>),
{
    // In a structure, since nothing says in which order a closure drops what it has captured.
    let work = Work { f, report: Report(Some(report), PhantomData) };
    move || work.run()
}

/// The fields are dropped in this order, the second even if dropping the first panics.
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
