//! Per-thread settings and facts.

/// Asks for timeouts as exact as the clock allows, on this thread (Linux rounds sleeps up by 50 us otherwise).
pub(crate) fn set_exact_timers() {
    #[cfg(target_os = "linux")]
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches this thread only.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong);
    }
}
