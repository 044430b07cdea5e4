//! The system's way to wait for many descriptors at once: `mio`, created at the first registration
//! and never destroyed.
//!
//! On Linux, `mio` calls `epoll_wait` and rounds a timeout up to whole milliseconds. So whole
//! milliseconds are spent in `epoll_wait`, and the rest in `ppoll` on the epoll descriptor itself,
//! which takes nanoseconds and consumes no event. Waiting only in `ppoll` would be simpler, but a
//! peer that writes to a socket would then wake us through two queues: a one-byte round trip takes
//! 40 us instead of 14. A timeout of 50 us ends after 105 us both this way and with `epoll_pwait2`,
//! which would require decoding the events ourselves. With `mio` alone it ends after 1.06 ms.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Poll, Registry, Token, Waker};

use super::mutex::{Mutex, MutexGuard};

/// The maximum number of events that one poll takes from the system: twice Go's number.
const EVENTS: usize = 256;

/// The token that [`Poller::wake`] reports.
///
/// No registration has it.
const WAKE: Token = Token(usize::MAX);

/// The process's only poller.
pub(crate) struct Poller {
    registry: Registry,
    waker: Waker,
    polling: Mutex<Polling>,
}

struct Polling {
    poll: Poll,
    events: Events,
}

/// The right to poll, which only one thread has at a time.
pub(crate) struct PollGuard(MutexGuard<'static, Polling>);

/// The operations that the system reports as possible on a descriptor; only an attempt is certain.
#[derive(Clone, Copy)]
pub(crate) struct Readiness {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// Out-of-band data, such as urgent data, is available, or none will arrive anymore.
    pub(crate) priority: bool,
    /// A read that returns less than it asked for may leave something behind: the end of the
    /// stream, an error, or data after urgent data.
    pub(crate) read_on: bool,
}

/// `true` if priority events are reported.
pub(crate) const SEES_PRIORITY: bool = cfg!(target_os = "linux");

static POLLER: OnceLock<Poller> = OnceLock::new();

/// Returns the poller, if anything was ever registered.
#[inline]
pub(crate) fn get() -> Option<&'static Poller> {
    POLLER.get()
}

/// Returns the poller, and creates it if there is none.
pub(crate) fn ensure() -> io::Result<&'static Poller> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock();
    if let Some(poller) = get() {
        return Ok(poller);
    }
    let poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let waker = Waker::new(&registry, WAKE)?;
    let polling = Mutex::new(Polling { poll, events: Events::with_capacity(EVENTS) });
    Ok(POLLER.get_or_init(|| Poller { registry, waker, polling }))
}

impl Poller {
    /// Registers `fd`: from now on, edges in all directions are reported with `token`, including
    /// directions that are already ready.
    pub(crate) fn register(&self, fd: RawFd, token: usize) -> io::Result<()> {
        self.registry.register(&mut SourceFd(&fd), Token(token), imp::INTERESTS)
    }

    /// Ends the reports that [`register`](Self::register) began.
    ///
    /// Events on their way to a polling thread may still be reported.
    pub(crate) fn deregister(&self, fd: RawFd) -> io::Result<()> {
        self.registry.deregister(&mut SourceFd(&fd))
    }

    /// Makes the thread that blocks in a poll return, or, if no thread does, the next thread that
    /// polls.
    pub(crate) fn wake(&self) {
        // It fails only where the system has no memory for a single word, and then the failure
        // cannot be reported.
        self.waker.wake().expect("poller: an eventfd takes one more");
    }

    /// Waits until no other thread polls, and takes the right to poll.
    pub(crate) fn lock(&'static self) -> PollGuard {
        PollGuard(self.polling.lock())
    }

    /// Takes the right to poll, unless another thread has it.
    pub(crate) fn try_lock(&'static self) -> Option<PollGuard> {
        self.polling.try_lock().map(PollGuard)
    }
}

impl PollGuard {
    /// Waits for events, for at most `timeout`, and calls `report` with the token of each.
    ///
    /// May return early without events.
    pub(crate) fn poll(&mut self, timeout: Option<Duration>, mut report: impl FnMut(usize, Readiness)) {
        let Polling { poll, events } = &mut *self.0;
        let timeout = imp::exact(poll.as_raw_fd(), timeout);
        if let Err(error) = poll.poll(events, timeout) {
            assert!(error.kind() == io::ErrorKind::Interrupted, "poller: the system's poll failed: {error}");
            return;
        }
        for event in events.iter().filter(|event| event.token() != WAKE) {
            let failed = event.is_error();
            let hung_up = failed || event.is_read_closed();
            let read = hung_up || event.is_readable();
            let write = failed || event.is_writable() || event.is_write_closed();
            let read_on = hung_up || imp::may_be_urgent(event);
            let priority = hung_up || event.is_priority();
            report(event.token().0, Readiness { read, write, priority, read_on });
        }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::os::fd::RawFd;
    use std::ptr;
    use std::time::Duration;

    use mio::Interest;
    use mio::event::Event;

    /// What is watched.
    ///
    /// Urgent data causes an event in any case; `PRIORITY` says that it is the reason.
    pub(super) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

    /// Returns `true` if urgent data has arrived.
    pub(super) fn may_be_urgent(event: &Event) -> bool {
        event.is_priority()
    }

    /// Returns the timeout to poll with.
    ///
    /// A remainder of less than a millisecond is waited for here.
    pub(super) fn exact(epoll: RawFd, timeout: Option<Duration>) -> Option<Duration> {
        let timeout = timeout?;
        let whole = Duration::from_millis(timeout.as_millis().try_into().unwrap_or(u64::MAX));
        if whole.is_zero() && !timeout.is_zero() {
            let timeout = libc::timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
            let mut fd = libc::pollfd { fd: epoll, events: libc::POLLIN, revents: 0 };
            // SAFETY: one structure of each kind, both of which outlive the call. The result is
            // ignored, since the poll that follows tells more.
            unsafe { libc::ppoll(&raw mut fd, 1, &raw const timeout, ptr::null()) };
        }
        Some(whole)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::os::fd::RawFd;
    use std::time::Duration;

    use mio::Interest;
    use mio::event::Event;

    /// What is watched.
    pub(super) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);

    /// Returns `true` if urgent data may have arrived, since other systems do not report it.
    pub(super) fn may_be_urgent(_: &Event) -> bool {
        true
    }

    /// Returns the timeout unchanged, since other systems' polls take nanoseconds.
    pub(super) fn exact(_: RawFd, timeout: Option<Duration>) -> Option<Duration> {
        timeout
    }
}
