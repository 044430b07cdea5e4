//! `crossbeam_utils::thread` and as much of `std::thread` as crossbeam-channel's tests use, on goroutines.
//!
//! `ci/crossbeam.sh` makes this file a crate named `crossbeam_utils` and lets the tests import it.

/// Stands for both modules.
pub mod thread {
    use std::panic::{self, AssertUnwindSafe};
    use std::thread::Result;

    pub use std::thread::panicking;

    pub use greenthread::time::sleep;
    pub use greenthread::{JoinHandle, ScopedJoinHandle, spawn, yield_now};

    /// What the closure of [`scope`] and those that it spawns get.
    pub struct Scope<'scope, 'env: 'scope>(&'scope greenthread::Scope<'scope, 'env>);

    /// Runs `f`, and returns when all that it spawned have ended; an error if one of them panicked unnoticed.
    pub fn scope<'env, F, R>(f: F) -> Result<R>
    where
        F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
    {
        panic::catch_unwind(AssertUnwindSafe(|| greenthread::scope(|scope| f(&Scope(scope)))))
    }

    impl<'scope, 'env> Scope<'scope, 'env> {
        /// Starts a goroutine, which can start others.
        pub fn spawn<F, T>(&self, f: F) -> ScopedJoinHandle<'scope, T>
        where
            F: FnOnce(&Self) -> T + Send + 'scope,
            T: Send + 'scope,
        {
            let scope = self.0;
            scope.spawn(move || f(&Self(scope)))
        }
    }
}
