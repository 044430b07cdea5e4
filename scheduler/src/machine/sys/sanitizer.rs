//! Informs the sanitizers about stacks, since the compiler's instrumentation is not enough.
//!
//! ThreadSanitizer keeps a history and a call stack for each thread, and AddressSanitizer keeps the
//! bounds of each thread's stack. A switch that they do not know about makes them crash, or report
//! races and overflows that do not exist. Both provide functions for announcing a switch, and a
//! [`Fiber`] calls them around each switch of a [`Context`](super::switch::Context):
//!
//! ```text
//!     resumer                                the stack
//!     lay
//!     enter, switch ------------------------> begun
//!                                                ...
//!     left <----------------------- switch, leave
//!     enter, switch ------------------------> come_back
//!                                                ...
//!     left, ended <---------------- switch, leave_for_good
//! ```
//!
//! No configuration is needed: the build script detects which sanitizer the program is built with
//! (`-Zsanitizer`, on nightly). Without a sanitizer, a fiber has no size and its functions are
//! empty.
//!
//! # ThreadSanitizer
//! A switch counts as happening before everything that follows it on the other side. The call stack
//! is per fiber, so the calls are made in `resume` itself: they, and all functions between them and
//! `resume`, are always inlined. A function entered on one fiber and left on another would
//! unbalance the call stacks of both. ThreadSanitizer does not know `membarrier`, so `fence` uses
//! ordinary fences with it.
//!
//! # AddressSanitizer
//! A stack that has ended leaves behind the frame of its last function, and the next goroutine
//! would hit the red zones of that frame. So `lay` unpoisons the place of the first frames.
//! AddressSanitizer must not keep locals elsewhere
//! (`ASAN_OPTIONS=detect_stack_use_after_return=0`), because the migration guard searches the
//! stack.

pub(super) use imp::Fiber;

#[cfg(greenthread_tsan)]
mod imp {
    use std::cell::Cell;
    use std::ffi::{c_uint, c_void};
    use std::ptr;

    unsafe extern "C" {
        fn __tsan_get_current_fiber() -> *mut c_void;
        fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
        fn __tsan_destroy_fiber(fiber: *mut c_void);
        fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
    }

    /// The flags of a switch that also synchronizes: everything before it happens before everything
    /// after it.
    const ORDERED: c_uint = 0;

    pub(crate) struct Fiber {
        own: Cell<*mut c_void>,
        resumer: Cell<*mut c_void>,
    }

    impl Fiber {
        /// Creates the fiber of a stack whose lowest usable address is `limit`.
        pub(crate) fn new(_limit: usize) -> Self {
            Self { own: Cell::new(ptr::null_mut()), resumer: Cell::new(ptr::null_mut()) }
        }

        /// Records that the stack, up to `base`, is about to be used.
        pub(crate) fn lay(&self, _base: usize) {
            // SAFETY: the call has no conditions.
            self.own.set(unsafe { __tsan_create_fiber(0) });
        }

        /// Records that the resumer switches to the stack next.
        #[inline(always)]
        pub(crate) fn enter(&self) {
            // SAFETY: the fiber was created by `lay`, and runs nowhere.
            unsafe {
                self.resumer.set(__tsan_get_current_fiber());
                __tsan_switch_to_fiber(self.own.get(), ORDERED);
            }
        }

        /// Records that the resumer is back.
        #[inline(always)]
        pub(crate) fn left(&self) {
            // SAFETY: this is the thread's own fiber, which it left in `enter`.
            unsafe { __tsan_switch_to_fiber(self.resumer.get(), ORDERED) };
        }

        /// Records that the stack will not be resumed.
        pub(crate) fn ended(&self) {
            // SAFETY: no thread runs on the fiber, or ever will.
            unsafe { __tsan_destroy_fiber(self.own.get()) };
        }

        #[inline(always)]
        pub(crate) fn begun(&self) {}

        #[inline(always)]
        pub(crate) fn leave(&self) {}

        #[inline(always)]
        pub(crate) fn leave_for_good(&self) {}

        #[inline(always)]
        pub(crate) fn come_back(&self) {}
    }
}

#[cfg(greenthread_asan)]
mod imp {
    use std::cell::Cell;
    use std::ffi::c_void;
    use std::ptr;

    unsafe extern "C" {
        fn __sanitizer_start_switch_fiber(save: *mut *mut c_void, bottom: *const c_void, size: usize);
        fn __sanitizer_finish_switch_fiber(saved: *mut c_void, bottom: *mut *const c_void, size: *mut usize);
        fn __asan_unpoison_memory_region(address: *const c_void, size: usize);
    }

