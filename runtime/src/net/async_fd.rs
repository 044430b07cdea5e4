//! A descriptor whose operations block goroutines but no thread: the core of all sockets and of
//! [`Async`](super::Async).
//!
//! # An operation
//! Each direction has a lock. An operation ([`IoOp`]) takes the lock of its direction, makes an
//! attempt, and, if the attempt would block, waits for an event and tries again. The operation
//! holds the lock while it waits, so later operations in that direction wait for the lock. When the
//! descriptor is closed or its deadline passes, only the holder has to be woken. It releases the
//! lock to the next operation, which checks the descriptor for itself. A timeout or a context
//! belongs to a single operation, and also ends that operation's wait for the lock.
//!
//! # Deadlines and timeouts
//! Each direction has one timer. It is set to the earlier of two times: the descriptor's deadline
//! and the time at which the waiting operation ends. The second time exists only if a timeout was
//! set and the operation really waits. Without a timeout, an operation pays one load for the check.
//!
//! # Skipping a read
//! A read from a TCP socket that returns less than it asked for has emptied the socket. An attempt
//! at the next read would only return `WouldBlock`, so that read waits for an event first. Events
//! are edges, so skipping the attempt is correct if each later arrival has an event of its own,
//! which the poll word keeps. Skipping saves a busy server with 64 connections 6 to 10 percent of
//! its time. A read is skipped only if all of the following are certain:
//!
//! * *The read asked for more.* The length that counts is the one that the system was asked for,
//!   not the one that the caller asked for. It covers only the first [`MAX_PARTS`] parts of a
//!   vectored read, and never more than [`MAX_READ`] bytes.
//! * *Everything left behind has a further event.* The end of the stream may have arrived together
//!   with the last bytes, in one event, and that event has already been taken. A read also stops at
//!   TCP's urgent mark, even if more bytes follow. So an event that reports the end, an error, or
//!   urgent data is remembered ([`Descriptor::must_read_on`]), and from then on each read is tried.
//!   If such an event was not taken before the read, it is still in the poll word and ends the
//!   wait.
//! * *The socket is plain TCP.* A `std::net::TcpStream` may use another protocol. An example is TLS
//!   in the kernel, whose reads stop between records. Code that has the descriptor can install such
//!   a protocol, or can take the urgent byte out of band so that no event reports it. Therefore
//!   reads are skipped only on sockets that were made here ([`own_tcp`](AsyncFd::own_tcp)) and
//!   whose descriptor was never [lent](AsyncFd::lend).
//!
//! Rejected for Unix sockets: a read also ends where descriptors or credentials were passed along,
//! even if more bytes follow. Rejected: `TCP_INQ`, which makes each read report how many bytes are
//! left. It requires `recvmsg`, which costs more than the empty read that it saves.
//!
//! # Closing
//! `close` ends all waits and replaces the descriptor with a dead socket (`dup2`). The original
//! socket is closed at once, so the peer notices and the port is free. The *number* stays in use
//! until the last handle is dropped. So a concurrent operation cannot reach a descriptor that was
//! opened later. It reaches the dead socket, which fails every operation, and the result is
//! replaced with the error for a closed descriptor. Rejected: counting the operations and closing
//! the number after the last one, as Go does. This would not work because `AsFd` lends the number
//! to safe code for as long as the handle lives.
//!
//! Closing an [`Async`](super::Async) ([`evict`](AsyncFd::evict)) also restores the mode of the
//! descriptor ([`Nonblocking`]). To do so, it first waits for both locks: an operation that holds a
//! lock may be about to make an attempt, and that attempt must not block its thread.
//!
//! # Invariants
//! * I1: the number is closed once, after the last handle is dropped and after the poller has
//!   released the number. For this reason the field `io` is declared, and so dropped, before
//!   `value`.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::{self, ManuallyDrop};
use std::net::Shutdown;
use std::ops::{Deref, Range};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use greenthread_channels::closing::Closing;
use greenthread_ctx::Context;
use greenthread_scheduler::{Descriptor, Direction, IoWake, MSG_NOSIGNAL, WaitReason};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::FdFlags;
use socket2::{Domain, SockRef, Type};

