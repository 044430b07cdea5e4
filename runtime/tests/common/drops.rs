//! Values that count how often they are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the values made and dropped.
#[derive(Clone, Default)]
pub struct Census(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

/// A value of a [`Census`].
///
/// It lives on the heap, so that a second drop does not go unnoticed.
pub struct Counted {
    census: Census,
    _memory: Box<u64>,
}

impl Census {
    pub fn value(&self) -> Counted {
        self.0.made.fetch_add(1, Ordering::Relaxed);
        Counted { census: self.clone(), _memory: Box::new(0) }
    }

    pub fn made(&self) -> usize {
        self.0.made.load(Ordering::Acquire)
    }

    pub fn dropped(&self) -> usize {
        self.0.dropped.load(Ordering::Acquire)
    }

    /// Returns how many values are alive.
    pub fn alive(&self) -> usize {
        // The drops are read first: in the other order the difference could be negative.
        let dropped = self.dropped();
        self.made() - dropped
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.0.dropped.fetch_add(1, Ordering::AcqRel);
    }
}

/// Calls its closure when it is dropped.
pub struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}
