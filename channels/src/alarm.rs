//! Channels that are fed by the clock: `after`, `at`, `tick`, and the channels of timers and
//! tickers.
//!
//! An alarm has neither a buffer nor a timer. It knows when its next message is due, and a receiver
//! that checks the alarm after that time takes the message. A waiting receiver sets a deadline of
//! its own for that time. So an alarm without waiters costs only its memory, and a dropped alarm
//! leaves nothing behind (Go's rule since 1.23: a timer is in a heap only while a goroutine is
//! blocked on its channel).
//!
//! Resetting an alarm makes all waiters check it again. A message exists only at the moment when it
//! is taken, so there are no stale messages to drain: after `set` has returned, no receiver gets a
//! message that was due before.
//!
//! # Invariants
//! * I1: `state` is touched only under the lock of `head`. Only the lock, the receivers and the
//!   epoch of `head` are in use.

use std::mem;
use std::time::{Duration, Instant};

use crate::head::{Guard, HasHead, Head};
use crate::locked::Locked;
use crate::primitive::UnsafeCell;
use crate::waiter::Outcome;

/// The times at which the messages after the first are due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Period {
    /// Never.
    Once,
    /// This long after the previous message was due, or after a receiver asked for that message if
    /// it did so later (crossbeam's `tick`).
    AfterLast(Duration),
    /// At multiples of this duration after the first message. Messages that no receiver takes in
    /// time are skipped (Go's ticker).
    Grid(Duration),
}

/// A channel whose messages become due with time.
// The head comes first, so that a pointer to an alarm is also a pointer to its head.
#[repr(C)]
pub(crate) struct Alarm {
    head: Head,
    state: UnsafeCell<State>,
}

// SAFETY: I1: the lock guards the state, which is the only part that is not itself shareable.
unsafe impl Send for Alarm {}
// SAFETY: I1: the lock guards the state, which is the only part that is not itself shareable.
unsafe impl Sync for Alarm {}

// SAFETY: it always returns the same field, whose lock guards the state (I1).
unsafe impl HasHead for Alarm {
    #[inline]
    fn head(&self) -> &Head {
        &self.head
    }
}

struct State {
    /// When the next message is due, or `None` if there will be no more.
    next: Option<Instant>,
    period: Period,
}

/// An alarm with the type of its messages.
// The alarm comes first, so that a pointer to this struct is also a pointer to its alarm and its
// head.
#[repr(C)]
pub(crate) struct AlarmChan<T> {
    pub(crate) alarm: Alarm,
    /// Makes a message from the time at which it was due.
    pub(crate) message: fn(Instant) -> T,
}

impl Alarm {
    pub(crate) fn new(next: Option<Instant>, period: Period) -> Self {
        Self { head: Head::new(Some(1)), state: UnsafeCell::new(State { next, period }) }
    }

    fn lock(&self) -> Guard<'_, Self> {
        Guard::lock(self)
    }

    /// Returns when the next message is due. Takes the lock.
    pub(crate) fn next(&self) -> Option<Instant> {
        let mut guard = self.lock();
        let next = guard.locked().next();
        guard.unlock();
        next
    }

    /// Returns `true` if a message is due at `now`. Takes the lock.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next().is_some_and(|next| next <= now)
    }

    /// Changes when messages are due, and makes all waiters check again.
    ///
    /// Returns `true` if a message was still outstanding before.
    pub(crate) fn set(&self, next: Option<Instant>, period: Period) -> bool {
        let mut guard = self.lock();
        let mut alarm = guard.locked();
        let before = alarm.state(|state| mem::replace(state, State { next, period }));
        alarm.head().raise_epoch();
        guard.into_head().complete_all(|| Outcome::Retry);
        before.next.is_some()
    }
}

impl Locked<'_, Alarm> {
    fn state<R>(&mut self, f: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: I1: the token proves that the lock is held, and `&mut self` makes the access
        // exclusive.
        self.get().state.with_mut(|state| f(unsafe { &mut *state }))
    }

    /// Returns when the next message is due.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        self.state(|state| state.next)
    }

    /// Takes the message if it is due, for a receiver that asked for it at `asked`.
    ///
    /// Returns when it was due.
    pub(crate) fn take(&mut self, asked: Instant) -> Option<Instant> {
        let now = Instant::now();
        let due = self.state(|state| {
            let due = state.next.filter(|&next| next <= now)?;
            state.next = match state.period {
                Period::Once => None,
                Period::AfterLast(period) => due.max(asked).checked_add(period),
                Period::Grid(period) => next_on_grid(due, now, period),
            };
            Some(due)
        })?;
        // The message was available until now, and no epoch was raised when it became due.
        self.head().raise_epoch();
        Some(due)
    }
}

impl<T> AlarmChan<T> {
    /// Takes the message if it is due.
    pub(crate) fn try_recv(&self) -> Option<T> {
        let mut guard = self.alarm.lock();
        let due = guard.locked().take(Instant::now());
        guard.unlock();
        due.map(self.message)
    }
}

/// Returns the first time later than `now` that is a multiple of `period` after `due`.
fn next_on_grid(due: Instant, now: Instant, period: Duration) -> Option<Instant> {
    // The remainder is at most the time since `due`. All of that time has passed while this process
    // ran, so 64 bits are enough.
    let late = (now - due).as_nanos() % period.as_nanos();
    now.checked_add(period - Duration::from_nanos(late as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_continues_after_any_delay() {
        let due = Instant::now();
        let next = |late, period| next_on_grid(due, due + late, period).map(|next| next - due);
        let (nano, year) = (Duration::from_nanos(1), Duration::from_secs(365 * 24 * 3600));
        assert_eq!(next(Duration::ZERO, year), Some(year));
        assert_eq!(next(nano, year), Some(year));
        assert_eq!(next(year, year), Some(2 * year), "strictly later");
        assert_eq!(next(year - nano, 10 * nano), Some(year));
        assert_eq!(next(year, 7 * nano).unwrap().as_nanos() % 7, 0);
        assert!(next(year, 7 * nano).unwrap() - year <= 7 * nano, "missed multiples are skipped");
        assert_eq!(next(nano, Duration::MAX), None);
    }
}
