//! Sleeping until another thread of the process ends, no matter which code started that thread.

pub(crate) use imp::ThreadEnd;

#[cfg(target_os = "linux")]
mod imp {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::ptr;
    use std::time::Duration;

    use crate::machine::sys::fallback::Fallback;
    use crate::machine::sys::pidfd::open_thread;

    /// A place for a thread to sleep, with a bell by which other threads can wake it.
    pub(crate) struct ThreadEnd {
        bell: OwnedFd,
    }

    impl ThreadEnd {
        /// Opens a descriptor; returns `None` if no descriptor is free.
        pub(crate) fn new() -> Option<Self> {
            // SAFETY: the call takes two numbers.
            let bell = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            // SAFETY: the system has just opened it.
            (bell >= 0).then(|| Self { bell: unsafe { OwnedFd::from_raw_fd(bell) } })
        }

        /// Blocks until the thread ends or the bell rings, and returns `Some(true)`, or until
        /// `timeout` has passed, and returns `Some(false)`.
        ///
        /// It may also return `Some(true)` spuriously. Returns `None` immediately if the thread
        /// cannot be watched. Uses one descriptor during the call.
        pub(crate) fn wait(&self, thread: i32, timeout: Option<Duration>) -> Option<bool> {
            let end = match open_thread(thread) {
                Ok(end) => end,
                // The thread has already ended.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Some(true),
                Err(error) => {
                    // If no descriptor is free, the next call may find one.
                    if !matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
                        Fallback::ThreadEnd.note();
                    }
                    return None;
                }
            };
            let mut fds =
                [&end, &self.bell].map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
            let timeout = timeout.map(|t| libc::timespec {
                tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: t.subsec_nanos().into(),
            });
            let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
            // SAFETY: two descriptors of ours, and a time that outlives the call. An interrupted
            // call is a spurious return.
            let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), 2, timeout, ptr::null()) };
            let mut rings = 0_u64;
            // SAFETY: an eventfd returns eight bytes, which go to a local. There may be none to
            // read.
            unsafe { libc::read(self.bell.as_raw_fd(), (&raw mut rings).cast(), size_of::<u64>()) };
            Some(ready != 0)
        }

        /// Ends the current sleep or, if there is none, the next one.
        pub(crate) fn ring(&self) {
            let one = 1_u64;
            // SAFETY: an eventfd takes eight bytes, which come from a local. Its counter cannot be
            // full.
            unsafe { libc::write(self.bell.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::machine::sys::thread::id;
        use std::sync::mpsc;
        use std::thread;

        const LONG: Duration = Duration::from_secs(60);

        #[test]
        fn a_sleep_ends_by_a_ring_and_by_the_time() {
            let place = ThreadEnd::new().unwrap();
            let Some(woken) = place.wait(id(), Some(Duration::from_millis(1))) else {
                println!("this kernel cannot watch threads");
                return;
            };
            assert!(!woken);
            place.ring();
            assert_eq!(place.wait(id(), Some(LONG)), Some(true));
            assert_eq!(place.wait(id(), Some(Duration::from_millis(1))), Some(false), "rung once");
        }

        #[test]
        fn a_sleep_ends_with_the_thread() {
            let (place, (tell, hear)) = (ThreadEnd::new().unwrap(), mpsc::channel());
            let thread = thread::spawn(move || {
                tell.send(id()).unwrap();
                thread::sleep(Duration::from_millis(20));
            });
            let number = hear.recv().unwrap();
            // `None` means an old kernel.
            assert_ne!(place.wait(number, Some(LONG)), Some(false));
            thread.join().unwrap();
            assert_ne!(place.wait(number, Some(LONG)), Some(false));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::time::Duration;

    /// Never created, since threads cannot be listed on this system either.
    pub(crate) struct ThreadEnd;

    impl ThreadEnd {
        pub(crate) fn new() -> Option<Self> {
            None
        }

        pub(crate) fn wait(&self, _thread: i32, _timeout: Option<Duration>) -> Option<bool> {
            None
        }

        pub(crate) fn ring(&self) {}
    }
}
