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
//! A read that brings less than it asked for has emptied a TCP socket. The next read would only be
//! told that it would block, so it waits first. Events are edges, so this is right if each arrival
//! since then has an event of its own, which the poll word keeps. It saves a busy server with 64
//! connections 6 to 10 percent of its time. It is done only where it is certain:
//!
//! * *The read has asked for more.* What counts is what the system was asked for, not what the
//!   caller has asked for: of a vectored read the first [`MAX_PARTS`] parts, and never more than
//!   [`MOST`] bytes.
//! * *Nothing was left behind that has no further event.* The end of the stream may have come
//!   together with the last bytes, in one event, which has been taken by now. A read also stops at
//!   TCP's urgent mark, with more behind it. So an event that tells of the end, of an error, or of
//!   urgent data is remembered ([`Descriptor::must_read_on`]), and from then on each read is tried.
//!   If that event has not been taken before the read, it is still in the word, and ends the wait.
//! * *It is a plain TCP socket.* Another protocol may stand behind a `std::net::TcpStream`, as TLS
//!   in the kernel, whose reads stop between records; and whoever has the descriptor in hand can
//!   put one there, or take the urgent byte out of band, so that no event tells of it. So it is
//!   done only for sockets that were made here ([`own`](Fd::own)) and whose descriptor nobody was
//!   ever [lent](Fd::lend).
//!
//! Rejected for Unix sockets: a read also ends where descriptors or credentials were passed along,
//! with more behind it. Rejected: `TCP_INQ`, by which each read says what is left. It takes
//! `recvmsg`, which costs more than the empty read that it saves.
//!
//! # Closing
//! `close` ends all waits, and puts something dead in the place of the descriptor (`dup2`): what was behind it is
//! closed at once, so that a peer is told, and a port is free. The *number* stays in use until the last handle is
//! dropped. So an operation that runs at the same time cannot meet a descriptor that was opened since: it meets the
//! dead one, which says no to everything, and nobody looks at what it says. Rejected: to count the operations, and
//! close the number after the last one, as Go does. `AsFd` lends the number to safe code for as long as the handle
//! lives.
//!
//! # The mode
//! `O_NONBLOCK` is a property of the open file, which duplicates of the descriptor share, those of other processes too.
//! Whatever is refused gets its mode back. So does what is borrowed only ([`Async`](super::Async): a terminal, a pipe
//! from the shell), when it is closed, dropped, or handed back. Closing waits for both turns: whoever has one may be
//! about to try, and is not to block in it. A socket keeps the mode ([`keep_mode`](Fd::keep_mode)): often two are made
//! of duplicates, one for each direction, and the one that is dropped first must not make the other one block.
//!
//! # Invariants
//! * I1: the number is closed once, after the last handle and after the poller has let go of it: `io` stands before `socket`.

use std::io::{self, IoSlice};
use std::mem::{self, ManuallyDrop};
use std::net::Shutdown;
use std::ops::{Deref, Range};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread_channels::closing::Closing;
use greenthread_ctx::Context;
use greenthread_scheduler::{Descriptor, Direction, Ended, WaitReason, Woken};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::FdFlags;
use socket2::{Domain, SockRef, Socket, Type};

use crate::sync::{Mutex, MutexGuard};
use crate::watch;

/// How long to wait where the system does not say when to try again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// The most parts of one vectored operation (`IOV_MAX` on all systems).
const MAX_PARTS: usize = 1024;

/// A read is taken to ask for no more bytes than this. (Linux reads at most 2 GiB less a page at
/// once.)
const MOST: usize = 1 << 30;

/// A descriptor, as its handles share it.
pub(super) struct Fd<T: AsFd> {
    io: Descriptor,
    read: Side,
    write: Side,
    /// Whose turn it is to wait for priority events.
    priority: Mutex<()>,
    /// Whether the user wants to be told where an operation would block.
    nonblocking: AtomicBool,
    /// Whether the descriptor was never in hands other than ours.
    plain: AtomicBool,
    socket: Given<T>,
}

