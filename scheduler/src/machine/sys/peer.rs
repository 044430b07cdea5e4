//! The other end of a socket: which process it belongs to, and a flag for sending when it may be
//! gone.

pub use imp::peer_credentials;

/// The flag that makes a send return an error instead of raising SIGPIPE.
pub const MSG_NOSIGNAL: std::ffi::c_int = libc::MSG_NOSIGNAL;

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd};

    /// Returns the user, group, and process of the peer, as they were when it connected.
    ///
    /// See `greenthread::net::UCred`.
    ///
    /// # Errors
    /// The system's error, for example if the descriptor is not a Unix socket.
    pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<(u32, u32, Option<i32>)> {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).expect("a few bytes");
        // SAFETY: the structure and its length are in this frame, and have the types that the
        // option requires.
        let failed = unsafe {
            let peer = (&raw mut peer).cast();
            libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, peer, &raw mut len)
        };
        // An unconnected socket has a peer without a process number.
        match failed {
            0 if peer.pid == 0 && peer.uid == u32::MAX => Err(io::ErrorKind::NotConnected.into()),
            0 => Ok((peer.uid, peer.gid, Some(peer.pid).filter(|pid| *pid > 0))),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd};

    /// Returns the user and group of the peer, as they were when it connected, without the process.
    ///
    /// See `greenthread::net::UCred`.
    ///
    /// # Errors
    /// The system's error, for example if the descriptor is not a Unix socket.
    pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<(u32, u32, Option<i32>)> {
        let (mut uid, mut gid) = (0, 0);
        // SAFETY: both numbers are in this frame.
        match unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) } {
            0 => Ok((uid, gid, None)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
