//! The two reasons for which a context ends.

use std::fmt;
use std::io;

/// Why a context ended: Go's `context.Canceled` and `context.DeadlineExceeded`, with their texts.
///
/// ```
/// use greenthread_ctx::Error;
///
/// assert_eq!(Error::Canceled.to_string(), "context canceled");
/// assert_eq!(std::io::Error::from(Error::DeadlineExceeded).kind(), std::io::ErrorKind::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// Somebody cancelled it.
    Canceled,
    /// Its deadline has passed.
    DeadlineExceeded,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "context canceled",
            Self::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        // Not `Interrupted`: std's own loops take that for "try again".
        let kind = match error {
            Error::Canceled => io::ErrorKind::Other,
            Error::DeadlineExceeded => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}
