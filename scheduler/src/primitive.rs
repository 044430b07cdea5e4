//! The only module through which protocols use atomics, cells and locks.
//!
//! No file in this crate's `protocol` folder may name `std::sync`. The package in
//! `scheduler/models` compiles the same files against a `primitive` module that uses loom's types.
//! In this way loom checks the code that ships, not a copy of it.

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

pub(crate) use crate::machine::sys::fence::{heavy as heavy_fence, light as light_fence};
pub(crate) use crate::machine::sys::mutex::{Mutex, MutexGuard};

/// Defines a constructor that is `const` here but not in the models, because loom's atomics
/// register themselves when they are created.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
pub(crate) use const_fn;

/// Tells the CPU that this is a spin loop.
#[inline]
pub(crate) fn spin_hint() {
    std::hint::spin_loop();
}

/// Yields the rest of the OS time slice.
pub(crate) fn yield_thread() {
    std::thread::yield_now();
}

/// `std`'s cell with the interface of loom's cell: closures get a raw pointer.
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
