//! What all sockets are made of: a descriptor, who uses it, and until when.
//!
//! # An operation
//! Readers take turns among themselves, and so do writers: each direction has a lock. Who has it tries, and where that
//! would block waits for an event and tries again. The lock is held meanwhile, so whoever comes later waits for the
//! lock. Nothing but the holder needs to be woken when the descriptor is closed or its deadline passes: it gives the
//! lock to the next one, who finds out by itself. What belongs to one operation only, a timeout or a context, ends its
//! wait for the lock too.
//!
//! # Deadlines and timeouts
//! There is one timer in each direction. It is set to the earlier of two times: the deadline of the descriptor, and the
//! end of the operation that waits. The second one is there only if a timeout was set and the operation really waits;
//! who never sets a timeout pays one load for it.
//!
//! # A read that is left out
//! Who has asked for more bytes than he got has emptied a TCP socket. The next read would only say that it would block,
//! so it waits first. Events are edges, so this is right as long as each arrival since then has an event of its own,
//! which the poll word keeps. The end of the stream is the exception: it may have come together with the last bytes, in
//! one event, that has been taken by now. So an event that tells of the end, or of an error, is remembered
//! ([`Descriptor::has_hung_up`]), and then each read is tried. If that event has not been taken before the read, it is
//! still in the word, and ends the wait. Rejected for Unix sockets: a read also ends where descriptors were passed
//! along, with more behind it. (So does one at TCP's urgent mark. Who sends urgent data, and then waits for an answer
//! to what he sent after it, may wait for his next byte to be noticed.)
//!
//! # Closing
//! `close` ends all waits, and puts something dead in the place of the descriptor (`dup2`): what was behind it is
//! closed at once, so that a peer is told, and a port is free. The *number* stays in use until the last handle is
//! dropped. So an operation that runs at the same time cannot meet a descriptor that was opened since: it meets the
//! dead one, which says no to everything, and nobody looks at what it says. Rejected: to count the operations, and
//! close the number after the last one, as Go does. `AsFd` lends the number to safe code for as long as the handle
//! lives.
//!
//! # Invariants
//! * I1: the number is closed once, after the last handle and after the poller has let go of it: `io` stands before `socket`.

use std::io::{self, IoSlice};
use std::mem::{self, ManuallyDrop};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread_channels::closing::Closing;
use greenthread_ctx::Context;
use greenthread_scheduler::{Descriptor, Direction, Ended, WaitReason};
use rustix::io::FdFlags;
use socket2::{Domain, SockRef, Socket, Type};

use crate::sync::{Mutex, MutexGuard};
use crate::watch;

/// How long to wait where the system does not say when to try again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// The most parts of one vectored write (`IOV_MAX` on all systems).
const MAX_PARTS: usize = 1024;

/// A descriptor, as its handles share it.
pub(super) struct Fd<T> {
    io: Descriptor,
    read: Side,
    write: Side,
    /// Whether the user wants to be told where an operation would block.
    nonblocking: AtomicBool,
    socket: T,
}

/// What belongs to one direction.
#[derive(Default)]
struct Side {
    /// Whose turn it is; and whether the last read has emptied the socket.
    turn: Mutex<bool>,
    limits: Mutex<Limits>,
    /// In nanoseconds; 0 is none.
    timeout: AtomicU64,
}

/// Until when somebody may wait.
#[derive(Default)]
struct Limits {
    deadline: Option<Instant>,
    operation: Option<Instant>,
}

impl Limits {
    fn earlier(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.operation).min()
    }
}

/// What operations say once the descriptor is closed; the text is Go's.
#[cold]
fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "use of closed network connection")
}

/// What they say when time is up; the text is Go's.
#[cold]
fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")
}

fn ended(by: Ended) -> io::Error {
    match by {
        Ended::Closed => closed(),
        Ended::Deadline => timed_out(),
    }
}

