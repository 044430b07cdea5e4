//! Models of running once: one runner, its waiters, and runners that fail.

use greenthread_models::primitive::{AtomicU32, Ordering, UnsafeCell};
use greenthread_models::protocol::sync::raw_once::{Begun, RawOnce};
use greenthread_models::wait::{LoomWait, Patient};
use greenthread_models::{explore, in_threads};
use loom::sync::Arc;
use loom::thread;

struct Shared {
    once: RawOnce<LoomWait<Patient>>,
    // Written by the runners; loom fails if one write does not happen before the next, or before a
    // read.
    n: UnsafeCell<u32>,
    runs: AtomicU32,
}

// SAFETY: the runner writes `n`, and others read it when the run is done; the models check that
// this suffices.
unsafe impl Sync for Shared {}
// SAFETY: the runner writes `n`, and others read it when the run is done.
unsafe impl Send for Shared {}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { once: RawOnce::new(), n: UnsafeCell::new(0), runs: AtomicU32::new(0) })
    }

    /// Calls `begin`.
    ///
    /// As the runner, it fails if the number of earlier runs is below `failures`.
    ///
    /// Returns the last result of `begin`.
    fn run(&self, force: bool, failures: u32) -> Begun {
        let begun = self.once.begin(force);
        if let Begun::Runner { poisoned } = begun {
            let run = self.runs.fetch_add(1, Ordering::Relaxed);
            assert_eq!(poisoned, run > 0, "it runs again after a failure only");
            // SAFETY: the caller is the runner.
            self.n.with_mut(|n| unsafe { *n += 1 });
            // SAFETY: the caller is the runner, and calls this once.
            unsafe { self.once.finish(run >= failures) };
        }
        begun
    }

    fn seen(&self) -> u32 {
        assert!(self.once.is_done());
        // SAFETY: the run is done, so no thread writes.
        self.n.with(|n| unsafe { *n })
    }
}

/// Lets each thread run the function with `failures`, trying again after a failure.
///
/// Checks that all threads return and see the last run.
fn forced(threads: usize, failures: u32, preemptions: usize) {
    explore(preemptions, move || {
        let shared = Shared::new();
        in_threads(threads, &shared, move |shared, _| {
            while !shared.once.is_done() {
                assert_ne!(shared.run(true, failures), Begun::Poisoned, "forced");
            }
            assert_eq!(shared.seen(), failures + 1);
        });
    });
}

#[test]
fn two_threads() {
    forced(2, 0, 3);
}

#[test]
fn three_threads() {
    forced(3, 0, 2);
}

#[test]
fn two_threads_and_a_failure() {
    forced(2, 1, 3);
}

#[test]
fn three_threads_and_a_failure() {
    forced(3, 1, 1);
}

#[test]
fn a_failure_reaches_all_callers_that_do_not_force() {
    explore(3, || {
        let shared = Shared::new();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(false, u32::MAX))
        };
        let mine = shared.run(false, u32::MAX);
        let runner = Begun::Runner { poisoned: false };
        let both = [mine, other.join().unwrap()];
        assert!(both == [runner, Begun::Poisoned] || both == [Begun::Poisoned, runner], "{both:?}");
        assert!(!shared.once.is_done());
    });
}

#[test]
fn waiting_begins_nothing_and_misses_nothing() {
    explore(2, || {
        let shared = Shared::new();
        in_threads(3, &shared, |shared, n| {
            if n > 0 {
                assert!(shared.once.wait(true));
                assert_eq!(shared.seen(), 2);
            } else {
                // The first run fails.
                assert_eq!(shared.run(false, 1), Begun::Runner { poisoned: false });
                assert_eq!(shared.run(true, 1), Begun::Runner { poisoned: true });
            }
        });
    });
}

#[test]
fn waiting_ends_with_a_failure() {
    explore(3, || {
        let shared = Shared::new();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.once.wait(false))
        };
        assert_eq!(shared.run(false, 1), Begun::Runner { poisoned: false });
        assert!(!waiter.join().unwrap());
    });
}
