//! The M and the goroutine of the calling thread.
//!
//! Only this module and `random`, which follows the same rule, read this crate's thread-locals.
//!
//! A goroutine may resume on another thread. The compiler assumes that a function runs on one
//! thread, so it may keep the *address* of a thread-local across the switch. For that reason no
//! address leaves [`crate::machine::sys::word`]. It returns a **value**, which is valid until the
//! caller's next switch.

use std::ptr;

use crate::gmp::{GRef, M};
use crate::machine::sys::word;

/// Returns the M that this thread is, if the runtime started it.
#[inline(never)]
pub(crate) fn m() -> Option<&'static M> {
    // SAFETY: `set_m` stored the address there, and Ms are never freed (I1 of `gmp::m`).
    unsafe { ptr::with_exposed_provenance::<M>(word::current() as usize).as_ref() }
}

/// Makes this thread the thread of `m`.
#[inline(never)]
pub(crate) fn set_m(m: Option<&'static M>) {
    word::set_current(m.map_or(0, |m| ptr::from_ref(m).expose_provenance() as u64));
}

/// Returns the goroutine that runs on this thread.
#[inline]
pub(crate) fn g() -> Option<GRef> {
    m()?.current()
}