/// A value whose descriptor was made non-blocking. If it was not so before, it is made blocking
/// again in the end.
struct Given<T: AsFd> {
    /// Taken out only as the last thing.
    value: Option<T>,
    /// Whether the mode is to be given back.
    blocked: AtomicBool,
}

impl<T: AsFd> Given<T> {
    fn new(value: T) -> Self {
        Self { value: Some(value), blocked: AtomicBool::new(false) }
    }

    /// Makes the descriptor non-blocking, if it is not.
    fn unblock(&self) -> io::Result<()> {
        if !rustix::fs::fcntl_getfl(self.get())?.contains(OFlags::NONBLOCK) {
            rustix::io::ioctl_fionbio(self.get(), true)?;
            self.blocked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    #[inline]
    fn get(&self) -> &T {
        self.value.as_ref().expect("net: the value is there until the end")
    }

    /// Gives the mode back, once.
    fn restore(&self) {
        if self.blocked.swap(false, Ordering::Relaxed) {
            // It worked in the other direction. Whoever gets a descriptor that does not block is
            // told so by its operations.
            let _ = rustix::io::ioctl_fionbio(self.get(), false);
        }
    }

    fn get_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("net: the value is there until the end")
    }

    fn into_inner(mut self) -> T {
        self.restore();
        self.value.take().expect("net: the value is there until the end")
    }
}

impl<T: AsFd> Drop for Given<T> {
    fn drop(&mut self) {
        if self.value.is_some() {
            self.restore();
        }
    }
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

/// A timeout as a side keeps it.
fn nanos(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |timeout| timeout.as_nanos().try_into().unwrap_or(u64::MAX))
}

impl Side {
    fn with_timeout(timeout: Option<Duration>) -> Self {
        Self { timeout: AtomicU64::new(nanos(timeout)), ..Self::default() }
    }

