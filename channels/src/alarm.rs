//! Channels that are fed by the clock: `after`, `at`, `tick`, and what timers and tickers receive from.
//!
//! An alarm has no buffer and no timer. It knows when its next message is due, and who looks at it after that takes the
//! message. Who waits for it waits until that time with a deadline of its own. So an alarm that nobody waits for costs
//! nothing but its memory, and nothing is left of one that is dropped (Go's rule since 1.23: a timer is in a heap only while
//! somebody is blocked on its channel).
//!
//! Setting an alarm anew makes all who wait look again. As a message exists only in the moment in which it is taken, there
//! are no stale ones to be drained: after `set` has returned nobody receives what was due before.
//!
//! # Invariants
//! * I1: `next` and `period` are touched only under the lock of `head`; nothing else of `head` but its receivers and its epoch
//!   is in use.

use std::time::{Duration, Instant};

use crate::head::Head;
use crate::primitive::UnsafeCell;
use crate::waiter::Outcome;

/// When the messages after the first come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Period {
    /// Never.
    Once,
    /// So long after the one before was due, or after it was asked for if that was later (crossbeam's `tick`).
    AfterLast(Duration),
    /// At the multiples of this after the first; those that nobody has taken in time are left out (Go's ticker).
    Grid(Duration),
}

/// A channel whose messages come with time.
// Heads come first, so that a pointer to one of these is one to its head.
#[repr(C)]
pub(crate) struct Alarm {
    head: Head,
    state: UnsafeCell<State>,
}

// SAFETY: I1.
unsafe impl Send for Alarm {}
// SAFETY: I1.
unsafe impl Sync for Alarm {}

struct State {
    /// When the next message is due; none if there will be no more.
    next: Option<Instant>,
    period: Period,
}

/// An alarm, and what a receiver of `T` gets from it.
#[repr(C)]
pub(crate) struct Alarmed<T> {
    pub(crate) alarm: Alarm,
    pub(crate) message: fn(Instant) -> T,
}

impl Alarm {
    pub(crate) fn new(next: Option<Instant>, period: Period) -> Self {
        Self { head: Head::new(Some(1)), state: UnsafeCell::new(State { next, period }) }
    }

    /// When the next message is due. Takes the lock.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.head.lock();
        // SAFETY: locked here.
        unsafe {
            let next = self.next_locked();
            self.head.unlock();
            next
        }
    }

    /// When the next message is due.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn next_locked(&self) -> Option<Instant> {
        // SAFETY: I1.
        self.state.with_mut(|state| unsafe { (*state).next })
    }

    /// Whether a message is there at `now`. Takes the lock.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next().is_some_and(|next| next <= now)
    }

    /// Takes the message, if it is due, for one who has asked for it at `asked`.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn take(&self, asked: Instant) -> Option<Instant> {
        let now = Instant::now();
        self.state.with_mut(|state| {
            // SAFETY: I1.
            let state = unsafe { &mut *state };
            let due = state.next.filter(|&next| next <= now)?;
            state.next = match state.period {
                Period::Once => None,
                Period::AfterLast(period) => due.max(asked).checked_add(period),
                Period::Grid(period) => next_on_grid(due, now, period),
            };
            // It was possible to take it, until now: who looks without the lock is to know.
            self.head.raise_epoch();
            Some(due)
        })
    }

    /// Changes when messages come; true if one was still to come before. Makes all who wait look again.
    pub(crate) fn set(&self, next: Option<Instant>, period: Period) -> bool {
        self.head.lock();
        // SAFETY: locked here, and I1.
        unsafe {
            let before = self.state.with_mut(|state| std::mem::replace(&mut *state, State { next, period }));
            self.head.raise_epoch();
            self.head.end_all_and_unlock(|| Outcome::Retry);
            before.next.is_some()
        }
    }
}

impl<T> Alarmed<T> {
    /// Takes the message, if it is due.
    pub(crate) fn try_recv(&self) -> Option<T> {
        self.alarm.head.lock();
        // SAFETY: locked here.
        let due = unsafe {
            let due = self.alarm.take(Instant::now());
            self.alarm.head.unlock();
            due
        };
        due.map(self.message)
    }
}

/// The first of the multiples of `period` after `due` that is later than `now`.
fn next_on_grid(due: Instant, now: Instant, period: Duration) -> Option<Instant> {
    // Less than the time since `due`, which this process has seen: 64 bits are enough for it.
    let late = (now - due).as_nanos() % period.as_nanos();
    now.checked_add(period - Duration::from_nanos(late as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_goes_on_however_late_one_comes() {
        let due = Instant::now();
        let next = |late, period| next_on_grid(due, due + late, period).map(|next| next - due);
        let (nano, year) = (Duration::from_nanos(1), Duration::from_secs(365 * 24 * 3600));
        assert_eq!(next(Duration::ZERO, year), Some(year));
        assert_eq!(next(nano, year), Some(year));
        assert_eq!(next(year, year), Some(2 * year), "later, not the same");
        assert_eq!(next(year - nano, 10 * nano), Some(year));
        assert_eq!(next(year, 7 * nano).unwrap().as_nanos() % 7, 0);
        assert!(next(year, 7 * nano).unwrap() - year <= 7 * nano, "no multiple is left to be made up for");
        assert_eq!(next(nano, Duration::MAX), None);
    }
}
