//! `Map<K, V>`: a concurrent map, built on `dashmap`.
//!
//! # Protocol
//! `dashmap` holds locks while it compares keys and while its guards live, and a goroutine that
//! parks during that would keep the lock. So `dashmap` never touches user keys or values. It maps a
//! *hash* to a *bucket*, the list of entries with that hash, usually one. An entry never changes;
//! it is behind an `Arc`. Every operation
//!
//! 1. computes the hash,
//! 2. copies the bucket, cloning `Arc`s under the lock,
//! 3. finds the key in the copy, compares values, and builds the new bucket, all without a lock,
//! 4. replaces the old bucket by the new one, under the lock, if the bucket there still consists of
//!    the same entries; otherwise the operation starts again at step 2.
//!
//! The copy keeps its entries alive, so equal addresses mean the same entry. For the same reason,
//! the holder of a lock never drops the last reference to an entry.
//!
//! # Rejected
//! * `papaya`: it has no locks, but its guards belong to a thread. So no user code may run while a
//!   guard lives, since a goroutine could resume on another thread. Its other kind of guard, which
//!   does not belong to a thread, takes two process-wide locks for every operation. Removed values
//!   are also dropped only at some later time, so a channel in such a value would not close.
//! * `dashmap` with the user's keys, and values behind an `Arc`: `Eq` then runs under a lock, and a
//!   key whose `Eq` uses the map deadlocks.
//!
//! # Invariants
//! * I1: no code of `K` or `V` runs while a guard of `table` lives.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::mem;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use smallvec::SmallVec;

/// A map for concurrent use by many goroutines and threads (Go's `sync.Map`).
///
/// It works best where a key is written once and read often, or where each goroutine has its own
/// keys; otherwise a map in a [`Mutex`](super::Mutex) may be as good. Each call is atomic by
/// itself. Everything done before a store is visible to a caller that loads the stored value. No
/// method parks.
///
/// No lock is held while code of `K` or `V` runs (`Eq`, `Hash`, `Clone` or a destructor). Such code
/// may therefore park, and may use the same map. Values are cloned when they are loaded, as in Go;
/// put large ones into an [`Arc`]. A removed value is dropped as soon as no caller is about to
/// clone it.
///
/// ```
/// use greenthread::sync::Map;
///
/// let map = Map::new();
/// map.store("a".to_owned(), 1);
/// assert_eq!(map.load("a"), Some(1));
/// assert_eq!(map.load_or_store("a".to_owned(), 2), (1, true));
/// assert_eq!(map.compare_and_swap("a".to_owned(), &1, 3), Ok(()));
/// assert_eq!(map.load_and_delete("a"), Some(3));
/// assert_eq!(map.load("a"), None);
/// ```
pub struct Map<K, V> {
    hasher: RandomState,
    table: DashMap<u64, Bucket<K, V>, BuildHasherDefault<AsIs>>,
}

struct Entry<K, V> {
    key: K,
    value: V,
}

/// The entries of one hash.
type Bucket<K, V> = SmallVec<[Arc<Entry<K, V>>; 1]>;

/// A hasher for keys that are already hashes.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The change that an operation makes to the entry of a key.
enum Change<K, V> {
    Keep,
    Put(Arc<Entry<K, V>>),
    Remove,
}

