//! Values that count their drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the values that were created and dropped.
#[derive(Clone, Default)]
pub struct Census(Arc<(AtomicUsize, AtomicUsize)>);

/// A value of a [`Census`], on the heap, so that a second drop does not go unnoticed.
pub struct Counted {
    census: Census,
    pub number: Box<usize>,
}

impl Census {
    pub fn value(&self, number: usize) -> Counted {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        Counted { census: self.clone(), number: Box::new(number) }
    }

    pub fn made(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }

    pub fn dropped(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.0.1.fetch_add(1, Ordering::Relaxed);
    }
}
