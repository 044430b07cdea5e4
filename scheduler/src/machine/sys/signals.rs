//! Facts about signals that `signal-hook` does not provide.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

pub use imp::{SIGIO_IS_FATAL, real_time_signals};

/// Sends a signal to a process.
///
/// # Errors
/// The system's error, for example if there is no such process.
pub fn send_signal(pid: u32, signal: i32) -> io::Result<()> {
    // Zero and negative numbers are not processes.
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: the call takes two numbers.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends the process by a signal whose default action is to end it, as if the signal had no handler.
///
/// May be called in the signal's handler.
pub fn end_by_signal(signal: i32) -> ! {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: all of these calls are safe in a handler. A zeroed action has no flags, and is the
    // default action once its handler is set to the default; `sigemptyset` initializes the set.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, action.as_ptr(), ptr::null_mut());
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
        libc::raise(signal);
        // Reached if the signal's default action does not end the process, or the signal has a
        // handler again.
        libc::abort()
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::ops::RangeInclusive;

    /// `true` if SIGIO ends a process by default.
    pub const SIGIO_IS_FATAL: bool = true;

    /// Returns the numbers of the real-time signals that the C library leaves to programs.
    pub fn real_time_signals() -> RangeInclusive<i32> {
        libc::SIGRTMIN()..=libc::SIGRTMAX()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::ops::RangeInclusive;

    /// `true` if SIGIO ends a process by default.
    pub const SIGIO_IS_FATAL: bool = false;

    /// Returns an empty range, since this system has no such signals.
    pub fn real_time_signals() -> RangeInclusive<i32> {
        1..=0
    }
}
