//! The reason why a context ended, written once.
//!
//! # Orderings
//! * P1: the release store of `error` in [`EndCell::set`] -> the acquire load in
//!   [`EndCell::error`]: the cause is visible.
//!
//! Rejected: `OnceLock<End>`. It allows several concurrent writers, at the price of two
//! read-modify-writes and a call for each write. Here all writers hold the node's lock, and most
//! ends have no cause.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Cause, Error};

/// The reason why a node ended.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) error: Error,
    pub(crate) cause: Option<Cause>,
}

const NOT_ENDED: u8 = 0;
const CANCELED: u8 = 1;
const DEADLINE_EXCEEDED: u8 = 2;

/// A cell for the reason, written at most once.
pub(crate) struct EndCell {
    error: AtomicU8,
    cause: OnceLock<Cause>,
}

impl EndCell {
    pub(crate) const fn new() -> Self {
        Self { error: AtomicU8::new(NOT_ENDED), cause: OnceLock::new() }
    }

    /// Writes the reason, unless the cell already holds one. Returns `true` if it wrote the reason.
    /// The caller holds the node's lock.
    pub(crate) fn set(&self, end: &End) -> bool {
        if self.error.load(Ordering::Relaxed) != NOT_ENDED {
            return false;
        }
        if let Some(cause) = &end.cause {
            self.cause.get_or_init(|| cause.clone());
        }
        let error = match end.error {
            Error::Canceled => CANCELED,
            Error::DeadlineExceeded => DEADLINE_EXCEEDED,
        };
        // ORDERING P1: release, so that a reader of `error` sees the cause.
        self.error.store(error, Ordering::Release);
        true
    }

    pub(crate) fn is_set(&self) -> bool {
        self.error().is_some()
    }

    pub(crate) fn error(&self) -> Option<Error> {
        // ORDERING P1: acquire, so that the cause is visible.
        match self.error.load(Ordering::Acquire) {
            CANCELED => Some(Error::Canceled),
            DEADLINE_EXCEEDED => Some(Error::DeadlineExceeded),
            _ => None,
        }
    }

    pub(crate) fn get(&self) -> Option<End> {
        self.error().map(|error| End { error, cause: self.cause.get().cloned() })
    }
}
