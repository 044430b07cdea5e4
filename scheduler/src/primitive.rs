//! The one door to atomics, cells and locks.
//!
//! Nothing else in this crate's `protocol` folder may name `std::sync`: the package in `scheduler/models` compiles the
//! very same protocol files against a door that opens on loom, and so checks the code that ships, not a copy of it.

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

pub(crate) use crate::machine::sys::fence::{heavy as heavy_fence, light as light_fence};
pub(crate) use crate::machine::sys::mutex::{Mutex, MutexGuard};

/// A constructor that is `const` here, and is not in the models: loom's atomics register themselves when they are made.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
pub(crate) use const_fn;

/// Tells the CPU that this is a spin loop.
#[inline]
pub(crate) fn spin_hint() {
    std::hint::spin_loop();
}

/// Gives the rest of the OS time slice away.
pub(crate) fn yield_thread() {
    std::thread::yield_now();
}

/// `std`'s cell with loom's door-keepers: all access goes through closures that get a raw pointer.
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
