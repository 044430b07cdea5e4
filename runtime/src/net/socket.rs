//! The common part of all kinds of sockets: a handle to an [`AsyncFd`] that contains a `std`
//! socket.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use socket2::SockRef;

use super::async_fd::AsyncFd;

/// A handle to a socket of the `std` type `T`.
///
/// It dereferences to [`AsyncFd`], which provides the operations: reading, writing, waiting,
/// deadlines, closing. The socket is closed with its last handle.
pub(super) struct Socket<T: AsFd>(Arc<AsyncFd<T>>);

impl<T: AsFd + From<OwnedFd>> Socket<T> {
    /// Registers a socket that was made by `std` or another library.
    pub(super) fn from_std(socket: T) -> io::Result<Self> {
        let fd = AsyncFd::new(socket).map_err(|(error, _)| error)?;
        fd.keep_mode();
        Ok(Self(Arc::new(fd)))
    }

    /// Registers a socket that was made here and has no other owner.
    pub(super) fn own(socket: T) -> io::Result<Self> {
        AsyncFd::own(socket).map(|fd| Self(Arc::new(fd)))
    }

    /// Registers a TCP socket like [`own`](Self::own).
    pub(super) fn own_tcp(socket: T) -> io::Result<Self> {
        AsyncFd::own_tcp(socket).map(|fd| Self(Arc::new(fd)))
    }

    /// Returns the socket in blocking mode or, if there are other handles, a duplicate in the
    /// current mode.
    pub(super) fn into_std(self) -> io::Result<T> {
        match Arc::try_unwrap(self.0) {
            Ok(fd) => {
                let socket = fd.into_inner();
                rustix::io::ioctl_fionbio(&socket, false)?;
                Ok(socket)
            }
            Err(fd) => Ok(fd.lend().as_fd().try_clone_to_owned()?.into()),
        }
    }

    /// Returns another handle to the socket.
    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Returns and clears the error that the system keeps for the socket.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self.open()?).take_error()
    }
}

impl<T: AsFd> Deref for Socket<T> {
    type Target = AsyncFd<T>;

    #[inline]
    fn deref(&self) -> &AsyncFd<T> {
        &self.0
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Socket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
