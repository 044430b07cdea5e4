//! The errors that operations return and that do not come from the system.

use std::io;

use greenthread_ctx::Context;
use greenthread_scheduler::Ended;

/// Returns the error of operations on a closed descriptor; the text is Go's.
#[cold]
pub(super) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "use of closed network connection")
}

/// Returns the error of operations that have timed out; the text is Go's.
#[cold]
pub(super) fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")
}

/// Returns the error for a timeout of zero; the text is `std`'s.
#[cold]
pub(super) fn zero_timeout() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout")
}

/// Converts the reason why a wait ended into an error.
pub(super) fn of_wait(ended: Ended) -> io::Error {
    match ended {
        Ended::Closed => closed(),
        Ended::Deadline => timed_out(),
    }
}

/// Returns the error of a context that has ended.
#[inline]
pub(super) fn check_ctx(ctx: Option<&Context>) -> io::Result<()> {
    match ctx.and_then(Context::err) {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}