    /// A generous bound for the size of the first frames of a stack.
    const FIRST_FRAMES: usize = 16 << 10;

    #[derive(Clone, Copy)]
    struct Bounds {
        bottom: *const c_void,
        size: usize,
    }

    pub(crate) struct Fiber {
        limit: usize,
        own: Cell<Bounds>,
        resumer: Cell<Bounds>,
        /// The data that the sanitizer saves for each side while that side does not run.
        own_saved: Cell<*mut c_void>,
        resumer_saved: Cell<*mut c_void>,
    }

    impl Fiber {
        /// Creates the fiber of a stack whose lowest usable address is `limit`.
        pub(crate) fn new(limit: usize) -> Self {
            let nothing = Bounds { bottom: ptr::null(), size: 0 };
            Self {
                limit,
                own: Cell::new(nothing),
                resumer: Cell::new(nothing),
                own_saved: Cell::new(ptr::null_mut()),
                resumer_saved: Cell::new(ptr::null_mut()),
            }
        }

        /// Records that the stack, up to `base`, is about to be used.
        pub(crate) fn lay(&self, base: usize) {
            let (bottom, size) = (ptr::without_provenance(self.limit), base - self.limit);
            self.own.set(Bounds { bottom, size });
            self.own_saved.set(ptr::null_mut());
            let first = size.min(FIRST_FRAMES);
            // SAFETY: the memory is the stack's, on which nothing is live yet.
            unsafe { __asan_unpoison_memory_region(ptr::without_provenance(base - first), first) };
        }

        /// Records that the resumer switches to the stack next.
        #[inline(always)]
        pub(crate) fn enter(&self) {
            let Bounds { bottom, size } = self.own.get();
            // SAFETY: these are the bounds of the stack that is switched to.
            unsafe { __sanitizer_start_switch_fiber(self.resumer_saved.as_ptr(), bottom, size) };
        }

        /// Records that the resumer is back.
        #[inline(always)]
        pub(crate) fn left(&self) {
            // SAFETY: this is what `enter` has saved for this side.
            unsafe {
                __sanitizer_finish_switch_fiber(self.resumer_saved.get(), ptr::null_mut(), ptr::null_mut());
            }
        }

        /// Records that the stack will not be resumed.
        pub(crate) fn ended(&self) {}

        /// Records that the stack runs for the first time.
        #[inline(always)]
        pub(crate) fn begun(&self) {
            self.come_back();
        }

        /// Records that the stack switches to the resumer next and will be resumed later.
        #[inline(always)]
        pub(crate) fn leave(&self) {
            self.depart(self.own_saved.as_ptr());
        }

        /// Records, like [`leave`](Self::leave), that the stack switches to the resumer next, but
        /// will not be resumed.
        #[inline(always)]
        pub(crate) fn leave_for_good(&self) {
            self.depart(ptr::null_mut());
        }

        #[inline(always)]
        fn depart(&self, save: *mut *mut c_void) {
            let Bounds { bottom, size } = self.resumer.get();
            // SAFETY: the bounds of the resumer's stack, as recorded in `come_back`.
            unsafe { __sanitizer_start_switch_fiber(save, bottom, size) };
        }

        /// Records that the stack runs again, perhaps for another resumer.
        #[inline(always)]
        pub(crate) fn come_back(&self) {
            let mut resumer = self.resumer.get();
            // SAFETY: this is what `leave` has saved for this side, or null.
            unsafe { __sanitizer_finish_switch_fiber(self.own_saved.get(), &mut resumer.bottom, &mut resumer.size) };
            self.resumer.set(resumer);
        }
    }
}

#[cfg(not(any(greenthread_tsan, greenthread_asan)))]
mod imp {
    pub(crate) struct Fiber;

    impl Fiber {
        pub(crate) fn new(_limit: usize) -> Self {
            Self
        }

        #[inline(always)]
        pub(crate) fn lay(&self, _base: usize) {}

        #[inline(always)]
        pub(crate) fn enter(&self) {}

        #[inline(always)]
        pub(crate) fn left(&self) {}

        #[inline(always)]
        pub(crate) fn ended(&self) {}

        #[inline(always)]
        pub(crate) fn begun(&self) {}

        #[inline(always)]
        pub(crate) fn leave(&self) {}

        #[inline(always)]
        pub(crate) fn leave_for_good(&self) {}

        #[inline(always)]
        pub(crate) fn come_back(&self) {}
    }
}
