//! One direction of a descriptor: the lock that its operations take, and how long they may wait.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread_scheduler::{Descriptor, Direction};

use super::error;
use crate::sync::Mutex;

/// The state of one direction.
#[derive(Default)]
pub(super) struct Half {
    /// Held by the operation that is in progress. The value is `true` if the last read emptied the
    /// socket.
    pub(super) turn: Mutex<bool>,
    limits: Mutex<Limits>,
    /// In nanoseconds; 0 means no timeout.
    timeout_ns: AtomicU64,
}

/// The times at which a wait ends.
#[derive(Default)]
struct Limits {
    /// The descriptor's deadline.
    deadline: Option<Instant>,
    /// The end of the operation in progress.
    operation: Option<Instant>,
}

impl Limits {
    fn earlier(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.operation).min()
    }
}

impl Half {
    pub(super) fn with_timeout(timeout: Option<Duration>) -> Self {
        let half = Self::default();
        half.set_timeout(timeout);
        half
    }

    /// Returns how long one operation may take.
    #[inline]
    pub(super) fn timeout(&self) -> Option<Duration> {
        let timeout_ns = self.timeout_ns.load(Ordering::Relaxed);
        (timeout_ns != 0).then(|| Duration::from_nanos(timeout_ns))
    }

    pub(super) fn set_timeout(&self, timeout: Option<Duration>) {
        let timeout_ns = timeout.map_or(0, |timeout| timeout.as_nanos().try_into().unwrap_or(u64::MAX));
        self.timeout_ns.store(timeout_ns, Ordering::Relaxed);
    }

    /// Sets the deadline of the descriptor, for the waiting operation and for all later ones.
    pub(super) fn set_deadline(&self, io: &Descriptor, direction: Direction, at: Option<Instant>) -> io::Result<()> {
        self.change_limits(io, direction, |limits| limits.deadline = at)
    }

    /// Sets the end of the operation in progress.
    pub(super) fn limit_operation(&self, io: &Descriptor, direction: Direction, at: Option<Instant>) -> io::Result<()> {
        self.change_limits(io, direction, |limits| limits.operation = at)
    }

    /// Changes the limits, and sets the timer to the earlier of the two.
    fn change_limits(&self, io: &Descriptor, direction: Direction, change: impl FnOnce(&mut Limits)) -> io::Result<()> {
        let mut limits = self.limits.lock();
        change(&mut limits);
        io.set_deadline(direction, limits.earlier()).map_err(error::of_wait)
    }
}
