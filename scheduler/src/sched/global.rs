//! The global queue: runnable goroutines that belong to no P.
//!
//! It has three parts, since the goroutines in it have waited for different things:
//!
//! * `polled`, served first: waiters for I/O, found by a thread without a P;
//! * `queue`, served next: goroutines that other threads spawn or wake, or that return from a
//!   blocking call;
//! * `deferred`, served last, and once in a time slice: goroutines that compute for a long time
//!   ([`crate::sched::hogs`]).
//!
//! A goroutine is deferred when it has lost its P because it computed, or when it will probably
//! compute for a long time.
//!
//! With a single queue, a request from outside would wait for one time slice of each goroutine that
//! computes.

use crossbeam_deque::{Injector, Steal, Worker};

/// The global queue.
pub(crate) struct Global<G> {
    polled: Injector<G>,
    queue: Injector<G>,
    deferred: Injector<G>,
}

impl<G> Global<G> {
    pub(crate) fn new() -> Self {
        Self { polled: Injector::new(), queue: Injector::new(), deferred: Injector::new() }
    }

    pub(crate) fn push(&self, g: G) {
        self.queue.push(g);
    }

    pub(crate) fn push_polled(&self, g: G) {
        self.polled.push(g);
    }

    pub(crate) fn push_deferred(&self, g: G) {
        self.deferred.push(g);
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.has_urgent() && !self.has_deferred()
    }

    /// Returns `true` if any goroutine that is not deferred waits.
    pub(crate) fn has_urgent(&self) -> bool {
        !self.queue.is_empty() || !self.polled.is_empty()
    }

    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.polled.len() + self.queue.len() + self.deferred.len()
    }

    /// Takes the next goroutine that is not deferred.
    pub(crate) fn take(&self) -> Option<G> {
        persist(&self.polled, Injector::steal).or_else(|| persist(&self.queue, Injector::steal))
    }

    /// Takes the next goroutine that is not deferred, and moves some of those behind it to `queue`.
    pub(crate) fn take_batch(&self, queue: &Worker<G>) -> Option<G> {
        let batch = |from: &Injector<G>| from.steal_batch_and_pop(queue);
        persist(&self.polled, batch).or_else(|| persist(&self.queue, batch))
    }

    /// Takes the goroutine that has been deferred for the longest time.
    pub(crate) fn take_deferred(&self) -> Option<G> {
        persist(&self.deferred, Injector::steal)
    }
}

/// Repeats `take` until it succeeds or `from` is empty.
fn persist<G>(from: &Injector<G>, take: impl Fn(&Injector<G>) -> Steal<G>) -> Option<G> {
    while !from.is_empty() {
        match take(from) {
            Steal::Success(g) => return Some(g),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
    None
}