use super::error;
use super::half::Half;
use super::nonblocking::Nonblocking;
use crate::io_wait::wait_or_close;
use crate::sync::{Mutex, MutexGuard};

/// The first and the longest pause between attempts where no event reports when to try again.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const MAX_PAUSE: Duration = Duration::from_millis(5);

/// The maximum number of parts in one vectored operation (`IOV_MAX` on all systems).
const MAX_PARTS: usize = 1024;

/// The maximum number of bytes that a read is assumed to ask for. (Linux reads at most 2 GiB minus
/// one page at once.)
const MAX_READ: usize = 1 << 30;

/// The descriptor that its handles share.
pub(super) struct AsyncFd<T: AsFd> {
    io: Descriptor,
    read: Half,
    write: Half,
    /// Held by the current wait for priority events.
    priority: Mutex<()>,
    /// `true` if the user asked for `WouldBlock` instead of waits.
    nonblocking: AtomicBool,
    /// `true` for a TCP socket that was made here, as long as its descriptor was never lent.
    plain_tcp: AtomicBool,
    value: Nonblocking<T>,
}

// A panic leaves nothing half done, except perhaps in the value.
impl<T: AsFd + UnwindSafe> UnwindSafe for AsyncFd<T> {}
impl<T: AsFd + RefUnwindSafe> RefUnwindSafe for AsyncFd<T> {}

/// Returns the range of parts to pass to the system: as many as the system takes at once.
///
/// Leading empty parts are left out: if only empty parts were passed, the result would look like
/// the end of the stream.
fn passed(parts: &[impl Deref<Target = [u8]>]) -> Range<usize> {
    let first = parts.iter().position(|part| !part.is_empty()).unwrap_or(parts.len());
    first..parts.len().min(first + MAX_PARTS)
}

/// Returns `true` if one of the events, or an error, has occurred.
fn is_ready(socket: &impl AsFd, events: PollFlags) -> io::Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::event::poll(&mut [PollFd::new(socket, events)], Some(&now))? > 0)
}

impl<T: AsFd> AsyncFd<T> {
    /// Registers a value that was made elsewhere, and makes it non-blocking until it is returned or
    /// dropped.
    ///
    /// Timeouts that are set in the system (`SO_RCVTIMEO`, `SO_SNDTIMEO`) become timeouts here,
    /// because the system's timeouts do not end a non-blocking operation.
    ///
    /// # Errors
    /// The system's error, together with the unchanged value.
    pub(super) fn new(value: T) -> Result<Self, (io::Error, T)> {
        let value = Nonblocking::new(value);
        match value.set().and_then(|()| Descriptor::register(value.get().as_fd())) {
            Ok(io) => {
                // A value that is not a socket has no timeouts.
                let options = SockRef::from(value.get());
                let read = Half::with_timeout(options.read_timeout().unwrap_or(None));
                let write = Half::with_timeout(options.write_timeout().unwrap_or(None));
                Ok(Self { read, write, ..Self::with(io, value, false) })
            }
            Err(error) => Err((error, value.into_inner())),
        }
    }

    /// Registers a socket that was made here and has no other owner; it stays non-blocking.
    pub(super) fn own(socket: T) -> io::Result<Self> {
        Self::register_own(socket, false)
    }

    /// Registers a TCP socket like [`own`](Self::own).
    pub(super) fn own_tcp(socket: T) -> io::Result<Self> {
        Self::register_own(socket, true)
    }

