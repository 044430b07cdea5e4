//! Values that count their drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A count of the values made and dropped.
#[derive(Clone, Default)]
pub struct Census(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

/// A value of a [`Census`].
///
/// Its memory is on the heap, so that a sanitizer notices a second drop.
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

    /// Returns the number of values that exist.
    pub fn alive(&self) -> usize {
        // In the other order, a value that is made and dropped in between would make this negative.
        let dropped = self.dropped();
        self.made() - dropped
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.0.dropped.fetch_add(1, Ordering::AcqRel);
    }
}

/// A guard that calls its closure when it is dropped.
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