impl<K: Hash + Eq, V> Map<K, V> {
    /// Creates an empty map.
    ///
    /// ```
    /// let map = greenthread::sync::Map::<String, u32>::new();
    /// assert_eq!(map.load("a"), None);
    /// ```
    // Not inlined, because the hasher's seed comes from a thread-local of `std`, and the address of
    // a thread-local must not outlive a switch.
    #[inline(never)]
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), table: DashMap::default() }
    }

    /// Returns a clone of the value for `key`, if there is one (Go's `Load`).
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// map.store("host".to_owned(), "gopher");
    /// assert_eq!(map.load("host"), Some("gopher"));
    /// assert_eq!(map.load("port"), None);
    /// ```
    pub fn load<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let bucket = self.bucket(self.hash(key));
        find(&bucket, key).map(|at| bucket[at].value.clone())
    }

    /// Sets the value for `key` (Go's `Store`).
    ///
    /// Drops the replaced value.
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// map.store(1, "one");
    /// map.store(1, "uno");
    /// assert_eq!(map.load(&1), Some("uno"));
    /// ```
    pub fn store(&self, key: K, value: V) {
        self.exchange(key, value);
    }

    /// Sets the value for `key`, and returns the replaced one (Go's `Swap`).
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// assert_eq!(map.swap(1, "one"), None);
    /// assert_eq!(map.swap(1, "uno"), Some("one"));
    /// ```
    pub fn swap(&self, key: K, value: V) -> Option<V>
    where
        V: Clone,
    {
        self.exchange(key, value).map(into_value)
    }

    /// Returns the value for `key` and `true`, or stores `value` and returns it and `false` (Go's
    /// `LoadOrStore`).
    ///
    /// If several callers do this for the same key at once, one of them stores its value, and all
    /// get that value.
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// assert_eq!(map.load_or_store("key", 1), (1, false));
    /// assert_eq!(map.load_or_store("key", 2), (1, true));
    /// ```
    pub fn load_or_store(&self, key: K, value: V) -> (V, bool)
    where
        V: Clone,
    {
        let new = Arc::new(Entry { key, value });
        let hash = self.hash(&new.key);
        let found = self.change(hash, &new.key, |old| match old {
            Some(_) => Change::Keep,
            None => Change::Put(Arc::clone(&new)),
        });
        match found {
            Some(old) => (old.value.clone(), true),
            None => (new.value.clone(), false),
        }
    }

    /// Removes `key`, and returns `true` if it was present (Go's `Delete`).
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// map.store(1, "one");
    /// assert!(map.delete(&1));
    /// assert!(!map.delete(&1), "it is gone");
    /// ```
    pub fn delete<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.remove(key).is_some()
    }

    /// Removes `key`, and returns its value (Go's `LoadAndDelete`).
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// map.store(1, "one");
    /// assert_eq!(map.load_and_delete(&1), Some("one"));
    /// assert_eq!(map.load_and_delete(&1), None);
    /// ```
    pub fn load_and_delete<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.remove(key).map(into_value)
    }

    /// Sets the value for `key` to `new` if it equals `old` (Go's `CompareAndSwap`).
    ///
    /// # Errors
    /// Returns `new` if the value is absent or different.
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// map.store("version", 1);
    /// assert_eq!(map.compare_and_swap("version", &1, 2), Ok(()));
    /// assert_eq!(map.compare_and_swap("version", &1, 3), Err(3), "it is 2 by now");
    /// ```
    pub fn compare_and_swap(&self, key: K, old: &V, new: V) -> Result<(), V>
    where
        V: PartialEq,
    {
        let new = Arc::new(Entry { key, value: new });
        let hash = self.hash(&new.key);
        let mut swapped = false;
        let before = self.change(hash, &new.key, |found| {
            swapped = found.is_some_and(|found| found.value == *old);
            if swapped { Change::Put(Arc::clone(&new)) } else { Change::Keep }
        });
        drop(before);
        if swapped {
            return Ok(());
        }
        // The entry was never in the table, since a failed attempt leaves nothing there.
        Err(Arc::into_inner(new).expect("map: an entry that was not stored has one owner").value)
    }

    /// Removes `key` if its value equals `old`, and returns `true` if it did (Go's
    /// `CompareAndDelete`).
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// map.store(1, "one");
    /// assert!(!map.compare_and_delete(&1, &"two"));
    /// assert!(map.compare_and_delete(&1, &"one"));
    /// ```
    pub fn compare_and_delete<Q>(&self, key: &Q, old: &V) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: PartialEq,
    {
        let mut removed = false;
        self.change(self.hash(key), key, |found| {
            removed = found.is_some_and(|found| found.value == *old);
            if removed { Change::Remove } else { Change::Keep }
        });
        removed
    }

    /// Calls `f` for each key and value, until it returns `false` (Go's `Range`).
    ///
    /// No key is visited twice. A key that is in the map during the whole call is visited; a key
    /// that is stored or deleted during the call may or may not be visited. The value is one that
    /// the key had at some time during the call. All entries are collected before the first call to
    /// `f`, but not at one instant. So `f` may block, and may use the map in any way. Takes memory
    /// and time in proportion to the size of the map, even if `f` stops early.
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// (0..10).for_each(|n| map.store(n, n * n));
    /// let mut sum = 0;
    /// map.range(|_, square| {
    ///     sum += square;
    ///     true
    /// });
    /// assert_eq!(sum, 285);
    /// ```
    pub fn range(&self, mut f: impl FnMut(&K, &V) -> bool) {
        let mut all = Vec::new();
        // Only `Arc`s are touched here (I1).
        self.table.iter().for_each(|bucket| all.extend(bucket.iter().cloned()));
        for entry in all {
            if !f(&entry.key, &entry.value) {
                return;
            }
        }
    }

    /// Removes all keys (Go's `Clear`).
    ///
    /// Keys that are stored during the call may stay.
    ///
    /// ```
    /// let map = greenthread::sync::Map::new();
    /// map.store(1, "one");
    /// map.clear();
    /// assert_eq!(map.load(&1), None);
    /// ```
    pub fn clear(&self) {
        let hashes: Vec<u64> = self.table.iter().map(|bucket| *bucket.key()).collect();
        // Keys are removed one by one, so that values are dropped without a lock.
        hashes.iter().for_each(|hash| drop(self.table.remove(hash)));
    }

    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns a copy of the bucket.
    fn bucket(&self, hash: u64) -> Bucket<K, V> {
        self.table.get(&hash).map_or_else(Bucket::new, |bucket| bucket.clone())
    }

    /// Changes the entry of a key as `decide` says, and returns the previous entry. Calls `decide`
    /// again if another caller was faster.
    fn change<Q>(
        &self,
        hash: u64,
        key: &Q,
        mut decide: impl FnMut(Option<&Entry<K, V>>) -> Change<K, V>,
    ) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        loop {
            let before = self.bucket(hash);
            let at = find(&before, key);
            let old = at.map(|at| Arc::clone(&before[at]));
            let mut after = before.clone();
            match (decide(old.as_deref()), at) {
                (Change::Put(new), Some(at)) => after[at] = new,
                (Change::Put(new), None) => after.push(new),
                (Change::Remove, Some(at)) => drop(after.swap_remove(at)),
                (Change::Keep, _) | (Change::Remove, None) => return old,
            }
            if self.replace(hash, &before, after) {
                return old;
            }
        }
    }

    /// Replaces `before` by `after`, if `before` is still there.
    fn replace(&self, hash: u64, before: &Bucket<K, V>, after: Bucket<K, V>) -> bool {
        match self.table.entry(hash) {
            Place::Occupied(mut place) if same(place.get(), before) => {
                // `before` still holds the entries that are dropped here (I1).
                if after.is_empty() {
                    drop(place.remove())
                } else {
                    drop(mem::replace(place.get_mut(), after))
                }
                true
            }
            Place::Vacant(place) if before.is_empty() => {
                place.insert(after);
                true
            }
            // `after` is dropped under the lock, but its new entry has another owner, since
            // `decide` keeps it.
            _ => false,
        }
    }

    fn exchange(&self, key: K, value: V) -> Option<Arc<Entry<K, V>>> {
        let new = Arc::new(Entry { key, value });
        self.change(self.hash(&new.key), &new.key, |_| Change::Put(Arc::clone(&new)))
    }

    fn remove<Q>(&self, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.change(self.hash(key), key, |_| Change::Remove)
    }
}