    fn register_own(socket: T, plain_tcp: bool) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let io = Descriptor::register(socket.as_fd())?;
        Ok(Self::with(io, Nonblocking::new(socket), plain_tcp))
    }

    fn with(io: Descriptor, value: Nonblocking<T>, plain_tcp: bool) -> Self {
        let (nonblocking, plain_tcp) = (AtomicBool::new(false), AtomicBool::new(plain_tcp));
        let (read, write, priority) = (Half::default(), Half::default(), Mutex::new(()));
        Self { io, read, write, priority, nonblocking, plain_tcp, value }
    }

    /// Returns the value, for operations that do not wait.
    ///
    /// # Errors
    /// If the descriptor is closed.
    pub(super) fn open(&self) -> io::Result<&T> {
        if self.io.is_evicted() { Err(error::closed()) } else { Ok(self.get()) }
    }

    /// Returns the value, whether closed or not, for use in this module only: code that may pass
    /// the descriptor on calls [`lend`](Self::lend).
    pub(super) fn get(&self) -> &T {
        self.value.get()
    }

    /// Returns the value for a caller that may do anything with it.
    pub(super) fn lend(&self) -> &T {
        self.plain_tcp.store(false, Ordering::Relaxed);
        self.get()
    }

    /// Returns `true` if this is a TCP socket that was made here and whose descriptor was never
    /// [lent](Self::lend).
    pub(super) fn is_plain_tcp(&self) -> bool {
        self.plain_tcp.load(Ordering::Relaxed)
    }

    /// Returns the value, with the timeouts that were set here, and in blocking mode if it was
    /// blocking before [`new`](Self::new).
    pub(super) fn into_inner(self) -> T {
        let Self { io, value, read, write, .. } = self;
        // I1.
        drop(io);
        // The system counts in microseconds and treats zero as no timeout. A value that is not a
        // socket rejects the call.
        let timeout = |half: Half| half.timeout().map(|timeout| timeout.max(Duration::from_micros(1)));
        let options = SockRef::from(value.get());
        let _ = options.set_read_timeout(timeout(read));
        let _ = options.set_write_timeout(timeout(write));
        value.into_inner()
    }

    fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Read | Direction::Priority => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Waits for the caller's turn in this direction.
    #[inline]
    fn start<'a>(&'a self, direction: Direction, ctx: Option<&'a Context>) -> io::Result<IoOp<'a>> {
        IoOp::start(&self.io, self.half(direction), &self.nonblocking, direction, ctx)
    }

    /// Performs one operation: calls `attempt` until the result is not `WouldBlock`.
    #[inline]
    pub(super) fn run_io<R>(
        &self,
        direction: Direction,
        ctx: Option<&Context>,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut op = self.start(direction, ctx)?;
        *op.emptied = false;
        op.check()?;
        op.run(|| attempt(self.get()))
    }

    /// Performs one operation like [`run_io`](Self::run_io), but with an exclusive reference.
    fn run_io_mut<R>(
        &mut self,
        direction: Direction,
        ctx: Option<&Context>,
        mut attempt: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let Self { io, read, write, nonblocking, value, .. } = self;
        let half = match direction {
            Direction::Read | Direction::Priority => read,
            Direction::Write => write,
        };
        let mut op = IoOp::start(io, half, nonblocking, direction, ctx)?;
        op.check()?;
        op.run(|| attempt(value.get_mut()))
    }

    /// Performs one operation like [`run_io`](Self::run_io), but tries again after pauses.
    ///
    /// For writes and connects, if no event reports when they become possible.
    pub(super) fn run_io_with_pauses<R>(
        &self,
        ctx: Option<&Context>,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut op = self.start(Direction::Write, ctx)?;
        op.pause = Some(FIRST_PAUSE);
        op.check()?;
        op.run(|| attempt(self.get()))
    }

    /// Performs a read of up to `len` bytes; if the previous read emptied the socket, waits for an
    /// event before the first attempt ("Skipping a read").
    #[inline]
    fn run_read(
        &self,
        ctx: Option<&Context>,
        len: usize,
        mut attempt: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut op = self.start(Direction::Read, ctx)?;
        if mem::take(&mut *op.emptied) && !self.nonblocking.load(Ordering::Relaxed) {
            op.wait()?;
        } else {
            op.check()?;
        }
        let read = op.run(|| attempt(self.get()))?;
        *op.emptied = 0 < read && read < len.min(MAX_READ) && self.is_plain_tcp() && !self.io.must_read_on();
        Ok(read)
    }

    /// Performs a read into an empty buffer: like Go's, it neither waits nor checks deadlines.
    ///
    /// # Errors
    /// If the descriptor is closed or the context has ended.
    fn read_empty(&self, ctx: Option<&Context>) -> io::Result<usize> {
        self.open()?;
        error::check_ctx(ctx)?;
        Ok(0)
    }

    /// Sends on a stream. Sending to a closed peer returns an error; it never raises SIGPIPE.
    #[inline]
    pub(super) fn send(&self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize> {
        self.run_io(Direction::Write, ctx, |socket| SockRef::from(socket).send_with_flags(bytes, MSG_NOSIGNAL))
    }

    /// Sends like [`send`](Self::send), but from several buffers.
    pub(super) fn send_vectored(&self, ctx: Option<&Context>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let parts = &parts[passed(parts)];
        self.run_io(Direction::Write, ctx, |socket| SockRef::from(socket).send_vectored_with_flags(parts, MSG_NOSIGNAL))
    }

    /// Blocks until an attempt in this direction would not block.
    pub(super) fn wait_ready(&self, ctx: Option<&Context>, direction: Direction) -> io::Result<()> {
        let events = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
            Direction::Priority => return self.wait_priority(ctx),
        };
        self.run_io(direction, ctx, |socket| {
            // Events report only changes; this call asks for the current state.
            if is_ready(socket, events)? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        })
    }

    /// Blocks until there is a priority event, which may be one that was reported and handled
    /// before the call.
    fn wait_priority(&self, ctx: Option<&Context>) -> io::Result<()> {
        greenthread_scheduler::checkpoint();
        if !Descriptor::SEES_PRIORITY {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not report priority events"));
        }
        let background = Context::background();
        let ctx = ctx.unwrap_or(&background);
        let _turn = self.priority.lock_ctx(ctx)?;
        loop {
            error::check_ctx(Some(ctx))?;
            // Some descriptors, such as those of the kernel's pressure stall information, report an
            // event only once: in that case the event is the only evidence.
            let reported = self.io.take(Direction::Priority).map_err(error::of_wait)?;
            if reported || is_ready(self.get(), PollFlags::PRI)? {
                return Ok(());
            }
            if self.nonblocking.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let closing = Closing::of(ctx.done());
            let woken = wait_or_close(&self.io, Direction::Priority, WaitReason::IoWait, closing);
            if woken.map_err(error::of_wait)? == IoWake::Ready {
                return Ok(());
            }
        }
    }

    /// Sets the deadline of a direction, for the waiting operation and for all later ones.
    pub(super) fn set_deadline(&self, direction: Direction, deadline: Option<Instant>) -> io::Result<()> {
        self.half(direction).set_deadline(&self.io, direction, deadline)
    }

    /// Sets the deadline of both directions.
    pub(super) fn set_deadlines(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_deadline(Direction::Read, deadline)?;
        self.set_deadline(Direction::Write, deadline)
    }

    /// Returns how long an operation in this direction may take.
    pub(super) fn timeout(&self, direction: Direction) -> io::Result<Option<Duration>> {
        self.open()?;
        Ok(self.half(direction).timeout())
    }

    /// Sets how long an operation in this direction may take, by `std`'s rules.
    pub(super) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
        self.open()?;
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(error::zero_timeout());
        }
        self.half(direction).set_timeout(timeout);
        Ok(())
    }

    /// Sets whether operations return `WouldBlock` instead of waiting.
    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.open()?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps the descriptor non-blocking permanently.
    pub(super) fn keep_mode(&self) {
        self.value.keep();
    }

    /// Ends all current and later operations, and leaves the descriptor as it was before
    /// [`new`](Self::new).
    pub(super) fn evict(&self) {
        self.io.evict();
        // The holder of a turn may be about to make an attempt, which must not block. Later
        // operations make no attempt.
        let _turns = (self.read.turn.lock(), self.write.turn.lock());
        self.value.restore();
    }

    /// Ends all current and later operations, and closes the socket behind the descriptor. Only for
    /// sockets without another owner.
    pub(super) fn close(&self) {
        if self.io.is_evicted() {
            return;
        }
        self.io.evict();
        match socket2::Socket::new(Domain::UNIX, Type::STREAM, None) {
            Ok(dead) => {
                // SAFETY: I1: the number is open and belongs to `self.value`; `ManuallyDrop` keeps
                // it from being closed here.
                let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(self.get().as_fd().as_raw_fd()) });
                // `dup2` fails only for a number that is not open. A child process that is started
                // between the two calls inherits a dead socket.
                let _ = rustix::io::dup2(&dead, &mut place);
                let _ = rustix::io::fcntl_setfd(&*place, FdFlags::CLOEXEC);
            }
            // No descriptor is free. The peer still notices, and the socket is closed with the last
            // handle.
            Err(_) => {
                let _ = SockRef::from(self.get()).shutdown(Shutdown::Both);
            }
        }
    }
}

