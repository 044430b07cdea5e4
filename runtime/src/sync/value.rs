//! `Value<T>`: one value that is replaced whole, on `arc-swap`.
//!
//! `arc-swap` keeps notes in thread-locals. No call into it is inlined into its caller, and none parks, so that no address of
//! a thread-local outlives a switch.

use std::fmt;
use std::ptr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// A value that many read and some replace, without a lock (Go's `atomic.Value`): configuration, a routing table.
///
/// Who has loaded a value keeps it as long as it likes; the last one to let go drops it. Nothing here blocks. What was done
/// before a store is visible to who loads what was stored.
///
/// ```
/// use greenthread::sync::Value;
///
/// static LIMITS: Value<Vec<u32>> = Value::new();
///
/// assert!(LIMITS.load().is_none());
/// LIMITS.store(vec![1, 2]);
/// let before = LIMITS.load().unwrap();
/// LIMITS.store(vec![3]);
/// assert_eq!((&*before, &*LIMITS.load().unwrap()), (&vec![1, 2], &vec![3]));
/// ```
pub struct Value<T> {
    inner: ArcSwapOption<T>,
}

impl<T> Value<T> {
    /// A place without a value.
    ///
    /// ```
    /// static CONFIG: greenthread::sync::Value<String> = greenthread::sync::Value::new();
    ///
    /// assert!(CONFIG.load().is_none());
    /// ```
    pub const fn new() -> Self {
        Self { inner: ArcSwapOption::const_empty() }
    }

    /// The value that was stored last; none if there was none yet (Go's `Load`). Never blocks.
    ///
    /// ```
    /// let limit = greenthread::sync::Value::from(10);
    /// assert_eq!(limit.load().as_deref(), Some(&10));
    /// ```
    #[inline(never)]
    pub fn load(&self) -> Option<Arc<T>> {
        self.inner.load_full()
    }

    /// Replaces the value (Go's `Store`). The one before is dropped, if nobody else has it. Never blocks.
    ///
    /// ```
    /// let limit = greenthread::sync::Value::from(10);
    /// limit.store(20);
    /// assert_eq!(limit.load().as_deref(), Some(&20));
    /// ```
    pub fn store(&self, value: impl Into<Arc<T>>) {
        drop(self.swap(value));
    }

    /// Replaces the value, and returns the one before (Go's `Swap`). Never blocks.
    ///
    /// ```
    /// let value = greenthread::sync::Value::from(1);
    /// assert_eq!(value.swap(2).as_deref(), Some(&1));
    /// ```
    pub fn swap(&self, value: impl Into<Arc<T>>) -> Option<Arc<T>> {
        self.exchange(value.into())
    }

    #[inline(never)]
    fn exchange(&self, value: Arc<T>) -> Option<Arc<T>> {
        self.inner.swap(Some(value))
    }

    /// Replaces the value if it is still `current`: the same allocation, not an equal value (Go's `CompareAndSwap`). None
    /// stands for "no value yet". Never blocks.
    ///
    /// # Errors
    /// If the value is another one. The new one comes back.
    ///
    /// ```
    /// use greenthread::sync::Value;
    ///
    /// let counter = Value::from(0);
    /// loop {
    ///     let now = counter.load();
    ///     let next = now.as_deref().map_or(1, |n| n + 1);
    ///     if counter.compare_and_swap(now.as_ref(), next).is_ok() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(counter.load().as_deref(), Some(&1));
    /// ```
    pub fn compare_and_swap(&self, current: Option<&Arc<T>>, new: impl Into<Arc<T>>) -> Result<(), Arc<T>> {
        let new = new.into();
        if self.exchange_if(current.map_or(ptr::null(), Arc::as_ptr), &new) { Ok(()) } else { Err(new) }
    }

    #[inline(never)]
    fn exchange_if(&self, current: *const T, new: &Arc<T>) -> bool {
        let found = self.inner.compare_and_swap(current, Some(Arc::clone(new)));
        found.as_ref().map_or(ptr::null(), Arc::as_ptr) == current
    }
}

impl<T> Default for Value<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self { inner: ArcSwapOption::from_pointee(value) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.load()).finish()
    }
}
