//! The names of `scheduler/src/primitive.rs`, with loom's types behind them.

pub use loom::cell::UnsafeCell;
pub use loom::sync::MutexGuard;
pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Defines a constructor that is `const` in the scheduler.
///
/// It is not `const` here, because loom's atomics register themselves when they are created.
macro_rules! const_fn {
    ($($function:tt)*) => { $($function)* };
}
pub(crate) use const_fn;

/// Lets the model run another thread: a spin loop makes progress only when another thread does.
pub fn spin_hint() {
    loom::hint::spin_loop();
}

/// Lets the model run another thread.
pub fn yield_thread() {
    loom::thread::yield_now();
}

/// Executes the free half of the asymmetric fence.
///
/// Loom does not know `membarrier`, so both halves are full fences here: the pair guarantees
/// exactly the same ordering.
pub fn light_fence() {
    fence(Ordering::SeqCst);
}

/// Executes the expensive half of the asymmetric fence.
pub fn heavy_fence() {
    fence(Ordering::SeqCst);
}

/// The scheduler's mutex without poisoning: a panic ends the model anyway.
#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Locks the mutex, blocking the modeled thread until it can.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the model")
    }
}
