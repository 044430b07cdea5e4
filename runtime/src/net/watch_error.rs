//! The error for a value that cannot be registered with the poller.

use std::error::Error;
use std::fmt;
use std::io;

/// The error of [`Async::new`](super::Async::new), with the value that was passed.
///
/// The value, including the mode of its descriptor, is as it was before. `?` converts the error
/// into an [`io::Error`] and drops the value.
///
/// ```
/// use greenthread::net::Async;
/// use std::fs::File;
/// use std::io::Read;
///
/// // The poller does not accept regular files: use them directly.
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

    /// Returns the error of the system.
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
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// Returns the value.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::fs::File;
    ///
    /// let file = File::open(std::env::current_exe()?)?;
    /// let file: File = Async::new(file).unwrap_err().into_inner();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns the error and the value.
    ///
    /// ```
    /// use greenthread::net::Async;
    /// use std::fs::File;
    ///
    /// let file = File::open(std::env::current_exe()?)?;
    /// let (error, file) = Async::new(file).unwrap_err().into_parts();
    /// println!("{file:?}: {error}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn into_parts(self) -> (io::Error, T) {
        (self.error, self.value)
    }
}

impl<T> fmt::Display for WatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// Does not require the value to be `Debug`.
impl<T> fmt::Debug for WatchError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> Error for WatchError<T> {}

/// Drops the value.
impl<T> From<WatchError<T>> for io::Error {
    fn from(refused: WatchError<T>) -> Self {
        refused.error
    }
}
