//! Entering the scheduler: using the P, if the M still has it.
//!
//! Code that touches the P runs in one of three places: on a goroutine, whose M may have lost its P
//! since the last entry; on an M's system stack, where the M certainly has its P; or on a foreign
//! thread, which has none. [`with_p`] serves all three. It hands out the token [`Inside`], which
//! proves that the thread has the P. The worker's loop gets its tokens from [`held`].

use crate::gmp::{Inside, M, P};
use crate::sched::current;
use crate::testing::chaos;

/// The reason why there is no P.
#[derive(Clone, Copy)]
pub(crate) enum NoP {
    /// The runtime did not start this thread.
    Foreign,
    /// The M has lost its P, or currently has none.
    Lost(&'static M),
}

/// Enters the scheduler on behalf of the goroutine that `m`, the calling M, runs.
///
/// Returns `true` if the M still has its P.
#[inline]
#[must_use = "without the P, nothing of it may be touched"]
pub(crate) fn enter(m: &'static M) -> bool {
    chaos::before_entry(m);
    m.lease.enter()
}

/// Calls `f` with the P of this thread, inside a scheduler entry.
///
/// `f` must not switch, enter again, or run user code.
#[inline]
pub(crate) fn with_p<R>(f: impl FnOnce(&'static M, Inside<'_>) -> R) -> Result<R, NoP> {
    let Some(m) = current::m() else { return Err(NoP::Foreign) };
    if m.current().is_none() {
        // On the system stack, the M is already inside. SAFETY: this is the calling M, inside; the
        // token ends with `f`.
        return unsafe { held(m) }.map(|p| f(m, p)).ok_or(NoP::Lost(m));
    }
    if !enter(m) {
        return Err(NoP::Lost(m));
    }
    // SAFETY: the M is inside until the exit below, which the token does not outlive.
    let p = unsafe { held(m) }.expect("entry: a lease that holds has a P");
    let result = f(m, p);
    m.lease.exit();
    Ok(result)
}

/// Returns the P of `m`, if it has one.
///
/// # Safety
/// `m` is the calling M and is inside (it runs no goroutine, or has entered). The token ends before
/// `m` leaves the entry or releases the P. No reference into the P's owned part is in use.
#[inline(always)]
pub(crate) unsafe fn held<'a>(m: &'static M) -> Option<Inside<'a>> {
    // SAFETY: the caller's contract is the invariants of `gmp::inside`.
    m.p().map(|p| unsafe { Inside::new(p) })
}

/// Makes `p` the P of `m`, which is inside from now on.
///
/// # Safety
/// `m` is the calling M and has no P, and no thread other than the caller has `p`. The token ends
/// before the M leaves the entry or releases the P.
pub(crate) unsafe fn adopt<'a>(m: &'static M, p: &'static P) -> Inside<'a> {
    m.set_p(Some(p));
    m.lease.renew();
    // SAFETY: the caller's contract is I1 and I2 of `gmp::inside`; the token is the first one (I3).
    unsafe { Inside::new(p) }
}

/// Ends the hold of `m`, the calling M, on its P.
///
/// Returns the P, which the caller now owns and passes on.
pub(crate) fn give_up(m: &'static M, p: Inside<'_>) -> &'static P {
    m.lease.release();
    m.set_p(None);
    p.into_p()
}
