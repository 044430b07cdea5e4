//! Calls that are made once for all concurrent callers: golang.org/x/sync/singleflight.
//!
//! For caches that load missing entries: a thousand requests for one missing entry cause one load.
//!
//! ```
//! use greenthread::sync::{LazyLock, singleflight::Group};
//!
//! static LOADS: LazyLock<Group<u32, String>> = LazyLock::new(Group::new);
//!
//! let user = LOADS.work(7, || "asked the database for user 7".to_owned()).value;
//! assert!(user.ends_with("user 7"));
//! ```
//!
//! # How it works
//! A map holds a call for each key that is being worked on. A caller that finds no call inserts one
//! and does the work; a caller that finds one waits for its result. The worker removes the call
//! from the map **before** it releases the waiters. A caller that arrives after the removal starts
//! a new call, so it never gets a result that another caller already had before it asked.
//!
//! After that, all callers, including the worker, take the result from the call: the last one moves
//! it out, and the others clone it. So nothing is cloned for a single caller. If `Clone` panics,
//! the panic ends only the caller for which it was called. By that time, the key is free and the
//! waiters are released.
//!
//! A lock protects the map, and this lock is never held during the work or a wait. The key's `Hash`
//! and `Eq` run under the lock and may park. So does the key's `Clone`, which is called before
//! anything is inserted. Keys and results are dropped after the lock is released. If a `Hash` or
//! `Eq` panics while a call is being removed, the waiters are still released, and the next caller
//! for that key replaces the call that was left behind.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};

use greenthread_channels::{Receiver, bounded};

use super::{Mutex, WaitGroup};

/// A set of calls, each of which is made once for all concurrent callers.
///
/// This is for work that many callers want at once and that one of them can do, such as loading a
/// cache entry or looking up a name. The other callers wait, as goroutines do, and share the
/// result. All callers but one get a clone of the value. If the work can fail, use a `Result` whose
/// error can be cloned, or an `Arc`.
///
/// ```
/// use greenthread::sync::singleflight::Group;
/// use greenthread::{sync::WaitGroup, time};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
///
/// let (group, loads) = (Arc::new(Group::new()), Arc::new(AtomicU32::new(0)));
/// let wg = WaitGroup::new();
/// for _ in 0..10 {
///     let (group, loads) = (Arc::clone(&group), Arc::clone(&loads));
///     wg.go(move || {
///         let page = group.work("index", || {
///             loads.fetch_add(1, Ordering::Relaxed);
///             time::sleep(Duration::from_millis(20));
///             "<html>"
///         });
///         assert_eq!(page.value, "<html>");
///     });
/// }
/// wg.wait();
/// assert!(loads.load(Ordering::Relaxed) < 10);
/// ```
pub struct Group<K, V> {
    calls: Mutex<HashMap<K, Arc<Call<V>>>>,
}

/// The result of [`Group::work`].
///
/// ```
/// use greenthread::sync::singleflight::{Group, Outcome};
///
/// let outcome = Group::new().work("key", || 42);
/// assert_eq!(outcome, Outcome { value: 42, shared: false }, "no one else has asked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome<V> {
    /// The result of the work.
    pub value: V,
    /// `true` if another caller also got the result.
    pub shared: bool,
}

/// A piece of work in progress.
struct Call<V> {
    /// Counts the worker.
    working: WaitGroup,
    result: OnceLock<Result<V, String>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Group<K, V> {
    /// Creates a group without calls.
    ///
    /// ```
    /// use greenthread::sync::singleflight::Group;
    ///
    /// let pages: Group<String, String> = Group::new();
    /// ```
    pub fn new() -> Self {
        Self { calls: Mutex::default() }
    }

    /// Calls `f`, or waits for a running call for the same key and takes its result (Go's `Do`).
    ///
    /// A call for the same key from within `f` blocks forever.
    ///
    /// # Panics
    /// If `f` panics: the caller that ran `f` resumes the panic, and the callers that wait for the
    /// result panic with the text of that panic.
    ///
    /// ```
    /// let group = greenthread::sync::singleflight::Group::new();
    /// assert_eq!(group.work("index", || "<html>").value, "<html>");
    /// assert_eq!(group.work("index", || "<p>").value, "<p>", "nothing is kept");
    /// ```
    pub fn work(&self, key: K, f: impl FnOnce() -> V) -> Outcome<V> {
        let call = match self.find_or_enter(&key) {
            Entry::Running(call) => {
                call.working.wait();
                return Outcome { value: call.value(), shared: true };
            }
            Entry::New(call) => call,
        };
        let (result, payload) = match panic::catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => (Ok(value), None),
            Err(payload) => (Err(text(payload.as_ref())), Some(payload)),
        };
        let shared = self.finish(&key, &call, result);
        if let Some(payload) = payload {
            panic::resume_unwind(payload);
        }
        Outcome { value: call.value(), shared }
    }

