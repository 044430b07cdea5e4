//! Why a value cannot be waited for; with the value.

use std::error::Error;
use std::fmt;
use std::io;

/// The error of [`Async::new`](super::Async::new). It holds the value, which is as it was before,
/// its descriptor's mode included. `?` makes it an [`io::Error`] and drops the value.
///
/// ```
/// use greenthread::net::Async;
/// use std::fs::File;
/// use std::io::Read;
///
/// // A regular file cannot be waited for: it is used as it is.
/// let file = File::open(std::env::current_exe()?)?;
/// let mut file = Async::new(file).unwrap_err().into_inner();
/// file.read_exact(&mut [0; 4])?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct WatchError<T> {
    error: io::Error,
    value: T,
}

impl<T> WatchError<T> {
    pub(super) fn new(error: io::Error, value: T) -> Self {
        Self { error, value }
    }

    /// Returns what the system says.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::fs::File;
    /// use std::io::ErrorKind;
    ///
    /// let refused = Async::new(File::open(std::env::current_exe()?)?).unwrap_err();
    /// assert_eq!(refused.error().kind(), ErrorKind::PermissionDenied);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// Returns the value.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::fs::File;
    ///
    /// let file: File = Async::new(File::open(std::env::current_exe()?)?).unwrap_err().into_inner();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns both.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::fs::File;
    ///
    /// let (error, file) = Async::new(File::open(std::env::current_exe()?)?).unwrap_err().into_parts();
    /// println!("{file:?}: {error}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_parts(self) -> (io::Error, T) {
        (self.error, self.value)
    }
}

/// What the system says.
impl<T> fmt::Display for WatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// What the system says; the value need not be `Debug`.
impl<T> fmt::Debug for WatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> Error for WatchError<T> {}

/// What the system says. The value is dropped.
impl<T> From<WatchError<T>> for io::Error {
    fn from(refused: WatchError<T>) -> Self {
        refused.error
    }
}
