//! The global queue: runnable goroutines that belong to no P.
//!
//! It has three parts, since those that come here have waited for different things:
//!
//! | part | who comes here | when they are served |
//! | --- | --- | --- |
//! | `polled` | waiters for I/O, found by a thread without a P | first |
//! | `queue` | goroutines that other threads spawn or wake; those that come back from a blocking call | next |
//! | `late` | goroutines that have lost their P because they computed, or that probably will ([`crate::sched::hogs`]) | when nothing else waits, and once in a time slice |
//!
//! With one queue for all, a request from outside would wait for one time slice of each goroutine that computes.

use crossbeam_deque::{Injector, Steal, Worker};

/// See the module's documentation.
pub(crate) struct Global<G> {
    polled: Injector<G>,
    queue: Injector<G>,
    late: Injector<G>,
}

impl<G> Global<G> {
    pub(crate) fn new() -> Self {
        Self { polled: Injector::new(), queue: Injector::new(), late: Injector::new() }
    }

    pub(crate) fn push(&self, g: G) {
        self.queue.push(g);
    }

    pub(crate) fn push_polled(&self, g: G) {
        self.polled.push(g);
    }

    pub(crate) fn push_late(&self, g: G) {
        self.late.push(g);
    }

    /// Whether no part has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_quiet() && self.late.is_empty()
    }

    /// Whether no part but `late` has any.
    pub(crate) fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.polled.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.polled.len() + self.queue.len() + self.late.len()
    }

    /// Whether any is late.
    pub(crate) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Takes the next one, but none that is late.
    pub(crate) fn take(&self) -> Option<G> {
        persist(&self.polled, Injector::steal).or_else(|| persist(&self.queue, Injector::steal))
    }

    /// As [`take`](Self::take), and moves some of those behind it to `queue`.
    pub(crate) fn take_batch(&self, queue: &Worker<G>) -> Option<G> {
        let batch = |from: &Injector<G>| from.steal_batch_and_pop(queue);
        persist(&self.polled, batch).or_else(|| persist(&self.queue, batch))
    }

    /// Takes the one that has been late for the longest time.
    pub(crate) fn take_late(&self) -> Option<G> {
        persist(&self.late, Injector::steal)
    }
}

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
