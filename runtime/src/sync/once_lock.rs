//! `OnceLock<T>`: a value that is written once.
//!
//! The value is kept in an `Option`, although `once` knows whether it is present, so that the
//! compiler drops it. With a `Drop` impl of our own, no `OnceLock` could be declared before the
//! data that its value borrows. (`std` has an unstable attribute for that.)
//!
//! # Invariants
//! * I1: `value` is present if and only if `once` is completed. Until then only the function that
//!   `once` runs touches it.
//! * I2: a value that is present changes only through `&mut self`.

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;

/// A cell for a value that is written once (Go's `sync.OnceValue`), for goroutines and threads.
///
/// The interface matches [`std::sync::OnceLock`].
///
/// ```
/// use greenthread::sync::OnceLock;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
///
/// assert_eq!(CONFIG.get(), None);
/// assert_eq!(CONFIG.get_or_init(|| "first".to_owned()), "first");
/// assert_eq!(CONFIG.get_or_init(|| "second".to_owned()), "first");
/// assert_eq!(CONFIG.set("third".to_owned()), Err("third".to_owned()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: moving the cell moves the value, which is `Send`.
unsafe impl<T: Send> Send for OnceLock<T> {}
// SAFETY: by I2 a present value is only shared, hence `Sync`; it may be written on one thread and
// dropped on another, hence `Send`.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
// A function that panics leaves no value behind.
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Creates an empty cell.
    ///
    /// ```
    /// static NAME: greenthread::sync::OnceLock<String> = greenthread::sync::OnceLock::new();
    ///
    /// assert_eq!(NAME.get(), None);
    /// ```
    #[inline]
    pub const fn new() -> Self {
        Self { once: Once::new(), value: UnsafeCell::new(None) }
    }

    /// Returns the value if it is present.
    ///
    /// Never blocks, not even while another caller computes it.
    ///
    /// ```
    /// let place = greenthread::sync::OnceLock::new();
    /// assert_eq!(place.get(), None);
    /// place.set(5).unwrap();
    /// assert_eq!(place.get(), Some(&5));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: `once` is completed, so by I1 the value is present.
        self.once.is_completed().then(|| unsafe { self.value_unchecked() })
    }

    /// Returns a mutable reference to the value if it is present.
    ///
    /// Never blocks.
    ///
    /// ```
    /// let mut place = greenthread::sync::OnceLock::from(5);
    /// *place.get_mut().unwrap() += 1;
    /// assert_eq!(place.get(), Some(&6));
    /// ```
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Blocks until the value is present, and returns it.
    ///
    /// Computes nothing itself.
    ///
    /// ```
    /// use greenthread::{go, sync::OnceLock};
    ///
    /// static ANSWER: OnceLock<u32> = OnceLock::new();
    ///
    /// go!(|| ANSWER.set(42).unwrap());
    /// assert_eq!(*ANSWER.wait(), 42);
    /// ```
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        // SAFETY: `wait_force` returns when `once` is completed, so by I1 the value is present.
        unsafe { self.value_unchecked() }
    }

    /// Writes the value, blocking while another caller computes it.
    ///
    /// # Errors
    /// Returns `value` if the cell already has a value.
    ///
    /// ```
    /// let place = greenthread::sync::OnceLock::new();
    /// assert_eq!(place.set("first"), Ok(()));
    /// assert_eq!(place.set("second"), Err("second"));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("the function runs once"));
        value.map_or(Ok(()), Err)
    }

    /// Returns the value, computing it with `f` if it is absent.
    ///
    /// Blocks while another caller computes it. If `f` panics, the panic propagates to the caller,
    /// and the value stays absent. The next caller computes it, even if that caller has been
    /// waiting. A call for the same cell from within `f` blocks forever.
    ///
    /// ```
    /// let place = greenthread::sync::OnceLock::new();
    /// assert_eq!(place.get_or_init(|| "computed"), &"computed");
    /// assert_eq!(place.get_or_init(|| unreachable!("it is there")), &"computed");
    /// ```
    #[inline]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        self.once.call_once_force(|_| {
            let value = f();
            // SAFETY: `once` runs only this function, and the value is still absent (I1).
            unsafe { *self.value.get() = Some(value) };
        });
        // SAFETY: `call_once_force` returns when `once` is completed, so by I1 the value is
        // present.
        unsafe { self.value_unchecked() }
    }

    /// Returns the value if it was present.
    ///
    /// Does not block.
    ///
    /// ```
    /// assert_eq!(greenthread::sync::OnceLock::from(5).into_inner(), Some(5));
    /// ```
    #[inline]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Removes and returns the value if it was present, and leaves an empty cell.
    ///
    /// Does not block.
    ///
    /// ```
    /// let mut place = greenthread::sync::OnceLock::from(5);
    /// assert_eq!(place.take(), Some(5));
    /// assert_eq!(place.set(6), Ok(()), "it is empty again");
    /// ```
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        self.once = Once::new();
        self.value.get_mut().take()
    }

    /// Returns the value without checking that it is present.
    ///
    /// # Safety
    /// `once` is completed.
    #[inline]
    unsafe fn value_unchecked(&self) -> &T {
        // SAFETY: the caller promises that `once` is completed, so by I1 the value is present, and
        // by I2 it is not changed.
        unsafe { (*self.value.get()).as_ref().unwrap_unchecked() }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let place = Self::new();
        place.get_or_init(|| value);
        place
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => tuple.field(value),
            None => tuple.field(&format_args!("<uninit>")),
        };
        tuple.finish()
    }
}