    /// Returns the running call for `key`, or inserts a new one for the caller to run.
    fn find_or_enter(&self, key: &K) -> Entry<V> {
        let mut calls = self.calls.lock();
        match calls.get(key) {
            Some(call) if call.result.get().is_none() => return Entry::Running(Arc::clone(call)),
            _ => {}
        }
        // A finished call in the map was left behind by a panic. It is dropped after the lock is
        // released.
        let left_behind = calls.remove_entry(key);
        let call = Arc::new(Call { working: WaitGroup::new(), result: OnceLock::new() });
        call.working.add(1);
        calls.insert(key.clone(), Arc::clone(&call));
        drop(calls);
        drop(left_behind);
        Entry::New(call)
    }

    /// Ends a call. Returns `true` if other callers also have its result.
    fn finish(&self, key: &K, call: &Arc<Call<V>>, result: Result<V, String>) -> bool {
        let removed = panic::catch_unwind(AssertUnwindSafe(|| self.take_out(key, call)));
        // The caller holds one reference, and each waiter holds one. Once the call is out of the
        // map, no waiter can be added.
        let shared = Arc::strong_count(call) > 1;
        assert!(call.result.set(result).is_ok(), "singleflight: a call ends once");
        call.working.done();
        // The key is dropped last, since dropping it runs user code.
        drop(removed.unwrap_or_else(|payload| panic::resume_unwind(payload)));
        shared
    }

    /// Removes a call from the map, unless it was forgotten (and perhaps replaced by a new call).
    /// Returns the key.
    fn take_out(&self, key: &K, call: &Arc<Call<V>>) -> Option<K> {
        let mut calls = self.calls.lock();
        let current = calls.get(key).is_some_and(|current| Arc::ptr_eq(current, call));
        let (key, _) = if current { calls.remove_entry(key)? } else { return None };
        Some(key)
    }

    /// Calls [`work`](Self::work) in a new goroutine, and returns a channel for the result (Go's
    /// `DoChan`).
    ///
    /// Does not block. The channel is closed without a result if `f` panics, or if there is no
    /// stack for the goroutine.
    ///
    /// ```
    /// use greenthread::sync::singleflight::Group;
    /// use std::sync::Arc;
    ///
    /// let group = Arc::new(Group::new());
    /// let answer = group.work_in_goroutine("answer", || 42);
    /// assert_eq!(answer.recv().unwrap().value, 42);
    /// ```
    pub fn work_in_goroutine(self: &Arc<Self>, key: K, f: impl FnOnce() -> V + Send + 'static) -> Receiver<Outcome<V>>
    where
        K: Send + 'static,
        V: Send + Sync + 'static,
    {
        let (tx, rx) = bounded(1);
        let group = Arc::clone(self);
        greenthread_scheduler::go(move || {
            // The receiver may be gone: dropping it is not an error.
            let _ = tx.send(group.work(key, f));
        });
        rx
    }

    /// Forgets the call for a key, so that the next caller starts a new call even while the old
    /// call runs (Go's `Forget`).
    ///
    /// Never blocks.
    ///
    /// ```
    /// let group = greenthread::sync::singleflight::Group::<_, i32>::new();
    /// group.work("key", || {
    ///     group.forget(&"key");
    ///     // Without the line above this would wait for itself.
    ///     group.work("key", || 1).value + 1
    /// });
    /// ```
    pub fn forget(&self, key: &K) {
        let removed = self.calls.lock().remove_entry(key);
        // Dropped after the lock is released, since this may run user code.
        drop(removed);
    }
}

/// The result of [`Group::find_or_enter`].
enum Entry<V> {
    Running(Arc<Call<V>>),
    New(Arc<Call<V>>),
}

impl<V: Clone> Call<V> {
    /// Returns the result of a finished call: the last caller moves it out, and the others clone
    /// it.
    fn value(self: Arc<Self>) -> V {
        const OVER: &str = "singleflight: a call is over when it has a result";
        let result = match Arc::try_unwrap(self) {
            Ok(call) => call.result.into_inner().expect(OVER),
            Err(call) => call.result.get().expect(OVER).clone(),
        };
        result.unwrap_or_else(|text| panic!("{text}"))
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("singleflight: the call panicked: {}", text.unwrap_or("no text"))
}

impl<K: Eq + Hash + Clone, V: Clone> Default for Group<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for Group<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Group { .. }")
    }
}