impl<T: AsFd> Fd<T> {
    /// Has `socket` watched, which is made non-blocking.
    pub(super) fn new(socket: T) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let io = Descriptor::register(socket.as_fd())?;
        Ok(Self { io, read: Side::default(), write: Side::default(), nonblocking: AtomicBool::new(false), socket })
    }

    /// What is inside, for what needs no waiting.
    ///
    /// # Errors
    /// If it is closed.
    pub(super) fn open(&self) -> io::Result<&T> {
        if self.io.is_evicted() { Err(closed()) } else { Ok(&self.socket) }
    }

    /// What is inside, closed or not.
    pub(super) fn get(&self) -> &T {
        &self.socket
    }

    /// What is inside, as it was before [`new`](Self::new): it blocks.
    pub(super) fn into_inner(self) -> T {
        // Without a descriptor nothing can go wrong here, and whoever gets one that does not block is told so by its operations.
        let _ = rustix::io::ioctl_fionbio(&self.socket, false);
        self.socket
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// One operation: `attempt` is called until it does not say that it would block.
    #[inline]
    pub(super) fn run<R>(
        &self,
        direction: Direction,
        ctx: Option<&Context>,
        attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut turn = self.turn(direction, ctx)?;
        *turn.emptied = false;
        turn.begin()?;
        turn.run(attempt)
    }

    /// As [`run`](Self::run), for writes and connects that the system does not report to be possible: tries again after pauses.
    pub(super) fn run_with_pauses<R>(
        &self,
        ctx: Option<&Context>,
        attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut turn = self.turn(Direction::Write, ctx)?;
        turn.pause = Some(FIRST_PAUSE);
        turn.begin()?;
        turn.run(attempt)
    }

    /// As [`run`](Self::run), for reads of up to `len` bytes from a stream that is empty when a read has brought less.
    #[inline]
    pub(super) fn read(
        &self,
        ctx: Option<&Context>,
        len: usize,
        attempt: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut turn = self.turn(Direction::Read, ctx)?;
        if mem::take(&mut *turn.emptied) && !self.nonblocking.load(Ordering::Relaxed) {
            turn.wait()?;
        } else {
            turn.begin()?;
        }
        let read = turn.run(attempt)?;
        *turn.emptied = 0 < read && read < len && !self.io.has_hung_up();
        Ok(read)
    }

    /// Sends on a stream. Who sends to a peer that is gone gets an error, and no signal.
    #[inline]
    pub(super) fn send(&self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize> {
        self.run(Direction::Write, ctx, |socket| SockRef::from(socket).send_with_flags(bytes, libc::MSG_NOSIGNAL))
    }

    /// As [`send`](Self::send), from several places.
    pub(super) fn send_vectored(&self, ctx: Option<&Context>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // More than that the system refuses.
        let parts = &parts[..parts.len().min(MAX_PARTS)];
        self.run(Direction::Write, ctx, |socket| {
            SockRef::from(socket).send_vectored_with_flags(parts, libc::MSG_NOSIGNAL)
        })
    }

    /// Waits for the caller's turn.
    #[inline]
    fn turn<'a>(&'a self, direction: Direction, ctx: Option<&'a Context>) -> io::Result<Turn<'a, T>> {
        greenthread_scheduler::checkpoint();
        let side = self.side(direction);
        let until = match side.timeout.load(Ordering::Relaxed) {
            0 => None,
            timeout => Instant::now().checked_add(Duration::from_nanos(timeout)),
        };
        let emptied = match side.turn.try_lock() {
            Some(emptied) => emptied,
            None => match (ctx, until) {
                (Some(ctx), _) => side.turn.lock_ctx(ctx)?,
                (None, Some(until)) => side.turn.try_lock_until(until).ok_or_else(timed_out)?,
                (None, None) => side.turn.lock(),
            },
        };
        Ok(Turn { fd: self, direction, ctx, until, pause: None, armed: false, emptied })
    }

    /// Sets the deadline of a direction, for the operation that waits and for all to come.
    pub(super) fn set_deadline(&self, direction: Direction, deadline: Option<Instant>) -> io::Result<()> {
        self.limit(direction, |limits| limits.deadline = deadline)
    }

    /// Changes the limits, and sets the timer accordingly.
    fn limit(&self, direction: Direction, change: impl FnOnce(&mut Limits)) -> io::Result<()> {
        let mut limits = self.side(direction).limits.lock();
        change(&mut limits);
        self.io.set_deadline(direction, limits.earlier()).map_err(ended)
    }

    /// Sets how long an operation in this direction may take; `std`'s rules.
    pub(super) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
        self.open()?;
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        let nanos = timeout.map_or(0, |timeout| timeout.as_nanos().try_into().unwrap_or(u64::MAX));
        self.side(direction).timeout.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn timeout(&self, direction: Direction) -> io::Result<Option<Duration>> {
        self.open()?;
        let nanos = self.side(direction).timeout.load(Ordering::Relaxed);
        Ok((nanos != 0).then(|| Duration::from_nanos(nanos)))
    }

    /// Whether operations return `WouldBlock` instead of waiting.
    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.open()?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Ends all operations, now and later.
    pub(super) fn evict(&self) {
        self.io.evict();
    }

    /// Ends all operations, now and later, and closes what is behind the descriptor. Only for sockets that nobody else owns.
    pub(super) fn close(&self) {
        if self.io.is_evicted() {
            return;
        }
        self.io.evict();
        match Socket::new(Domain::UNIX, Type::STREAM, None) {
            Ok(dead) => {
                // SAFETY: I1: the number is open and ours, and is not closed here: `ManuallyDrop`.
                let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(self.socket.as_fd().as_raw_fd()) });
                // It fails only for numbers that are not open. A child that is started in between inherits something dead.
                let _ = rustix::io::dup2(&dead, &mut place);
                let _ = rustix::io::fcntl_setfd(&*place, FdFlags::CLOEXEC);
            }
            // Out of descriptors. The peer is told all the same; the rest is closed with the last handle.
            Err(_) => {
                let _ = SockRef::from(&self.socket).shutdown(Shutdown::Both);
            }
        }
    }
}

