//! Blocks one thread until another wakes it.

#[cfg(target_os = "linux")]
pub(crate) use futex::Parker;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::Parker;

#[cfg(target_os = "linux")]
mod futex {
    use std::ptr;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    const EMPTY: u32 = 0;
    const NOTIFIED: u32 = 1;
    const PARKED: u32 = u32::MAX;

    /// A token for which one thread waits and that any other may leave.
    ///
    /// It may be on the waiter's stack: the last access of `unpark` to the word is the swap that
    /// releases the waiter, and a futex call on an address that is no longer in use wakes no
    /// thread.
    #[derive(Debug)]
    pub(crate) struct Parker {
        // EMPTY: no token. NOTIFIED: token left. PARKED: the owner sleeps.
        state: AtomicU32,
    }

    impl Parker {
        pub(crate) const fn new() -> Self {
            Self { state: AtomicU32::new(EMPTY) }
        }

        /// Blocks until the token arrives, and takes it.
        pub(crate) fn park(&self) {
            // ORDERING: acquire pairs with the release in `unpark`. EMPTY - 1 is PARKED, NOTIFIED -
            // 1 is EMPTY.
            if self.state.fetch_sub(1, Ordering::Acquire) == NOTIFIED {
                return;
            }
            loop {
                wait(&self.state, PARKED, None);
                if self.take() {
                    return;
                }
            }
        }

        /// Blocks until the token arrives, without taking it.
        pub(crate) fn wait_for_token(&self) {
            // ORDERING: relaxed; the thread that takes the token acquires.
            let swapped = self.state.compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed);
            while swapped.is_ok() && !self.has_token() {
                wait(&self.state, PARKED, None);
            }
        }

        /// Blocks until the token arrives, takes it, and returns `true`; or returns `false` after
        /// `timeout`.
        pub(crate) fn park_timeout(&self, timeout: Duration) -> bool {
            // ORDERING: acquire pairs with the release in `unpark`.
            if self.state.fetch_sub(1, Ordering::Acquire) == NOTIFIED {
                return true;
            }
            wait(&self.state, PARKED, Some(timeout));
            // ORDERING: acquire pairs with the release in `unpark`.
            self.state.swap(EMPTY, Ordering::Acquire) == NOTIFIED
        }

        /// Leaves the token and wakes the owner if it sleeps.
        ///
        /// Costs a system call only in that case.
        pub(crate) fn unpark(&self) {
            // ORDERING: release publishes to the owner whatever was done before.
            if self.state.swap(NOTIFIED, Ordering::Release) == PARKED {
                wake(&self.state);
            }
        }

        /// Takes the token if there is one.
        ///
        /// Returns `true` on success.
        pub(crate) fn take(&self) -> bool {
            // ORDERING: acquire pairs with the release in `unpark`.
            self.state.compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Relaxed).is_ok()
        }

        /// Returns `true` if a token was left and not taken; for threads other than the owner.
        pub(crate) fn has_token(&self) -> bool {
            self.state.load(Ordering::Relaxed) == NOTIFIED
        }
    }

    fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
        let timeout = timeout.map(|t| libc::timespec {
            tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the word and the time outlive the call. Every error (EINTR, EAGAIN, ETIMEDOUT)
        // means "check again", which all callers do.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                expected,
                timeout,
            )
        };
    }

    fn wake(word: &AtomicU32) {
        // SAFETY: a futex wake reads no memory of ours; the address is only a key.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::mutex::{Condvar, Mutex};

    /// A token for which one thread waits and that any other may leave.
    #[derive(Debug)]
    pub(crate) struct Parker {
        // Shared, because `unpark` may still hold the lock when the waiter has already left its
        // frame.
        token: Arc<(Mutex<bool>, Condvar)>,
    }

    impl Parker {
        pub(crate) fn new() -> Self {
            Self { token: Arc::default() }
        }

        pub(crate) fn park(&self) {
            let (token, condvar) = &*self.token;
            let guard = token.lock();
            let mut guard = condvar.wait_while(guard, |token| !*token);
            *guard = false;
        }

        pub(crate) fn wait_for_token(&self) {
            let (token, condvar) = &*self.token;
            let guard = token.lock();
            drop(condvar.wait_while(guard, |token| !*token));
        }

        pub(crate) fn park_timeout(&self, timeout: Duration) -> bool {
            let (token, condvar) = &*self.token;
            let guard = token.lock();
            let mut guard = condvar.wait_timeout_while(guard, timeout, |token| !*token);
            std::mem::replace(&mut *guard, false)
        }

        /// Takes the token if there is one.
        ///
        /// Returns `true` on success.
        pub(crate) fn take(&self) -> bool {
            std::mem::take(&mut *self.token.0.lock())
        }

        pub(crate) fn has_token(&self) -> bool {
            *self.token.0.lock()
        }

        pub(crate) fn unpark(&self) {
            let shared = Arc::clone(&self.token);
            let (token, condvar) = &*shared;
            *token.lock() = true;
            condvar.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parker;
    use std::time::Duration;

    #[test]
    fn a_token_is_kept_and_taken_once() {
        let parker = Parker::new();
        parker.unpark();
        parker.unpark();
        parker.park();
        assert!(!parker.park_timeout(Duration::from_millis(1)));
        parker.unpark();
        assert!(parker.park_timeout(Duration::from_secs(60)));
        assert!(!parker.take());
        assert!(!parker.has_token());
        parker.unpark();
        parker.wait_for_token();
        assert!(parker.has_token());
        assert!(parker.take() && !parker.take());
    }

    #[test]
    fn wakes_across_threads() {
        let (ping, pong) = (Parker::new(), Parker::new());
        std::thread::scope(|s| {
            s.spawn(|| {
                for _ in 0..1000 {
                    ping.wait_for_token();
                    assert!(ping.take());
                    pong.unpark();
                }
            });
            for _ in 0..1000 {
                ping.unpark();
                pong.park();
            }
        });
    }
}
