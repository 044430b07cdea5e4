//! The door of `scheduler/src/primitive.rs`, opening on loom: the same names with loom's types behind them.

pub use loom::cell::UnsafeCell;
pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub use loom::sync::{Mutex, MutexGuard};

/// A constructor that is `const` in the scheduler, and is not here: loom's atomics register themselves when made.
macro_rules! const_fn {
    ($($function:tt)*) => { $($function)* };
}
pub(crate) use const_fn;

/// Lets the model run another thread: a spin loop gets on only when somebody else does.
pub fn spin_hint() {
    loom::hint::spin_loop();
}

/// Lets the model run another thread.
pub fn yield_thread() {
    loom::thread::yield_now();
}

/// The free half of the asymmetric fence. Loom knows no `membarrier`, so both halves are full fences here: the pair
/// promises neither more nor less.
pub fn light_fence() {
    fence(Ordering::SeqCst);
}

/// The dear half of the asymmetric fence.
pub fn heavy_fence() {
    fence(Ordering::SeqCst);
}
