//! `Pool<T>`: values for reuse, cached for each P.
//!
//! # Protocol
//! There is a *shard* for each P, and one for threads that have no P. Get and put begin at the
//! caller's shard; get then tries the other shards before it makes a new value. The index of the P
//! is a hint: the caller may be on another P by the time it reaches the shard. So each shard has a
//! lock, which is usually free. Under the lock, a value is moved and nothing else happens.
//!
//! A shard has two layers, named as in Go's `sync.Pool`. Put adds to the *primary* layer. When a
//! period ends, the pool *rotates*: in each shard the values of the *victim* layer are dropped, and
//! the primary layer becomes the victim. Get takes from both. So a value that is not taken is
//! dropped after one to two periods (Go rotates with each garbage collection).
//!
//! No timer drives the rotation. A put reads the clock, since only puts make the pool grow, and the
//! first put that finds a period over rotates all shards. A pool that is not used keeps its values.
//! If three periods have passed since the last rotation, even the primary values are older than two
//! periods, so they are also dropped.
//!
//! # Rejected
//! * Reading the clock in get: that takes longer than everything else in get, and taking a value
//!   saves the memory of a new one anyway.
//! * Lock-free shards: a rotation takes a whole layer at once, and stealing from other shards is
//!   rare.
//!
//! # Invariants
//! * I1: the layers of a shard are touched only under its lock. While the lock is held, no value is
//!   dropped, and nothing is allocated: the capacity of a full layer is reserved from the start.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread_scheduler as scheduler;
use greenthread_scheduler::protocol::lock::RawLock;

/// The number of values that a layer holds.
const CAPACITY: usize = 128;

/// The time that a value stays in the primary layer.
const PERIOD: Duration = Duration::from_secs(10);

/// Values that are expensive to make and can be reused by any caller (Go's `sync.Pool`), such as
/// buffers.
///
/// [`get`](Self::get) returns any of the values that were [`put`](Self::put) back, or makes a new
/// one. The value is in the state in which it was put back, so clear it before use.
///
/// Each P has a cache of its own; threads that are not goroutines share one. A value that has not
/// been taken for 10 to 20 seconds is dropped by the next `put`. Memory is bounded: the pool keeps
/// at most 256 values for each P, and a `put` beyond that drops its value. (The number of Ps is
/// read at the first `put`; if there are more CPUs, their number counts instead.) The space for the
/// values is allocated at the first `put`, so the values should be handles to large data, as `Vec`
/// and `Box` are.
///
/// Neither method parks. No lock is held while the pool makes or drops a value.
///
/// ```
/// use greenthread::sync::Pool;
///
/// static BUFFERS: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(4096));
///
/// let mut buffer = BUFFERS.get();
/// buffer.extend(b"hello");
/// buffer.clear();
/// BUFFERS.put(buffer);
/// ```
pub struct Pool<T, F = fn() -> T> {
    new: F,
    shards: OnceLock<Shards<T>>,
}

struct Shards<T> {
    shards: Box<[Shard<T>]>,
    begin: Instant,
    /// When the next rotation is due, in nanoseconds from `begin`.
    next_rotation: AtomicU64,
}

/// The cache of one P, on cache lines of its own.
#[repr(align(128))]
struct Shard<T> {
    lock: RawLock,
    layers: UnsafeCell<Layers<T>>,
}

struct Layers<T> {
    primary: Vec<T>,
    victim: Vec<T>,
}

// SAFETY: by I1 `layers` is touched only under `lock`, so sharing the shard only sends values from
// one thread to the next.
unsafe impl<T: Send> Sync for Shard<T> {}

impl<T, F: Fn() -> T> Pool<T, F> {
    /// Creates an empty pool, which makes new values with `new` (Go's `New`).
    ///
    /// Does not allocate.
    ///
    /// ```
    /// use greenthread::sync::Pool;
    ///
    /// static LINES: Pool<String> = Pool::new(String::new);
    /// ```
    pub const fn new(new: F) -> Self {
        Self { new, shards: OnceLock::new() }
    }

    /// Returns a value that was put back, or a new one (Go's `Get`).
    ///
    /// # Panics
    /// If `new` panics.
    ///
    /// ```
    /// let pool = greenthread::sync::Pool::new(|| vec![0; 1024]);
    /// assert_eq!(pool.get().len(), 1024);
    /// ```
    #[inline]
    pub fn get(&self) -> T {
        self.shards.get().and_then(Shards::take).unwrap_or_else(&self.new)
    }
}

impl<T, F> Pool<T, F> {
    /// Puts a value back for reuse (Go's `Put`).
    ///
    /// Drops the value if the caller's shard is full. May also drop other values that have not been
    /// taken for a while.
    ///
    /// ```
    /// let pool = greenthread::sync::Pool::new(Vec::<u8>::new);
    /// let mut buffer = pool.get();
    /// buffer.extend(b"used");
    /// buffer.clear(); // it is as it was when it was put back
    /// pool.put(buffer);
    /// ```
    pub fn put(&self, value: T) {
        let shards = self.shards.get_or_init(Shards::new);
        let refused = shards.put(value);
        let unused = shards.rotate_if_due(shards.begin.elapsed());
        drop((refused, unused));
    }
}