    #[inline]
    fn timeout(&self) -> Option<Duration> {
        let nanos = self.timeout.load(Ordering::Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }

    /// Changes the limits, and sets the timer accordingly.
    fn limit(&self, io: &Descriptor, direction: Direction, change: impl FnOnce(&mut Limits)) -> io::Result<()> {
        let mut limits = self.limits.lock();
        change(&mut limits);
        io.set_deadline(direction, limits.earlier()).map_err(ended)
    }
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

/// The error of a context that has ended.
#[inline]
fn look_at(ctx: Option<&Context>) -> io::Result<()> {
    match ctx.and_then(Context::err) {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

/// Which of the parts the system is asked for: as many as it takes at once. Empty ones in front are
/// passed over; if they were all, the answer would look like the end of the stream.
pub(super) fn passed(parts: &[impl Deref<Target = [u8]>]) -> Range<usize> {
    let first = parts.iter().position(|part| !part.is_empty()).unwrap_or(parts.len());
    first..parts.len().min(first + MAX_PARTS)
}

fn ended(by: Ended) -> io::Error {
    match by {
        Ended::Closed => closed(),
        Ended::Deadline => timed_out(),
    }
}

/// Whether one of the events is there, or an error is.
fn is_ready(socket: &impl AsFd, events: PollFlags) -> io::Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::event::poll(&mut [PollFd::new(socket, events)], Some(&now))? > 0)
}

impl<T: AsFd> Fd<T> {
    /// Has `value` watched, which somebody else has made. It is made non-blocking; if it was not so
    /// before, until it is given back or dropped. If it has timeouts of the system's, they count from now on as those
    /// that are set here: an operation that does not block is not ended by the system's.
    ///
    /// # Errors
    /// What the system says; and the value, as it was.
    pub(super) fn new(value: T) -> Result<Self, (io::Error, T)> {
        let given = Given::new(value);
        match given.unblock().and_then(|()| Descriptor::register(given.get().as_fd())) {
            Ok(io) => {
                // Something other than a socket has none.
                let options = SockRef::from(given.get());
                let read = Side::with_timeout(options.read_timeout().unwrap_or(None));
                let write = Side::with_timeout(options.write_timeout().unwrap_or(None));
                Ok(Self { read, write, ..Self::with(io, given, false) })
            }
            Err(error) => Err((error, given.into_inner())),
        }
    }

    /// Has a socket watched that was made here, and is nobody else's. It is non-blocking from now
    /// on.
    pub(super) fn own(socket: T) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let io = Descriptor::register(socket.as_fd())?;
        Ok(Self::with(io, Given::new(socket), true))
    }

    fn with(io: Descriptor, socket: Given<T>, plain: bool) -> Self {
        let (nonblocking, plain) = (AtomicBool::new(false), AtomicBool::new(plain));
        let (read, write, priority) = (Side::default(), Side::default(), Mutex::new(()));
        Self { io, read, write, priority, nonblocking, plain, socket }
    }

    /// What is inside, for what needs no waiting.
    ///
    /// # Errors
    /// If it is closed.
    pub(super) fn open(&self) -> io::Result<&T> {
        if self.io.is_evicted() { Err(closed()) } else { Ok(self.get()) }
    }

    /// What is inside, closed or not. For what is done here: what may pass on the descriptor asks
    /// [`lend`](Self::lend).
    pub(super) fn get(&self) -> &T {
        self.socket.get()
    }

    /// What is inside, for somebody who may do anything with it.
    pub(super) fn lend(&self) -> &T {
        self.plain.store(false, Ordering::Relaxed);
        self.get()
    }

    /// Whether the socket was made here, and its descriptor was never [lent](Self::lend).
    pub(super) fn is_plain(&self) -> bool {
        self.plain.load(Ordering::Relaxed)
    }

    /// What is inside. If it has blocked before [`new`](Self::new), it blocks again, for as long as the timeouts allow.
    pub(super) fn into_inner(self) -> T {
        let Self { io, socket, read, write, .. } = self;
        // I1.
        drop(io);
        // The system knows microseconds, and takes zero for none. Something other than a socket refuses.
        let timeout = |side: Side| side.timeout().map(|timeout| timeout.max(Duration::from_micros(1)));
        let options = SockRef::from(socket.get());
        let _ = options.set_read_timeout(timeout(read));
        let _ = options.set_write_timeout(timeout(write));
        socket.into_inner()
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read | Direction::Priority => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// One operation: `attempt` is called until it does not say that it would block.
    #[inline]
    pub(super) fn run<R>(
        &self,
        direction: Direction,
        ctx: Option<&Context>,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut turn = self.turn(direction, ctx)?;
        *turn.emptied = false;
        turn.begin()?;
        turn.run(|| attempt(self.get()))
    }

    /// As [`run`](Self::run), for what needs the value for itself.
    pub(super) fn run_mut<R>(
        &mut self,
        direction: Direction,
        ctx: Option<&Context>,
        mut attempt: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let Self { io, read, write, nonblocking, socket, .. } = self;
        let side = match direction {
            Direction::Read | Direction::Priority => read,
            Direction::Write => write,
        };
        let mut turn = Turn::take(io, side, nonblocking, direction, ctx)?;
        turn.begin()?;
        turn.run(|| attempt(socket.get_mut()))
    }

    /// Blocks until an attempt in this direction would not block.
    pub(super) fn ready(&self, ctx: Option<&Context>, direction: Direction) -> io::Result<()> {
        let events = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
            Direction::Priority => return self.priority(ctx),
        };
        self.run(direction, ctx, |socket| {
            // Events tell of changes only; this tells how it is.
            if is_ready(socket, events)? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        })
    }

    /// Blocks until there is a priority event. It may be one that was reported before, and has been seen to since.
    fn priority(&self, ctx: Option<&Context>) -> io::Result<()> {
        greenthread_scheduler::checkpoint();
        if !Descriptor::SEES_PRIORITY {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not report priority events"));
        }
        let background = Context::background();
        let ctx = ctx.unwrap_or(&background);
        let _turn = self.priority.lock_ctx(ctx)?;
        loop {
            look_at(Some(ctx))?;
            // Some descriptors, as the kernel's pressure monitors, say it once: then the event is all there is.
            let reported = self.io.take(Direction::Priority).map_err(ended)?;
            if reported || is_ready(self.get(), PollFlags::PRI)? {
                return Ok(());
            }
            if self.nonblocking.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let closing = Closing::of(ctx.done());
            if watch::wait(&self.io, Direction::Priority, WaitReason::IoWait, closing).map_err(ended)? == Woken::Ready {
                return Ok(());
            }
        }
    }

    /// As [`run`](Self::run), for writes and connects that the system does not report to be possible: tries again after pauses.
    pub(super) fn run_with_pauses<R>(
        &self,
        ctx: Option<&Context>,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut turn = self.turn(Direction::Write, ctx)?;
        turn.pause = Some(FIRST_PAUSE);
        turn.begin()?;
        turn.run(|| attempt(self.get()))
    }

    /// As [`run`](Self::run), for reads of up to `len` bytes from TCP sockets: the next one is left
    /// out if this one has emptied the socket.
    #[inline]
    pub(super) fn read(
        &self,
        ctx: Option<&Context>,
        len: usize,
        mut attempt: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut turn = self.turn(Direction::Read, ctx)?;
        if mem::take(&mut *turn.emptied) && !self.nonblocking.load(Ordering::Relaxed) {
            turn.wait()?;
        } else {
            turn.begin()?;
        }
        let read = turn.run(|| attempt(self.get()))?;
        *turn.emptied = 0 < read && read < len.min(MOST) && self.is_plain() && !self.io.must_read_on();
        Ok(read)
    }

    /// A read that asks for nothing: it does not wait, nor look at deadlines (Go's does not
    /// either).
    ///
    /// # Errors
    /// If it is closed, or the context has ended.
    pub(super) fn read_nothing(&self, ctx: Option<&Context>) -> io::Result<usize> {
        self.open()?;
        look_at(ctx)?;
        Ok(0)
    }

    /// Sends on a stream. Who sends to a peer that is gone gets an error, and no signal.
    #[inline]
    pub(super) fn send(&self, ctx: Option<&Context>, bytes: &[u8]) -> io::Result<usize> {
        self.run(Direction::Write, ctx, |socket| SockRef::from(socket).send_with_flags(bytes, libc::MSG_NOSIGNAL))
    }

    /// As [`send`](Self::send), from several places.
    pub(super) fn send_vectored(&self, ctx: Option<&Context>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let parts = &parts[passed(parts)];
        self.run(Direction::Write, ctx, |socket| {
            SockRef::from(socket).send_vectored_with_flags(parts, libc::MSG_NOSIGNAL)
        })
    }

    /// Waits for the caller's turn.
    #[inline]
    fn turn<'a>(&'a self, direction: Direction, ctx: Option<&'a Context>) -> io::Result<Turn<'a>> {
        Turn::take(&self.io, self.side(direction), &self.nonblocking, direction, ctx)
    }

    /// Sets the deadline of a direction, for the operation that waits and for all to come.
    pub(super) fn set_deadline(&self, direction: Direction, deadline: Option<Instant>) -> io::Result<()> {
        self.side(direction).limit(&self.io, direction, |limits| limits.deadline = deadline)
    }

    /// Sets how long an operation in this direction may take; `std`'s rules.
    pub(super) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
        self.open()?;
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        self.side(direction).timeout.store(nanos(timeout), Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn timeout(&self, direction: Direction) -> io::Result<Option<Duration>> {
        self.open()?;
        Ok(self.side(direction).timeout())
    }

    /// Whether operations return `WouldBlock` instead of waiting.
    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.open()?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Leaves the descriptor non-blocking for good.
    pub(super) fn keep_mode(&self) {
        self.socket.blocked.store(false, Ordering::Relaxed);
    }

    /// Ends all operations, now and later. The descriptor is left as it was before
    /// [`new`](Self::new).
    pub(super) fn evict(&self) {
        self.io.evict();
        // Whoever is just trying holds the turn, and is not to block; whoever comes later does not
        // try.
        let _turns = (self.read.turn.lock(), self.write.turn.lock());
        self.socket.restore();
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
                let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(self.get().as_fd().as_raw_fd()) });
                // It fails only for numbers that are not open. A child that is started in between inherits something dead.
                let _ = rustix::io::dup2(&dead, &mut place);
                let _ = rustix::io::fcntl_setfd(&*place, FdFlags::CLOEXEC);
            }
            // Out of descriptors. The peer is told all the same; the rest is closed with the last handle.
            Err(_) => {
                let _ = SockRef::from(self.get()).shutdown(Shutdown::Both);
            }
        }
    }
}

