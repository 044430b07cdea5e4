//! The only source of atomics, cells and scheduler functions in this crate.
//!
//! The other modules get these items only from here, so that `scheduler/models` can compile the
//! same files against loom.

pub(crate) use greenthread_scheduler::deadline::Timed;
pub(crate) use greenthread_scheduler::protocol::claim::{Case, Claim};
pub(crate) use greenthread_scheduler::protocol::lock::RawLock;
pub(crate) use greenthread_scheduler::protocol::sync::wait_list::{WaitList, WaitNode};
pub(crate) use greenthread_scheduler::wait::{Blocker, WakeBatch, Waker};
pub(crate) use greenthread_scheduler::{WaitReason, prefetch_frames, prefetch_value, random};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

/// `std`'s cell with loom's interface: a closure gets a raw pointer to the value.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
