//! Descriptors that become readable when a process or a thread ends.

pub use imp::open_process;
#[cfg(target_os = "linux")]
pub(crate) use imp::open_thread;

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::{FromRawFd, OwnedFd};

    use crate::machine::sys::fallback::Fallback;

    fn open(id: libc::c_long, flags: libc::c_uint) -> io::Result<OwnedFd> {
        // SAFETY: the call takes two numbers.
        match libc::c_int::try_from(unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) }) {
            // SAFETY: the system call has just opened it.
            Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Opens a descriptor for a process that has not been waited for; after the wait its number may
    /// name another process.
    ///
    /// # Errors
    /// If the system has no such descriptors (Linux before 5.3), if a container denies them, or if
    /// no descriptor is free.
    pub fn open_process(pid: u32) -> io::Result<OwnedFd> {
        open(pid.into(), 0).inspect_err(|error| {
            if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES)) {
                Fallback::ProcessEnd.note();
            }
        })
    }

    /// Opens a descriptor for a thread.
    ///
    /// Kernels before 6.9 support only whole processes, and return an error.
    pub(crate) fn open_thread(thread: i32) -> io::Result<OwnedFd> {
        open(thread.into(), libc::PIDFD_THREAD)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::os::fd::OwnedFd;

    /// Returns an error: this system has no such descriptors.
    ///
    /// # Errors
    /// Always.
    pub fn open_process(_pid: u32) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
