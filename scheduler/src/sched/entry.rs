//! Entering the scheduler: using the P, if it is still there.
//!
//! Code that touches the P runs in one of three places: on a goroutine, whose M may have lost its P since the last
//! entry; on an M's scheduler stack, where the P is certain; or on a foreign thread, which has none. [`with_p`] is the one
//! door for the three.

use crate::gmp::{M, P};
use crate::sched::current;
use crate::testing::chaos;

/// Why there is no P.
#[derive(Clone, Copy)]
pub(crate) enum NoP {
    /// The runtime did not start this thread.
    Foreign,
    /// The M has lost its P, or has none at the moment.
    Lost(&'static M),
}

/// The goroutine that `m`, the calling M, runs goes inside. Says whether the P is still there.
#[inline]
#[must_use = "without the P, nothing of it may be touched"]
pub(crate) fn enter(m: &'static M) -> bool {
    chaos::before_entry(m);
    m.lease.enter()
}

/// Calls `f` with the P of this thread, inside of a scheduler entry. `f` must neither switch nor run user code.
#[inline]
pub(crate) fn with_p<R>(f: impl FnOnce(&'static M, &'static P) -> R) -> Result<R, NoP> {
    let Some(m) = current::m() else { return Err(NoP::Foreign) };
    if m.current().is_none() {
        // On the scheduler's stack: inside already.
        return m.p().map(|p| f(m, p)).ok_or(NoP::Lost(m));
    }
    if !enter(m) {
        return Err(NoP::Lost(m));
    }
    let p = m.p().expect("entry: a lease that holds has a P");
    let result = f(m, p);
    m.lease.exit();
    Ok(result)
}
