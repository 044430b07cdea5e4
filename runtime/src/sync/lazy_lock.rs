//! `LazyLock<T>`: a value that is computed on its first use.
//!
//! # Invariants
//! * I1: `init` is touched only by the function that `value` runs, or through `&mut self`.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once_lock::OnceLock;

/// A value that the first use computes (Go's `sync.OnceValue`), for goroutines and threads.
///
/// The interface matches [`std::sync::LazyLock`]. A use during the computation blocks until the
/// value is present.
///
/// # Panics
/// If the function panics, the panic propagates to this use. All later uses also panic, since the
/// function has been consumed.
///
/// ```
/// use greenthread::sync::LazyLock;
///
/// static WORDS: LazyLock<Vec<&str>> =
///     LazyLock::new(|| "share by communicating".split(' ').collect());
///
/// assert_eq!(WORDS.len(), 3);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    init: Cell<Option<F>>,
}

// SAFETY: by I1 `init` is taken once, by one thread. That thread need not be the thread that made
// `init`, hence `Send`. `value` takes care of the rest.
unsafe impl<T, F: Send> Sync for LazyLock<T, F> where OnceLock<T>: Sync {}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
// A function that panics has been consumed, and leaves no value behind.
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// Creates a value that `f` will compute.
    ///
    /// Does not call `f`.
    ///
    /// ```
    /// use greenthread::sync::LazyLock;
    /// use std::collections::HashMap;
    ///
    /// static PORTS: LazyLock<HashMap<&str, u16>> =
    ///     LazyLock::new(|| HashMap::from([("http", 80), ("ssh", 22)]));
    ///
    /// assert_eq!(PORTS["ssh"], 22);
    /// ```
    #[inline]
    pub const fn new(f: F) -> Self {
        Self { value: OnceLock::new(), init: Cell::new(Some(f)) }
    }

    /// Returns the value, computing it if it is absent.
    ///
    /// Blocks while another caller computes it. `*lazy` does the same. Using the value inside its
    /// own function blocks forever.
    ///
    /// # Panics
    /// If the function panics, or has panicked before.
    ///
    /// ```
    /// use greenthread::sync::LazyLock;
    ///
    /// let lazy = LazyLock::new(|| 42);
    /// assert_eq!(LazyLock::force(&lazy), &42);
    /// assert_eq!(*lazy, 42);
    /// ```
    #[inline]
    pub fn force(this: &Self) -> &T {
        // `init` is touched inside the function that `value` runs (I1).
        this.value.get_or_init(|| match this.init.take() {
            Some(f) => f(),
            None => panic!("sync: LazyLock is poisoned: its function panicked"),
        })
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("LazyLock");
        match self.value.get() {
            Some(value) => tuple.field(value),
            None => tuple.field(&format_args!("<uninit>")),
        };
        tuple.finish()
    }
}
