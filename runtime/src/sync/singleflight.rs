//! Calls that are made once for all who ask at the same time: golang.org/x/sync/singleflight. For caches that load what
//! they lack, so that a thousand requests for one missing entry are one load.
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
//! A map holds a call for each key that somebody works on. Who finds none puts one there and does the work; who finds
//! one waits for it. The one who works takes the call out of the map **before** the others are let go: who comes after
//! that starts anew, and never gets a result that somebody had before it asked.
//!
//! All of them, the one who worked included, take the result from the call after that: the last one moves it out, the
//! others clone it. So nothing is cloned for a caller who is alone, and a `Clone` that panics ends the caller whose
//! clone it was to be, when the key is free and the others have been let go.
//!
//! The map is under a lock that nobody holds while work is done or waited for. Under it run `Hash` and `Eq` of the key,
//! which may park, and its `Clone` before anything is entered. Keys and results are dropped after it. If a `Hash` or
//! `Eq` panics when a call is to be taken out, the others are let go all the same, and the call that is left behind is
//! replaced when somebody asks for its key again.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};

use greenthread_channels::{Receiver, bounded};

use super::{Mutex, WaitGroup};

/// Does a piece of work once for all who ask for it at the same time.
///
/// For loads of a cache entry, look-ups of a name, and whatever many ask for at once and one may do: the others wait,
/// as goroutines do, and share its result. All but one get a clone of the value; use a `Result` with an error that can
/// be cloned, or an `Arc`, where work can fail.
///
/// ```
/// use greenthread::sync::singleflight::Group;
/// use greenthread::{sync::WaitGroup, time};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
///
/// let (group, loads, wg) = (Arc::new(Group::new()), Arc::new(AtomicU32::new(0)), WaitGroup::new());
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

/// What [`Group::work`] has come to.
///
/// ```
/// use greenthread::sync::singleflight::{Group, Outcome};
///
/// let outcome = Group::new().work("key", || 42);
/// assert_eq!(outcome, Outcome { value: 42, shared: false }, "nobody else has asked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<V> {
    /// The result.
    pub value: V,
    /// Whether somebody else has got it as well.
    pub shared: bool,
}

/// A piece of work that somebody does.
struct Call<V> {
    /// Counts the one who works.
    working: WaitGroup,
    result: OnceLock<Result<V, String>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Group<K, V> {
    /// A group in which nobody works.
    ///
    /// ```
    /// use greenthread::sync::singleflight::Group;
    ///
    /// let pages: Group<String, String> = Group::new();
    /// ```
    pub fn new() -> Self {
        Self { calls: Mutex::default() }
    }

    /// Calls `f`, unless somebody is doing so for the same key: then blocks until that call is over and takes its result
    /// (Go's `Do`). For the same key from within `f` it blocks for ever.
    ///
    /// # Panics
    /// If `f` panics: who has called it goes on with that panic, and those who wait for it panic with its text.
    ///
    /// ```
    /// let group = greenthread::sync::singleflight::Group::new();
    /// assert_eq!(group.work("index", || "<html>").value, "<html>");
    /// assert_eq!(group.work("index", || "<p>").value, "<p>", "the first call is over: nothing is kept");
    /// ```
    pub fn work(&self, key: K, f: impl FnOnce() -> V) -> Outcome<V> {
        let call = match self.find_or_enter(&key) {
            Found::Running(call) => {
                call.working.wait();
                return Outcome { value: call.value(), shared: true };
            }
            Found::Entered(call) => call,
        };
        let (result, payload) = match panic::catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => (Ok(value), None),
            Err(payload) => (Err(text(payload.as_ref())), Some(payload)),
        };
        let shared = self.land(&key, &call, result);
        if let Some(payload) = payload {
            panic::resume_unwind(payload);
        }
        Outcome { value: call.value(), shared }
    }

    /// The call for `key` that somebody works on, or a new one for the caller to work on.
    fn find_or_enter(&self, key: &K) -> Found<V> {
        let mut calls = self.calls.lock();
        match calls.get(key) {
            Some(call) if call.result.get().is_none() => return Found::Running(Arc::clone(call)),
            _ => {}
        }
        // One that is over has been left behind by a panic. It is dropped after the lock.
        let left_behind = calls.remove_entry(key);
        let call = Arc::new(Call { working: WaitGroup::new(), result: OnceLock::new() });
        call.working.add(1);
        calls.insert(key.clone(), Arc::clone(&call));
        drop(calls);
        drop(left_behind);
        Found::Entered(call)
    }

    /// Ends a call; true if others have its result too.
    fn land(&self, key: &K, call: &Arc<Call<V>>, result: Result<V, String>) -> bool {
        let removed = panic::catch_unwind(AssertUnwindSafe(|| self.take_out(key, call)));
        // This one's, and one for each who waits. If the call is out of the map, nobody can come any more.
        let shared = Arc::strong_count(call) > 1;
        assert!(call.result.set(result).is_ok(), "singleflight: a call has ended twice");
        call.working.done();
        // The key is dropped last, as that is the user's code.
        drop(removed.unwrap_or_else(|payload| panic::resume_unwind(payload)));
        shared
    }

    /// Takes a call out of the map, unless it was forgotten, and perhaps begun anew; hands out the key.
    fn take_out(&self, key: &K, call: &Arc<Call<V>>) -> Option<K> {
        let mut calls = self.calls.lock();
        let current = calls.get(key).is_some_and(|current| Arc::ptr_eq(current, call));
        let (key, _) = if current { calls.remove_entry(key)? } else { return None };
        Some(key)
    }

    /// As [`work`](Self::work), in a goroutine of its own: the result comes through the channel (Go's `DoChan`). The
    /// channel is closed without one if `f` panics, or if there is no stack for the goroutine. Does not block.
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
            // That nobody wants the result any more is no error.
            let _ = tx.send(group.work(key, f));
        });
        rx
    }

    /// Forgets the call for a key: who asks next starts anew, also while somebody works (Go's `Forget`). Never blocks.
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
        // After the lock, as that may be the user's code.
        drop(removed);
    }
}

/// What [`Group::find_or_enter`] has come to.
enum Found<V> {
    Running(Arc<Call<V>>),
    Entered(Arc<Call<V>>),
}

impl<V: Clone> Call<V> {
    /// The result of a call that is over: itself for the last one who asks, a clone for the others.
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
    format!("singleflight: the call has panicked: {}", text.unwrap_or("no text"))
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
