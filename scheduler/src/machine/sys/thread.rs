//! Per-thread settings and facts.

pub(crate) use imp::{Observed, all, count, ended_main, id, set_exact_timers};

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;
    use std::io::ErrorKind;
    use std::sync::atomic::{AtomicI32, Ordering};

    use crate::machine::sys::fallback::Fallback;

    /// Returns the number of the calling thread.
    pub(crate) fn id() -> i32 {
        // SAFETY: the call takes no arguments and always succeeds.
        unsafe { libc::gettid() }
    }

    /// Returns the number of threads that this process has at some moment, including a main thread
    /// that has ended, or `None` if the system does not tell.
    pub(crate) fn count() -> Option<usize> {
        // The 18th field after the name.
        let stat = fs::read("/proc/self/stat").inspect_err(|error| {
            // If no descriptor is free, the next call may find one.
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) {
                Fallback::Proc.note();
            }
        });
        String::from_utf8(after_name(&stat.ok()?)?.into()).ok()?.split(' ').nth(17)?.parse().ok()
    }

    /// Returns the numbers of the threads of this process, or `None` if the system does not tell.
    ///
    /// Some threads may be missing while others start and end.
    pub(crate) fn all() -> Option<Vec<i32>> {
        let tasks = fs::read_dir("/proc/self/task").ok()?;
        tasks.map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// Returns the main thread if it has ended before the others.
    ///
    /// In that case it continues to exist as long as they do.
    pub(crate) fn ended_main() -> Option<i32> {
        let main = std::process::id().cast_signed();
        (state(main) == Some(b'Z')).then_some(main)
    }

    /// Returns the letter with which the system denotes a thread's state.
    fn state(thread: i32) -> Option<u8> {
        let stat = fs::read(format!("/proc/self/task/{thread}/stat")).ok()?;
        after_name(&stat)?.first().copied()
    }

    /// Returns the part that follows the name in `number (name) state ...`; the name may contain
    /// any bytes.
    fn after_name(stat: &[u8]) -> Option<&[u8]> {
        stat.get(stat.iter().rposition(|&byte| byte == b')')? + 2..)
    }

    /// Requests that timeouts on this thread be as exact as the clock allows; otherwise the kernel
    /// rounds them up by 50 us.
    pub(crate) fn set_exact_timers() {
        // SAFETY: PR_SET_TIMERSLACK takes one integer and touches this thread only.
        if unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) } != 0 {
            Fallback::ExactTimers.note();
        }
    }

    /// The facts that other threads can learn about one thread.
    pub(crate) struct Observed {
        clock: AtomicI32,
        tid: AtomicI32,
    }

    /// No clock has this id: the low three bits of a thread's clock name its kind.
    const NONE: libc::clockid_t = libc::clockid_t::MAX;

    impl Observed {
        pub(crate) const fn new() -> Self {
            Self { clock: AtomicI32::new(NONE), tid: AtomicI32::new(0) }
        }

        pub(crate) fn set_current_thread(&self) {
            let mut clock = NONE;
            // SAFETY: the thread is this one, and the result goes to a local.
            let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) } != 0;
            self.clock.store(if failed { NONE } else { clock }, Ordering::Relaxed);
            self.tid.store(id(), Ordering::Relaxed);
        }

        /// Returns the thread's CPU time so far in nanoseconds, or 0 if the thread has ended or the
        /// system cannot tell.
        pub(crate) fn cpu_time(&self) -> u64 {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the result goes to a local; an unknown clock is an error.
            if unsafe { libc::clock_gettime(self.clock.load(Ordering::Relaxed), &raw mut time) } != 0 {
                return 0;
            }
            time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
        }

        /// Returns `true` if the thread runs, or would run if it had a CPU, according to the
        /// system.
        ///
        /// Costs a few microseconds.
        pub(crate) fn is_runnable(&self) -> bool {
            state(self.id()) == Some(b'R')
        }

        /// Returns the number of the thread, or 0 if none was observed.
        pub(crate) fn id(&self) -> i32 {
            self.tid.load(Ordering::Relaxed)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn threads_are_listed_until_they_end() {
            let thread = std::thread::spawn(|| {
                assert!(all().unwrap().contains(&id()) && count().unwrap() > 1 && ended_main().is_none());
                id()
            });
            let ended = thread.join().unwrap();
            // A thread can be joined a little before the system forgets it.
            while all().unwrap().contains(&ended) {
                std::thread::yield_now();
            }
        }

        #[test]
        fn a_thread_is_runnable_unless_it_sleeps() {
            let (observed, here) = (Observed::new(), Observed::new());
            assert!(!observed.is_runnable() && observed.cpu_time() == 0, "nobody is observed");
            here.set_current_thread();
            assert!(here.is_runnable() && here.cpu_time() > 0);
            std::thread::scope(|scope| {
                let sleeper = scope.spawn(|| {
                    observed.set_current_thread();
                    std::thread::park();
                });
                while observed.cpu_time() == 0 || observed.is_runnable() {
                    std::thread::yield_now();
                }
                sleeper.thread().unpark();
            });
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use crate::machine::sys::fallback::Fallback;

    pub(crate) fn id() -> i32 {
        0
    }

    pub(crate) fn all() -> Option<Vec<i32>> {
        None
    }

    pub(crate) fn count() -> Option<usize> {
        Fallback::Proc.note();
        None
    }

    pub(crate) fn ended_main() -> Option<i32> {
        None
    }

    pub(crate) fn set_exact_timers() {}

    /// Other systems tell nothing about threads, so blocked threads are detected like busy ones, by
    /// elapsed time alone.
    pub(crate) struct Observed;

    impl Observed {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn set_current_thread(&self) {}

        pub(crate) fn cpu_time(&self) -> u64 {
            0
        }

        pub(crate) fn is_runnable(&self) -> bool {
            true
        }

        pub(crate) fn id(&self) -> i32 {
            id()
        }
    }
}
