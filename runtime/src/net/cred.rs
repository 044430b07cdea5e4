//! The process at the other end.

use std::io;
use std::os::fd::BorrowedFd;

use greenthread_scheduler::peer_credentials;

/// Who is at the other end of a [`UnixStream`](super::UnixStream): see [`peer_cred`](super::UnixStream::peer_cred).
///
/// ```
/// use greenthread::net::{UCred, UnixStream};
///
/// fn is_the_same_user(peer: &UCred, own: &UCred) -> bool {
///     peer.uid() == own.uid()
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

    /// The number of the user.
    ///
    /// ```
    /// println!("{}", greenthread::net::UnixStream::pair()?.0.peer_cred()?.uid());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The number of the group.
    ///
    /// ```
    /// println!("{}", greenthread::net::UnixStream::pair()?.0.peer_cred()?.gid());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// The number of the process; none on systems that do not tell, and if it is not visible from here. The process
    /// may have ended, and another may have its number: do not decide by it who may do what.
    ///
    /// ```
    /// println!("{:?}", greenthread::net::UnixStream::pair()?.0.peer_cred()?.pid());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }
}