impl<T> Shards<T> {
    fn new() -> Self {
        // The first shard is for threads without a P.
        let count = 1 + scheduler::gomaxprocs().max(scheduler::num_cpu());
        Self {
            shards: (0..count).map(|_| Shard::new()).collect(),
            begin: Instant::now(),
            next_rotation: AtomicU64::new(nanos(PERIOD)),
        }
    }

    /// Returns the index of the caller's shard.
    fn local_index(&self) -> usize {
        scheduler::current_p().map_or(0, |p| 1 + p % (self.shards.len() - 1))
    }

    fn take(&self) -> Option<T> {
        let (others, from_local) = self.shards.split_at(self.local_index());
        from_local.iter().chain(others).find_map(|shard| shard.with(Layers::take))
    }

    /// Puts a value into the caller's shard. Returns it if the shard is full.
    fn put(&self, value: T) -> Option<T> {
        self.shards[self.local_index()].with(|layers| {
            if layers.primary.len() == CAPACITY {
                return Some(value);
            }
            layers.primary.push(value);
            None
        })
    }

    /// Rotates all shards if a period is over at `now`. Returns the values to drop.
    fn rotate_if_due(&self, now: Duration) -> Vec<Vec<T>> {
        let (now, due) = (nanos(now), self.next_rotation.load(Ordering::Relaxed));
        let next = now.saturating_add(nanos(PERIOD));
        // ORDERING: relaxed; the exchange only chooses the one call that rotates, and the shards
        // have locks.
        if now < due || self.next_rotation.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Vec::new();
        }
        let rotations = if now - due >= 2 * nanos(PERIOD) { 2 } else { 1 };
        let rotate = |shard: &Shard<T>| {
            let mut empty = Vec::with_capacity(CAPACITY);
            shard.with(|layers| layers.rotate(&mut empty));
            empty
        };
        (0..rotations).flat_map(|_| self.shards.iter().map(rotate)).collect()
    }
}

impl<T> Shard<T> {
    fn new() -> Self {
        let layers = Layers { primary: Vec::with_capacity(CAPACITY), victim: Vec::with_capacity(CAPACITY) };
        Self { lock: RawLock::new(), layers: UnsafeCell::new(layers) }
    }

    /// Calls `f` under the lock. `f` only moves values (I1).
    fn with<R>(&self, f: impl FnOnce(&mut Layers<T>) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held (I1).
        let result = f(unsafe { &mut *self.layers.get() });
        // SAFETY: the lock was taken above, on this thread, since nothing parks in between.
        unsafe { self.lock.unlock() };
        result
    }
}

impl<T> Layers<T> {
    /// Takes the value that was put back last.
    fn take(&mut self) -> Option<T> {
        self.primary.pop().or_else(|| self.victim.pop())
    }

    /// Turns the primary layer into the victim, and `empty`, an empty layer, into the primary
    /// layer. Leaves the former victims in `empty`.
    fn rotate(&mut self, empty: &mut Vec<T>) {
        mem::swap(&mut self.victim, empty);
        mem::swap(&mut self.victim, &mut self.primary);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<T, F> fmt::Debug for Pool<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn alive(value: &Arc<()>) -> usize {
        Arc::strong_count(value) - 1
    }

    fn filled(value: &Arc<()>, n: usize) -> Shards<Arc<()>> {
        let shards = Shards::new();
        (0..n).for_each(|_| assert!(shards.put(Arc::clone(value)).is_none()));
        shards
    }

    #[test]
    fn a_value_unused_for_two_periods_is_dropped() {
        let value = Arc::new(());
        let shards = filled(&value, 3);
        assert!(shards.rotate_if_due(PERIOD / 2).is_empty());
        drop(shards.rotate_if_due(PERIOD));
        assert_eq!(alive(&value), 3, "in the victim layer");
        // A value that is taken and put back is in the primary layer again.
        let used = shards.take().unwrap();
        assert!(shards.put(used).is_none());
        drop(shards.rotate_if_due(PERIOD * 3 / 2));
        assert_eq!(alive(&value), 3, "not due");
        drop(shards.rotate_if_due(PERIOD * 2));
        assert_eq!(alive(&value), 1);
        drop(shards.rotate_if_due(PERIOD * 3));
        assert_eq!(alive(&value), 0);
        assert!(shards.take().is_none());
    }

    #[test]
    fn a_long_pause_drops_the_primary_layer_too() {
        let value = Arc::new(());
        let shards = filled(&value, 3);
        drop(shards.rotate_if_due(PERIOD * 3 - Duration::from_nanos(1)));
        assert_eq!(alive(&value), 3);
        let shards = filled(&value, 3);
        let dropped = shards.rotate_if_due(PERIOD * 3);
        assert_eq!(dropped.iter().map(Vec::len).sum::<usize>(), 3);
        assert!(shards.take().is_none());
    }

    #[test]
    fn layers_keep_their_capacity_and_are_bounded() {
        let value = Arc::new(());
        let shards = filled(&value, CAPACITY);
        for n in 1..5 {
            drop(shards.rotate_if_due(PERIOD * n));
            while shards.put(Arc::clone(&value)).is_none() {}
            assert!(alive(&value) <= 2 * CAPACITY);
            for shard in &shards.shards {
                shard.with(|layers| {
                    assert_eq!((layers.primary.capacity(), layers.victim.capacity()), (CAPACITY, CAPACITY))
                });
            }
        }
    }
}
