//! Who am I: with `random`, which follows the same rule, the only reader of this crate's thread-locals.
//!
//! A goroutine may resume on another thread, and the compiler may keep the *address* of a thread-local across the switch: it
//! believes that a function runs on one thread. So the address never leaves this file: each function here is a call
//! that is not inlined and returns a **value**. (Not inlining alone is not enough: of two calls that return an address
//! LLVM keeps one. A value that was read from memory must be read again after any call that may write memory, and
//! every switch is such a call.)
//!
//! What comes back is good until the caller's next switch.

use std::cell::Cell;
use std::ptr;

use crate::gmp::{GRef, M};

thread_local! {
    static CURRENT: Cell<*const M> = const { Cell::new(ptr::null()) };
}

/// The M that this thread is, if the runtime started it.
#[inline(never)]
pub(crate) fn m() -> Option<&'static M> {
    // SAFETY: Ms are never freed.
    unsafe { CURRENT.get().as_ref() }
}

/// Makes this thread the thread of `m`.
#[inline(never)]
pub(crate) fn set_m(m: Option<&'static M>) {
    CURRENT.set(m.map_or(ptr::null(), ptr::from_ref));
}

/// The goroutine that runs on this thread.
#[inline]
pub(crate) fn g() -> Option<GRef> {
    m()?.current()
}
