//! A registered descriptor: the basis of sockets.
//!
//! # How to use it
//! ```text
//! loop over: descriptor.prepare(direction)?     an expired deadline beats data that is there
//!            try the operation; unless it would block, that is the result
//!            descriptor.wait(direction)?        then try again, without `prepare`
//! ```
//! The layer above guarantees three things. At most one goroutine or thread at a time runs this
//! loop in each direction. The descriptor is non-blocking. And it stays open as long as its
//! [`Descriptor`] lives.
//!
//! # A wait that a context can also end
//! [`wait_watched`](Descriptor::wait_watched) hands out a waker with which any thread may end the
//! wait, at any time and as often as it likes. The waker goes through the poll word, which is never
//! freed; at worst it spuriously ends a later wait. A goroutine that also waits for a channel to be
//! closed leaves the waker there (`greenthread_channels::closing`), and checks the channel after
//! the wait.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::record::{self, CLOSING, Deadline, PRIORITY, READ, READ_ON, Record, WRITE};
use super::{REGISTERED, ROLE};
use crate::gmp::reason::WaitReason;
use crate::machine::sys::poller;
use crate::sched::boot;
use crate::sched::handoff;
use crate::time::clock;
use crate::wait::blocker::{Blocker, Waker};

/// A way in which a descriptor can be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Ready to read or to accept.
    Read = READ,
    /// Ready to write, or connected.
    Write = WRITE,
    /// Something out of band has arrived, such as urgent data.
    ///
    /// The deadline of reading applies to it.
    Priority = PRIORITY,
}

impl Direction {
    /// Returns the cause that is set when the deadline of this direction passes.
    const fn deadline(self) -> u8 {
        match self {
            Self::Read | Self::Priority => READ,
            Self::Write => WRITE,
        }
    }
}

/// The reason why a wait is no longer possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The descriptor is being closed.
    Closed,
    /// The deadline has passed.
    Deadline,
}

/// The outcome of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoWake {
    /// The operation may be possible now.
    Ready,
    /// The waker was used, or the wait ended spuriously.
    Interrupted,
}

/// A descriptor that the poller watches (Go's `poll.FD`, without the operations).
///
/// Dropping it ends the watch; do not close the underlying descriptor before that.
///
/// ```
/// use std::io::{ErrorKind, Read, Write};
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use std::time::{Duration, Instant};
///
/// use greenthread_scheduler::{Descriptor, Direction, Ended, WaitReason};
///
/// fn read(io: &Descriptor, mut socket: &UnixStream) -> Result<u8, Ended> {
///     let mut byte = [0];
///     io.prepare(Direction::Read)?;
///     loop {
///         match socket.read(&mut byte) {
///             Err(error) if error.kind() == ErrorKind::WouldBlock => {
///                 io.wait(Direction::Read, WaitReason::IoWait)?
///             }
///             result => return Ok(result.map(|_| byte[0]).unwrap()),
///         }
///     }
/// }
///
/// let (mut near, far) = UnixStream::pair().unwrap();
/// far.set_nonblocking(true).unwrap();
/// let io = Descriptor::register(far.as_fd()).unwrap();
/// near.write_all(&[7]).unwrap();
/// assert_eq!(read(&io, &far), Ok(7));
///
/// io.set_deadline(Direction::Read, Some(Instant::now() + Duration::from_millis(1))).unwrap();
/// assert_eq!(read(&io, &far), Err(Ended::Deadline));
/// io.evict();
/// assert_eq!(read(&io, &far), Err(Ended::Closed));
/// ```
pub struct Descriptor {
    record: &'static Record,
    fd: RawFd,
}

impl Descriptor {
    /// `true` if this system reports the events that [`Direction::Priority`] waits for.
    pub const SEES_PRIORITY: bool = poller::SEES_PRIORITY;

    /// Watches `fd` in all directions until the result is dropped.
    ///
    /// The caller keeps `fd` open until then, and has made it non-blocking.
    ///
    /// # Errors
    /// The errors of the system. On Linux, the error is `PermissionDenied` for a descriptor that
    /// cannot be waited for, such as a regular file. The first call creates the poller, which uses
    /// three descriptors.
    pub fn register(fd: BorrowedFd<'_>) -> io::Result<Self> {
        boot::ensure();
        let poller = poller::ensure()?;
        let too_many =
            || io::Error::new(io::ErrorKind::OutOfMemory, "too many descriptors are registered; close some first");
        let record = record::allocate().ok_or_else(too_many)?;
        let registered = poller.register(fd.as_raw_fd(), record.token());
        if let Err(error) = registered {
            record.close(|| ());
            record.release();
            return Err(error);
        }
        REGISTERED.fetch_add(1, Ordering::Relaxed);
        Ok(Self { record, fd: fd.as_raw_fd() })
    }

    /// Checks, before the first attempt at an operation, that the operation may be attempted, and
    /// forgets earlier events.
    ///
    /// It does not block.
    ///
    /// # Errors
    /// If the descriptor is closed, or the direction's deadline has passed.
    #[inline]
    pub fn prepare(&self, direction: Direction) -> Result<(), Ended> {
        self.take(direction).map(|_| ())
    }

    /// Prepares like [`prepare`](Self::prepare), and returns `true` if there was an event.
    ///
    /// Use it for conditions that only events report.
    ///
    /// # Errors
    /// The errors of [`prepare`](Self::prepare).
    #[inline]
    pub fn take(&self, direction: Direction) -> Result<bool, Ended> {
        self.check(direction)?;
        Ok(self.record.word(direction as u8).clear())
    }

