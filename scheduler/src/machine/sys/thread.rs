//! Per-thread settings and facts.

pub(crate) use imp::{CpuClock, set_exact_timers};

#[cfg(target_os = "linux")]
mod imp {
    use std::sync::atomic::{AtomicI32, Ordering};

    /// Asks for timeouts as exact as the clock allows, on this thread (the kernel rounds them up by 50 us otherwise).
    pub(crate) fn set_exact_timers() {
        // SAFETY: PR_SET_TIMERSLACK takes one integer and touches this thread only.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
    }

    /// The clock that counts one thread's CPU time, to be read from other threads.
    pub(crate) struct CpuClock(AtomicI32);

    /// No clock has this id: the low three bits of a thread's clock name its kind.
    const NONE: libc::clockid_t = libc::clockid_t::MAX;

    impl CpuClock {
        pub(crate) const fn new() -> Self {
            Self(AtomicI32::new(NONE))
        }

        pub(crate) fn set_current_thread(&self) {
            let mut clock = NONE;
            // SAFETY: the thread is this one, and the result goes to a local.
            let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) } != 0;
            self.0.store(if failed { NONE } else { clock }, Ordering::Relaxed);
        }

        /// Nanoseconds of CPU time so far; 0 if the thread has ended, or the system cannot tell.
        pub(crate) fn now(&self) -> u64 {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the result goes to a local; an unknown clock is an error.
            if unsafe { libc::clock_gettime(self.0.load(Ordering::Relaxed), &raw mut time) } != 0 {
                return 0;
            }
            time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(crate) fn set_exact_timers() {}

    /// Other systems have no such clock: blocked threads are then found like busy ones, by their time alone.
    pub(crate) struct CpuClock;

    impl CpuClock {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn set_current_thread(&self) {}

        pub(crate) fn now(&self) -> u64 {
            0
        }
    }
}
