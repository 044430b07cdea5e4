//! The mode of a descriptor: non-blocking while it is in use here, and restored afterwards.
//!
//! `O_NONBLOCK` is a property of the open file. All duplicates of the descriptor share it, even
//! those in other processes. So a value that cannot be registered gets its former mode back. The
//! same applies to a value that is only borrowed ([`Async`](super::Async): a terminal, a pipe from
//! the shell) when it is closed, dropped, or returned. A socket stays non-blocking
//! ([`keep`](Nonblocking::keep)): programs often make two sockets from duplicates, one for each
//! direction, and dropping the first must not make the second one block.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

/// A value whose descriptor is non-blocking for a while, and blocking again at the end if it was
/// blocking before.
pub(super) struct Nonblocking<T: AsFd> {
    /// `None` only after [`into_inner`](Self::into_inner).
    value: Option<T>,
    /// `true` if the descriptor was blocking before and must become blocking again.
    restore: AtomicBool,
}

impl<T: AsFd> Nonblocking<T> {
    /// Wraps a value without changing its mode; [`set`](Self::set) does that.
    pub(super) fn new(value: T) -> Self {
        Self { value: Some(value), restore: AtomicBool::new(false) }
    }

    /// Makes the descriptor non-blocking, unless it already is.
    pub(super) fn set(&self) -> io::Result<()> {
        if !rustix::fs::fcntl_getfl(self.get())?.contains(OFlags::NONBLOCK) {
            rustix::io::ioctl_fionbio(self.get(), true)?;
            self.restore.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn get(&self) -> &T {
        self.value.as_ref().expect("net: the value is taken out last")
    }

    pub(super) fn get_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("net: the value is taken out last")
    }

    /// Restores the mode, once.
    pub(super) fn restore(&self) {
        if self.restore.swap(false, Ordering::Relaxed) {
            // The opposite change succeeded. If this one fails, the next owner's operations return
            // `WouldBlock`.
            let _ = rustix::io::ioctl_fionbio(self.get(), false);
        }
    }

    /// Keeps the descriptor non-blocking permanently.
    pub(super) fn keep(&self) {
        self.restore.store(false, Ordering::Relaxed);
    }

    /// Restores the mode and returns the value.
    pub(super) fn into_inner(mut self) -> T {
        self.restore();
        self.value.take().expect("net: the value is taken out last")
    }
}

impl<T: AsFd> Drop for Nonblocking<T> {
    fn drop(&mut self) {
        if self.value.is_some() {
            self.restore();
        }
    }
}
