//! The scheduler's protocols, compiled against loom.
//!
//! This crate includes the scheduler's folder `protocol` file by file, unchanged, on top of a
//! different [`primitive`] module. So the models in `tests/` explore the code that ships, not a
//! copy.
//!
//! A model is one test in `tests/protocol/<protocol file>.rs`:
//!
//! ```
//! use greenthread_models::primitive::{AtomicU32, Ordering};
//! use loom::sync::Arc;
//!
//! greenthread_models::explore(3, || {
//!     let n = Arc::new(AtomicU32::new(0));
//!     let other = {
//!         let n = Arc::clone(&n);
//!         loom::thread::spawn(move || n.fetch_add(1, Ordering::Relaxed))
//!     };
//!     n.fetch_add(1, Ordering::Relaxed);
//!     other.join().unwrap();
//!     assert_eq!(n.load(Ordering::Relaxed), 2);
//! });
//! ```

use loom::sync::Arc;
use loom::thread;

// Some items are used only by the scheduler's other modules.
#[allow(dead_code, unused_imports, unused_macros)]
pub mod primitive;
// `not(test)`: the unit tests in the protocol files run on `std`, in the scheduler. As unit tests
// of this library they would run outside a model, and all of them would fail.
#[cfg(not(test))]
#[allow(dead_code, unused_imports)]
#[path = "../../src/protocol/mod.rs"]
pub mod protocol;
#[cfg(not(test))]
pub mod wait;

/// Runs `f` under every interleaving that preempts a running thread at most `preemptions` times.
///
/// Two preemptions expose nearly every bug known in the literature. Three are still cheap for two
/// threads of a dozen operations each. Loom's environment variables (`LOOM_LOG`,
/// `LOOM_CHECKPOINT_FILE`, ...) work as usual.
pub fn explore(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// Calls `work` with each number from 0 up to but not including `threads`, each in its own thread,
/// with the first call in the caller's thread.
///
/// Returns when all calls have returned.
pub fn in_threads<T: Send + Sync + 'static>(
    threads: usize,
    shared: &Arc<T>,
    work: impl Fn(&T, usize) + Copy + Send + 'static,
) {
    let others: Vec<_> = (1..threads)
        .map(|n| {
            let shared = Arc::clone(shared);
            thread::spawn(move || work(&shared, n))
        })
        .collect();
    work(shared, 0);
    others.into_iter().for_each(|other| other.join().unwrap());
}
