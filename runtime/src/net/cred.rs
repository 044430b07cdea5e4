//! The process at the other end of a Unix socket.

use std::io;
use std::os::fd::BorrowedFd;

use greenthread_scheduler::peer_credentials;

/// The credentials of the process at the other end of a [`UnixStream`](super::UnixStream).
///
/// See [`peer_cred`](super::UnixStream::peer_cred).
///
/// ```
/// use greenthread::net::{UCred, UnixStream};
///
/// fn is_the_same_user(peer: &UCred, this: &UCred) -> bool {
///     peer.uid() == this.uid()
/// }
///
/// let (one, other) = UnixStream::pair()?;
/// assert!(is_the_same_user(&one.peer_cred()?, &other.peer_cred()?));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

impl UCred {
    pub(super) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let (uid, gid, pid) = peer_credentials(socket)?;
        Ok(Self { uid, gid, pid })
    }

    /// Returns the user ID.
    ///
    /// ```
    /// println!("{}", greenthread::net::UnixStream::pair()?.0.peer_cred()?.uid());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the group ID.
    ///
    /// ```
    /// println!("{}", greenthread::net::UnixStream::pair()?.0.peer_cred()?.gid());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Returns the process ID, or `None` if the system does not report it or the process is not
    /// visible from here.
    ///
    /// The process may have ended, and another process may now have its ID: do not base permissions
    /// on it.
    ///
    /// ```
    /// println!("{:?}", greenthread::net::UnixStream::pair()?.0.peer_cred()?.pid());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }
}
