//! An asymmetric pair of fences: free on the frequent side, expensive on the rare one.
//!
//! `light(); load` on one thread and `heavy(); load` on another have the same ordering effect as
//! two sequentially consistent fences: if two threads each store, fence, and load what the other
//! stores, at least one sees the other's store. `heavy` makes every running thread of the process
//! execute a full fence (Linux's `membarrier`, 8.5 us when other CPUs run us), so `light` only has
//! to stop the compiler. Where the kernel has no such call, both are ordinary fences.

#[cfg(target_os = "linux")]
mod imp {
    use std::sync::atomic::{AtomicU8, Ordering, compiler_fence, fence};

    use crate::machine::sys::fallback::Fallback;

    const UNKNOWN: u8 = 0;
    const EXPEDITED: u8 = 1;
    const ABSENT: u8 = 2;

    /// The kind of fences that this process uses.
    ///
    /// `init` sets it before the first goroutine runs, and it is constant from then on: a light
    /// side that skips its fence is correct only if every heavy side pays for the full fence.
    static MODE: AtomicU8 = AtomicU8::new(UNKNOWN);

    pub(crate) fn init() {
        if MODE.load(Ordering::Relaxed) != UNKNOWN {
            return;
        }
        // ThreadSanitizer and miri do not model `membarrier`.
        let registered =
            cfg!(not(any(greenthread_tsan, miri))) && membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
        if !registered {
            Fallback::Membarrier.note();
        }
        MODE.store(if registered { EXPEDITED } else { ABSENT }, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn light() {
        if MODE.load(Ordering::Relaxed) == EXPEDITED {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
        if MODE.load(Ordering::Relaxed) == EXPEDITED {
            let done = membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
            assert!(done, "fence: membarrier failed after it was registered");
        }
    }

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call takes no pointer; an unknown command is an error.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::sync::atomic::{Ordering, fence};

    use crate::machine::sys::fallback::Fallback;

    pub(crate) fn init() {
        Fallback::Membarrier.note();
    }

    #[inline]
    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
    }
}

pub(crate) use imp::{heavy, init, light};