/// Reading and writing through a shared reference.
impl<T: AsFd> AsyncFd<T> {
    #[inline]
    pub(super) fn read(&self, ctx: Option<&Context>, bytes: &mut [u8]) -> io::Result<usize>
    where
        for<'a> &'a T: Read,
    {
        match bytes.len() {
            0 => self.read_empty(ctx),
            len => self.run_read(ctx, len, |mut value| value.read(bytes)),
        }
    }

    pub(super) fn read_vectored(&self, ctx: Option<&Context>, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize>
    where
        for<'a> &'a T: Read,
    {
        let range = passed(parts);
        let parts = &mut parts[range];
        match parts.iter().map(|part| part.len()).sum() {
            0 => self.read_empty(ctx),
            len => self.run_read(ctx, len, |mut value| value.read_vectored(parts)),
        }
    }

    pub(super) fn write(&self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize>
    where
        for<'a> &'a T: Write,
    {
        self.run_io(Direction::Write, ctx, |mut value| value.write(bytes))
    }

    pub(super) fn write_vectored(&self, ctx: Option<&Context>, parts: &[IoSlice<'_>]) -> io::Result<usize>
    where
        for<'a> &'a T: Write,
    {
        self.run_io(Direction::Write, ctx, |mut value| value.write_vectored(&parts[passed(parts)]))
    }

    pub(super) fn flush(&self, ctx: Option<&Context>) -> io::Result<()>
    where
        for<'a> &'a T: Write,
    {
        self.run_io(Direction::Write, ctx, |mut value| value.flush())
    }
}

/// Reading and writing through an exclusive reference, for values that need one.
impl<T: AsFd> AsyncFd<T> {
    pub(super) fn read_mut(&mut self, ctx: Option<&Context>, bytes: &mut [u8]) -> io::Result<usize>
    where
        T: Read,
    {
        if bytes.is_empty() {
            return self.read_empty(ctx);
        }
        self.run_io_mut(Direction::Read, ctx, |value| value.read(bytes))
    }

    pub(super) fn read_vectored_mut(&mut self, ctx: Option<&Context>, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize>
    where
        T: Read,
    {
        let range = passed(parts);
        let parts = &mut parts[range];
        if parts.is_empty() {
            return self.read_empty(ctx);
        }
        self.run_io_mut(Direction::Read, ctx, |value| value.read_vectored(parts))
    }

    pub(super) fn write_mut(&mut self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize>
    where
        T: Write,
    {
        self.run_io_mut(Direction::Write, ctx, |value| value.write(bytes))
    }

    pub(super) fn write_vectored_mut(&mut self, ctx: Option<&Context>, parts: &[IoSlice<'_>]) -> io::Result<usize>
    where
        T: Write,
    {
        self.run_io_mut(Direction::Write, ctx, |value| value.write_vectored(&parts[passed(parts)]))
    }

    pub(super) fn flush_mut(&mut self, ctx: Option<&Context>) -> io::Result<()>
    where
        T: Write,
    {
        self.run_io_mut(Direction::Write, ctx, Write::flush)
    }
}

/// One operation in one direction, from the moment when its turn begins.
///
/// It does not borrow the value, because the attempt may need exclusive access to the value.
struct IoOp<'a> {
    io: &'a Descriptor,
    half: &'a Half,
    nonblocking: &'a AtomicBool,
    direction: Direction,
    ctx: Option<&'a Context>,
    /// When the operation times out.
    until: Option<Instant>,
    /// The longest wait for an event, if it is possible that no event arrives.
    pause: Option<Duration>,
    /// `true` if the timer covers the end of this operation.
    is_limited: bool,
    /// The turn. The value is `true` if the last read emptied the socket.
    emptied: MutexGuard<'a, bool>,
}

impl<'a> IoOp<'a> {
    /// Waits for the turn, but no longer than the operation's timeout and context allow.
    #[inline]
    fn start(
        io: &'a Descriptor,
        half: &'a Half,
        nonblocking: &'a AtomicBool,
        direction: Direction,
        ctx: Option<&'a Context>,
    ) -> io::Result<Self> {
        greenthread_scheduler::checkpoint();
        let until = half.timeout().and_then(|timeout| Instant::now().checked_add(timeout));
        let emptied = match half.turn.try_lock() {
            Some(emptied) => emptied,
            None => match (ctx, until) {
                (Some(ctx), None) => half.turn.lock_ctx(ctx)?,
                (Some(ctx), Some(until)) => {
                    let (both, _cancel) = ctx.with_deadline(until);
                    let failed = |_| error::check_ctx(Some(ctx)).err().unwrap_or_else(error::timed_out);
                    half.turn.lock_ctx(&both).map_err(failed)?
                }
                (None, Some(until)) => half.turn.lock_deadline(until).ok_or_else(error::timed_out)?,
                (None, None) => half.turn.lock(),
            },
        };
        Ok(Self { io, half, nonblocking, direction, ctx, until, pause: None, is_limited: false, emptied })
    }

    /// Checks, before the first attempt, that the descriptor is open and no limit has passed.
    #[inline]
    fn check(&self) -> io::Result<()> {
        self.io.prepare(self.direction).map_err(error::of_wait)?;
        error::check_ctx(self.ctx)
    }

    /// Calls `attempt` until it succeeds or fails permanently.
    #[inline]
    fn run<R>(&mut self, mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(error) => self.wait_to_retry(error)?,
            }
        }
    }

    /// Waits after a failed attempt until the operation may be retried, or returns the error.
    fn wait_to_retry(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            // The error may come from the dead socket.
            _ if self.io.is_evicted() => Err(error::closed()),
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock if !self.nonblocking.load(Ordering::Relaxed) => self.wait(),
            _ => Err(error),
        }
    }

    /// Waits for an event, or until the pause has passed.
    fn wait(&mut self) -> io::Result<()> {
        let Some(pause) = self.pause else {
            if self.until.is_some() && !self.is_limited {
                self.limit(self.until)?;
            }
            return self.wait_for_event();
        };
        self.pause = Some(MAX_PAUSE.min(pause * 2));
        let next = Instant::now() + pause;
        self.limit(self.until.map_or(Some(next), |until| Some(until.min(next))))?;
        match self.wait_for_event() {
            // Perhaps only the pause has ended: the real limit is set again and checked.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.limit(self.until)?;
                self.check()
            }
            waited => waited,
        }
    }

    /// Tells the timer when this operation ends.
    fn limit(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.is_limited = true;
        self.half.limit_operation(self.io, self.direction, until)
    }

    /// Parks the goroutine until the descriptor seems ready: here the operation enters the
    /// scheduler.
    fn wait_for_event(&self) -> io::Result<()> {
        match self.ctx {
            None => self.io.wait(self.direction, WaitReason::IoWait).map_err(error::of_wait),
            Some(ctx) => {
                let closing = Closing::of(ctx.done());
                let waited = wait_or_close(self.io, self.direction, WaitReason::IoWait, closing);
                error::check_ctx(self.ctx)?;
                waited.map(|_| ()).map_err(error::of_wait)
            }
        }
    }
}

impl Drop for IoOp<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_limited {
            // A closed descriptor no longer has a timer.
            let _ = self.half.limit_operation(self.io, self.direction, None);
        }
    }
}