fn find<K: Borrow<Q>, V, Q: Eq + ?Sized>(bucket: &Bucket<K, V>, key: &Q) -> Option<usize> {
    bucket.iter().position(|entry| entry.key.borrow() == key)
}

/// Returns `true` if both consist of the same entries.
fn same<K, V>(a: &Bucket<K, V>, b: &Bucket<K, V>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// Returns the value of a removed entry, or a clone if another caller still reads the entry.
fn into_value<K, V: Clone>(entry: Arc<Entry<K, V>>) -> V {
    Arc::try_unwrap(entry).map_or_else(|entry| entry.value.clone(), |entry| entry.value)
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Hash + Eq, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| self.store(key, value));
    }
}

impl<K: Hash + Eq, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq + fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        self.range(|key, value| {
            map.entry(key, value);
            true
        });
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key whose hash is always the same.
    #[derive(PartialEq, Eq, Debug)]
    struct Same(u32);

    impl Hash for Same {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    #[test]
    fn colliding_keys_are_kept_apart() {
        let map = Map::new();
        (0..5).for_each(|n| map.store(Same(n), n));
        assert_eq!(map.table.len(), 1);
        assert_eq!(map.load_and_delete(&Same(1)), Some(1));
        assert!(!map.delete(&Same(1)));
        assert_eq!(map.compare_and_swap(Same(1), &1, 7), Err(7));
        assert_eq!(map.swap(Same(3), 30), Some(3));
        let mut rest = Vec::new();
        map.range(|key, &value| {
            rest.push((key.0, value));
            true
        });
        rest.sort_unstable();
        assert_eq!(rest, [(0, 0), (2, 2), (3, 30), (4, 4)]);
        map.clear();
        assert_eq!(map.table.len(), 0);
    }

    #[test]
    fn an_empty_bucket_is_removed() {
        let map = Map::new();
        (0..100).for_each(|n| map.store(n, ()));
        (0..100).for_each(|n| assert!(map.compare_and_delete(&n, &())));
        assert!(map.table.is_empty());
    }

    #[test]
    fn a_map_is_collected_and_extended() {
        let mut map: Map<_, _> = (0..3).map(|n| (n, n)).collect();
        map.extend([(2, 20), (3, 30)]);
        let values: Vec<_> = (0..5).map(|n| map.load(&n)).collect();
        assert_eq!(values, [Some(0), Some(1), Some(20), Some(30), None]);
    }
}
