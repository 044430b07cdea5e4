//! `crossbeam_utils::thread` on goroutines, plus the parts of `std::thread` that
//! crossbeam-channel's tests use.
//!
//! `ci/crossbeam.sh` turns this file into a crate named `crossbeam_utils`, which the tests import.

/// A stand-in for both `std::thread` and `crossbeam_utils::thread`.
pub mod thread {
    use std::panic::{self, AssertUnwindSafe};
    use std::thread::Result;

    pub use std::thread::panicking;

    pub use greenthread::time::sleep;
    pub use greenthread::{JoinHandle, ScopedJoinHandle, spawn, yield_now};

    /// The argument of the closure passed to [`scope`], and of the closures that it spawns.
    pub struct Scope<'scope, 'env: 'scope>(&'scope greenthread::Scope<'scope, 'env>);

    /// Runs `f` and returns when all goroutines that it spawned have ended.
    ///
    /// # Errors
    /// If one of them panicked and was not joined.
    pub fn scope<'env, F, R>(f: F) -> Result<R>
    where
        F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
    {
        panic::catch_unwind(AssertUnwindSafe(|| greenthread::scope(|scope| f(&Scope(scope)))))
    }

    impl<'scope, 'env> Scope<'scope, 'env> {
        /// Starts a goroutine, which can start others in the same scope.
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