    #[inline]
    fn check(&self, direction: Direction) -> Result<(), Ended> {
        match self.record.causes() & (direction.deadline() | CLOSING) {
            0 => Ok(()),
            causes if causes & CLOSING != 0 => Err(Ended::Closed),
            _ => Err(Ended::Deadline),
        }
    }

    /// Blocks the goroutine or thread until the descriptor seems ready in this direction.
    ///
    /// It may not actually be ready, which only an attempt can show.
    ///
    /// # Errors
    /// If the descriptor is closed or the direction's deadline passes, before or during the wait.
    ///
    /// # Panics
    /// If another goroutine or thread is waiting in this direction.
    pub fn wait(&self, direction: Direction, reason: WaitReason) -> Result<(), Ended> {
        while self.wait_watched(direction, reason, |_| true)? == IoWake::Interrupted {}
        Ok(())
    }

    /// Waits like [`wait`](Self::wait), but lets others end the wait.
    ///
    /// Before the call blocks, it calls `watch` with a waker for that purpose. `watch` returns
    /// `false` if the call must not block at all. `watch` must not panic, park, or keep a lock. Any
    /// thread may use the waker, any number of times, even after the wait.
    ///
    /// # Errors
    /// The errors of [`wait`](Self::wait).
    ///
    /// # Panics
    /// The panics of [`wait`](Self::wait).
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// use std::os::unix::net::UnixStream;
    ///
    /// use greenthread_scheduler::{Descriptor, Direction, WaitReason, IoWake};
    ///
    /// let (_near, far) = UnixStream::pair().unwrap();
    /// let io = Descriptor::register(far.as_fd()).unwrap();
    /// let woken = io.wait_watched(Direction::Read, WaitReason::IoWait, |waker| {
    ///     // SAFETY: it is made to be used at any time; no lock is held.
    ///     std::thread::spawn(move || unsafe { waker.wake() });
    ///     true
    /// });
    /// assert_eq!(woken, Ok(IoWake::Interrupted));
    /// ```
    pub fn wait_watched(
        &self,
        direction: Direction,
        reason: WaitReason,
        watch: impl FnOnce(Waker) -> bool,
    ) -> Result<IoWake, Ended> {
        self.check(direction)?;
        let word = self.record.word(direction as u8);
        if !word.begin() {
            return Ok(IoWake::Ready);
        }
        if self.check(direction).is_ok() && watch(Waker::of_poll_word(word)) {
            let blocker = Blocker::new();
            let waiter = blocker.waker().into_raw();
            ROLE.add_waiter();
            if blocker.g.is_none() {
                // A foreign thread does not dispatch, so it does not notice when it would have to
                // poll.
                handoff::ensure_poller();
            }
            // SAFETY: the blocker belongs to the caller; the commit step touches the poll word,
            // which is never freed.
            unsafe { blocker.block_if(reason, move || word.park(waiter)) };
            ROLE.remove_waiter();
        }
        let ready = word.end();
        self.check(direction)?;
        Ok(if ready { IoWake::Ready } else { IoWake::Interrupted })
    }

    /// Sets the deadline of a direction, for the current wait and all later ones.
    ///
    /// `None` removes the deadline. A deadline that has passed ends the wait immediately. This
    /// call does not block.
    ///
    /// # Errors
    /// If the descriptor is closed.
    pub fn set_deadline(&self, direction: Direction, deadline: Option<Instant>) -> Result<(), Ended> {
        let deadline = match deadline {
            None => Deadline::None,
            Some(instant) if instant <= Instant::now() => Deadline::Passed,
            Some(instant) => Deadline::At(clock::at(instant)),
        };
        if self.record.set_deadline(direction.deadline(), deadline) { Ok(()) } else { Err(Ended::Closed) }
    }

    /// Ends all current and later waits with [`Ended::Closed`].
    ///
    /// When it returns, the descriptor is no longer watched. Its number may be registered again,
    /// and dropping this descriptor will not affect that registration.
    pub fn evict(&self) {
        // Only once: after that, others may have reused and registered the number.
        self.record.close(|| self.deregister());
    }

    /// Returns `true` if the descriptor was [evicted](Self::evict).
    #[inline]
    pub fn is_evicted(&self) -> bool {
        self.record.causes() & CLOSING != 0
    }

    /// Returns `true` if a read that returns less than it asked for may have left something behind
    /// that no further event announces.
    ///
    /// There are two reasons. In the first case, an event taken by [`prepare`](Self::prepare), or
    /// at the end of a wait, reported the end of the stream, an error, or urgent data (at which
    /// reads stop). In the second case, the system does not report urgent data. Once the result is
    /// `true`, it stays `true`. As long as it is `false`, anything that a short read has left
    /// behind still has an event that was not taken yet.
    #[inline]
    pub fn must_read_on(&self) -> bool {
        self.record.causes() & READ_ON != 0
    }

    fn deregister(&self) {
        if let Some(poller) = poller::get() {
            // If the caller has closed the descriptor too early, the system has already forgotten
            // it.
            let _ = poller.deregister(self.fd);
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.evict();
        REGISTERED.fetch_sub(1, Ordering::Relaxed);
        self.record.release();
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor").field("fd", &self.fd).finish_non_exhaustive()
    }
}