/// The right to operate in one direction. It does not borrow the socket, which an operation may need for itself.
struct Turn<'a> {
    io: &'a Descriptor,
    side: &'a Side,
    nonblocking: &'a AtomicBool,
    direction: Direction,
    ctx: Option<&'a Context>,
    until: Option<Instant>,
    /// How long to wait for an event, if there may be none.
    pause: Option<Duration>,
    /// Whether there is a limit for this operation.
    armed: bool,
    emptied: MutexGuard<'a, bool>,
}

impl<'a> Turn<'a> {
    #[inline]
    fn take(
        io: &'a Descriptor,
        side: &'a Side,
        nonblocking: &'a AtomicBool,
        direction: Direction,
        ctx: Option<&'a Context>,
    ) -> io::Result<Self> {
        greenthread_scheduler::checkpoint();
        let until = side.timeout().and_then(|timeout| Instant::now().checked_add(timeout));
        let emptied = match side.turn.try_lock() {
            Some(emptied) => emptied,
            None => match (ctx, until) {
                (Some(ctx), None) => side.turn.lock_ctx(ctx)?,
                (Some(ctx), Some(until)) => {
                    let (both, _cancel) = ctx.with_deadline(until);
                    side.turn.lock_ctx(&both).map_err(|_| look_at(Some(ctx)).err().unwrap_or_else(timed_out))?
                }
                (None, Some(until)) => side.turn.lock_deadline(until).ok_or_else(timed_out)?,
                (None, None) => side.turn.lock(),
            },
        };
        Ok(Self { io, side, nonblocking, direction, ctx, until, pause: None, armed: false, emptied })
    }

    /// Before the first attempt: whether there may be one.
    #[inline]
    fn begin(&self) -> io::Result<()> {
        self.io.prepare(self.direction).map_err(ended)?;
        look_at(self.ctx)
    }

    #[inline]
    fn run<R>(&mut self, mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(error) => self.failed(error)?,
            }
        }
    }

    /// An attempt has failed: waits if it may be repeated, or says why not.
    fn failed(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            // It may be what the dead descriptor says.
            _ if self.io.is_evicted() => Err(closed()),
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock if !self.nonblocking.load(Ordering::Relaxed) => self.wait(),
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
        self.side.limit(self.io, self.direction, |limits| limits.operation = until)
    }

    fn wait_for_event(&self) -> io::Result<()> {
        let io = self.io;
        match self.ctx {
            None => io.wait(self.direction, WaitReason::IoWait).map_err(ended),
            Some(ctx) => {
                let waited = watch::wait(io, self.direction, WaitReason::IoWait, Closing::of(ctx.done()));
                look_at(self.ctx)?;
                waited.map(|_| ()).map_err(ended)
            }
        }
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.armed {
            // If it is closed there is no timer any more.
            let _ = self.side.limit(self.io, self.direction, |limits| limits.operation = None);
        }
    }
}