/// The right to operate in one direction.
struct Turn<'a, T: AsFd> {
    fd: &'a Fd<T>,
    direction: Direction,
    ctx: Option<&'a Context>,
    until: Option<Instant>,
    /// How long to wait for an event, if there may be none.
    pause: Option<Duration>,
    /// Whether there is a limit for this operation.
    armed: bool,
    emptied: MutexGuard<'a, bool>,
}

impl<T: AsFd> Turn<'_, T> {
    /// Before the first attempt: whether there may be one.
    #[inline]
    fn begin(&self) -> io::Result<()> {
        self.fd.io.prepare(self.direction).map_err(ended)?;
        self.look_at_ctx()
    }

    #[inline]
    fn look_at_ctx(&self) -> io::Result<()> {
        match self.ctx.and_then(Context::err) {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    #[inline]
    fn run<R>(&mut self, mut attempt: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        loop {
            match attempt(&self.fd.socket) {
                Ok(result) => return Ok(result),
                Err(error) => self.failed(error)?,
            }
        }
    }

    /// An attempt has failed: waits if it may be repeated, or says why not.
    fn failed(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            // It may be what the dead descriptor says.
            _ if self.fd.io.is_evicted() => Err(closed()),
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock if !self.fd.nonblocking.load(Ordering::Relaxed) => self.wait(),
            _ => Err(error),
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let Some(pause) = self.pause else {
            if self.until.is_some() && !self.armed {
                self.arm(self.until)?;
            }
            return self.wait_for_event();
        };
        self.pause = Some(LAST_PAUSE.min(pause * 2));
        let next = Instant::now() + pause;
        self.arm(self.until.map_or(Some(next), |until| Some(until.min(next))))?;
        match self.wait_for_event() {
            // Was it the pause? If not, the real limit is noted again.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.arm(self.until)?;
                self.begin()
            }
            waited => waited,
        }
    }

    /// Sets the end of this operation among the limits.
    fn arm(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.armed = true;
        self.fd.limit(self.direction, |limits| limits.operation = until)
    }

    fn wait_for_event(&self) -> io::Result<()> {
        let io = &self.fd.io;
        match self.ctx {
            None => io.wait(self.direction, WaitReason::IoWait).map_err(ended),
            Some(ctx) => {
                let waited = watch::wait(io, self.direction, WaitReason::IoWait, Closing::of(ctx.done()));
                self.look_at_ctx()?;
                waited.map_err(ended)
            }
        }
    }
}

impl<T: AsFd> Drop for Turn<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.armed {
            // If it is closed there is no timer any more.
            let _ = self.fd.limit(self.direction, |limits| limits.operation = None);
        }
    }
}
