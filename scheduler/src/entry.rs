//! Entering the scheduler: using the P, if it is still there.
//!
//! Code that touches the P runs in one of three places: on a goroutine, whose M may have lost its P since the last
//! entry; on an M's scheduler stack, where the P is certain; or on a foreign thread, which has none. [`with_p`] is the one
//! door for the three.

use crate::current;
use crate::handoff;
use crate::m::M;
use crate::p::P;
use crate::park;

/// Why there is no P.
#[derive(Clone, Copy)]
pub(crate) enum NoP {
    /// The runtime did not start this thread.
    Foreign,
    /// The M has lost its P, or has none at the moment.
    Lost(&'static M),
}

/// Calls `f` with the P of this thread, inside of a scheduler entry. `f` must neither switch nor run user code.
#[inline]
pub(crate) fn with_p<R>(f: impl FnOnce(&'static M, &'static P) -> R) -> Result<R, NoP> {
    let Some(m) = current::m() else { return Err(NoP::Foreign) };
    if m.current().is_none() {
        // On the scheduler's stack: inside already.
        return m.p().map(|p| f(m, p)).ok_or(NoP::Lost(m));
    }
    if !m.lease.enter() {
        return Err(NoP::Lost(m));
    }
    let p = m.p().expect("entry: a lease that holds has a P");
    let result = f(m, p);
    m.lease.exit();
    Ok(result)
}

impl NoP {
    /// To be called by a goroutine at the end of an operation that found its P lost: takes an idle P, or queues for one.
    #[cold]
    pub(crate) fn settle(self) {
        let Self::Lost(m) = self else { return };
        // On the scheduler's stack the worker loop settles it. A goroutine that unwinds may not move to another thread:
        // it goes on without a P for the rest of its panic.
        if m.current().is_none() || std::thread::panicking() {
            return;
        }
        match handoff::acquire_p(None) {
            Some(p) => {
                m.set_p(Some(p));
                m.lease.renew();
                m.lease.exit();
            }
            None => park::yield_now_globally(),
        }
    }
}
