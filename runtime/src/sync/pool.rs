//! `Pool<T>`: values to be used again, cached for each P.
//!
//! # Protocol
//! There is a *shelf* for each P, and one for threads that have none. Get and put begin at the own one; get goes on
//! with the others before it makes a new value. The index of the P is a hint: the caller may be elsewhere by the time
//! it gets there. So each shelf has a lock, which is mostly free, and under which nothing is done but to move a value.
//!
//! A shelf has two layers. Put goes to the *fresh* one. When a period is over the pool *turns*: in each shelf what is
//! stale is dropped, and what is fresh becomes stale. Get takes from both. So a value that nobody wants is dropped
//! after one to two periods (Go does the same with each garbage collection).
//!
//! Nobody watches the clock. A put looks at it, as this is when the pool grows, and the first one that finds a period
//! over turns all shelves. A pool that is not used keeps what it has. If three periods have passed since the last turn,
//! then what is fresh is older than two, too, and is dropped.
//!
//! # Rejected
//! * Looking at the clock in get: it takes longer than everything else there, and who takes a value out saves its memory anyway.
//! * Lock-free shelves: turning takes a whole layer at once, and stealing is rare.
//!
//! # Invariants
//! * I1: layers are touched only under the lock of their shelf. Under it no value is dropped, and nothing allocated:
//!   the room for a full layer is there from the start.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread_scheduler as scheduler;
use greenthread_scheduler::protocol::lock::RawLock;

/// How many values a layer holds.
const ROOM: usize = 128;

/// How long a value stays fresh.
const PERIOD: Duration = Duration::from_secs(10);

/// Values that are expensive to make and may be used again by whoever comes next (Go's `sync.Pool`): buffers, mostly.
///
/// [`get`](Self::get) returns any one of the values that were [`put`](Self::put) back, or makes a new one. Its state is
/// what it was put back with: clear it.
///
/// Each P has a cache of its own; threads that are no goroutine's share one. A value that nobody has taken for 10 to 20
/// seconds is dropped by the next `put` after that. Memory is bounded: 256 values for each P (the number of Ps at the
/// first `put`, or of CPUs if that is more), beyond which a `put` drops its value. The room for them is allocated at
/// the first `put`, so the values should be handles to what is large, as `Vec` and `Box` are.
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
    shelves: OnceLock<Shelves<T>>,
}

struct Shelves<T> {
    all: Box<[Shelf<T>]>,
    begin: Instant,
    /// When the next turn is due, in nanoseconds from `begin`.
    next_turn: AtomicU64,
}

/// What one P caches. On cache lines of its own.
#[repr(align(128))]
struct Shelf<T> {
    lock: RawLock,
    layers: UnsafeCell<Layers<T>>,
}

struct Layers<T> {
    fresh: Vec<T>,
    stale: Vec<T>,
}

// SAFETY: `layers` is touched only under `lock` (I1), so sharing the shelf sends values from one thread to the next.
unsafe impl<T: Send> Sync for Shelf<T> {}

impl<T, F: Fn() -> T> Pool<T, F> {
    /// An empty pool, which makes new values with `new` (Go's `New`). Does not allocate.
    ///
    /// ```
    /// use greenthread::sync::Pool;
    ///
    /// static LINES: Pool<String> = Pool::new(String::new);
    /// ```
    pub const fn new(new: F) -> Self {
        Self { new, shelves: OnceLock::new() }
    }

    /// A value that was put back, or a new one (Go's `Get`).
    ///
    /// # Panics
    /// If `new` does.
    ///
    /// ```
    /// let pool = greenthread::sync::Pool::new(|| vec![0; 1024]);
    /// assert_eq!(pool.get().len(), 1024);
    /// ```
    #[inline]
    pub fn get(&self) -> T {
        self.shelves.get().and_then(Shelves::take).unwrap_or_else(&self.new)
    }
}

impl<T, F> Pool<T, F> {
    /// Puts a value back for others to use (Go's `Put`). Drops it if there is no room; may drop others that nobody has
    /// used for long.
    ///
    /// ```
    /// let pool = greenthread::sync::Pool::new(Vec::<u8>::new);
    /// let mut buffer = pool.get();
    /// buffer.extend(b"used");
    /// buffer.clear(); // the next one finds it as it is put
    /// pool.put(buffer);
    /// ```
    pub fn put(&self, value: T) {
        let shelves = self.shelves.get_or_init(Shelves::new);
        let refused = shelves.put(value);
        let unused = shelves.turn_if_due(shelves.begin.elapsed());
        drop((refused, unused));
    }
}

impl<T> Shelves<T> {
    fn new() -> Self {
        // One for threads without a P.
        let count = 1 + scheduler::gomaxprocs().max(scheduler::num_cpu());
        Self {
            all: (0..count).map(|_| Shelf::new()).collect(),
            begin: Instant::now(),
            next_turn: AtomicU64::new(nanos(PERIOD)),
        }
    }

    /// The index of the caller's shelf.
    fn own(&self) -> usize {
        scheduler::current_p().map_or(0, |p| 1 + p % (self.all.len() - 1))
    }

    fn take(&self) -> Option<T> {
        let (others, from_own) = self.all.split_at(self.own());
        from_own.iter().chain(others).find_map(|shelf| shelf.with(Layers::take))
    }

    /// Puts a value on the caller's shelf; returns it if there is no room.
    fn put(&self, value: T) -> Option<T> {
        self.all[self.own()].with(|layers| {
            if layers.fresh.len() == ROOM {
                return Some(value);
            }
            layers.fresh.push(value);
            None
        })
    }

    /// Turns all shelves if a period is over at `now`. Returns what is to be dropped.
    fn turn_if_due(&self, now: Duration) -> Vec<Vec<T>> {
        let (now, due) = (nanos(now), self.next_turn.load(Ordering::Relaxed));
        let next = now.saturating_add(nanos(PERIOD));
        // ORDERING: relaxed; the exchange chooses one who turns, the shelves have locks.
        if now < due || self.next_turn.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Vec::new();
        }
        let turns = if now - due >= 2 * nanos(PERIOD) { 2 } else { 1 };
        let turn = |shelf: &Shelf<T>| {
            let mut room = Vec::with_capacity(ROOM);
            shelf.with(|layers| layers.turn(&mut room));
            room
        };
        (0..turns).flat_map(|_| self.all.iter().map(turn)).collect()
    }
}

impl<T> Shelf<T> {
    fn new() -> Self {
        let layers = Layers { fresh: Vec::with_capacity(ROOM), stale: Vec::with_capacity(ROOM) };
        Self { lock: RawLock::new(), layers: UnsafeCell::new(layers) }
    }

    /// Calls `f` under the lock. It only moves values (I1).
    fn with<R>(&self, f: impl FnOnce(&mut Layers<T>) -> R) -> R {
        self.lock.lock();
        // SAFETY: I1, locked above.
        let result = f(unsafe { &mut *self.layers.get() });
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        result
    }
}

impl<T> Layers<T> {
    /// The value that was put back last.
    fn take(&mut self) -> Option<T> {
        self.fresh.pop().or_else(|| self.stale.pop())
    }

    /// Swaps what is stale for `room`, an empty layer, which becomes the fresh one.
    fn turn(&mut self, room: &mut Vec<T>) {
        mem::swap(&mut self.stale, room);
        mem::swap(&mut self.stale, &mut self.fresh);
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

    fn filled(value: &Arc<()>, n: usize) -> Shelves<Arc<()>> {
        let shelves = Shelves::new();
        (0..n).for_each(|_| assert!(shelves.put(Arc::clone(value)).is_none()));
        shelves
    }

    #[test]
    fn what_is_unused_for_two_periods_is_dropped() {
        let value = Arc::new(());
        let shelves = filled(&value, 3);
        assert!(shelves.turn_if_due(PERIOD / 2).is_empty());
        drop(shelves.turn_if_due(PERIOD));
        assert_eq!(alive(&value), 3, "stale now");
        // One is used, and is as good as new.
        let used = shelves.take().unwrap();
        assert!(shelves.put(used).is_none());
        drop(shelves.turn_if_due(PERIOD * 3 / 2));
        assert_eq!(alive(&value), 3, "not due");
        drop(shelves.turn_if_due(PERIOD * 2));
        assert_eq!(alive(&value), 1);
        drop(shelves.turn_if_due(PERIOD * 3));
        assert_eq!(alive(&value), 0);
        assert!(shelves.take().is_none());
    }

    #[test]
    fn after_a_long_pause_nothing_is_fresh() {
        let value = Arc::new(());
        let shelves = filled(&value, 3);
        drop(shelves.turn_if_due(PERIOD * 3 - Duration::from_nanos(1)));
        assert_eq!(alive(&value), 3);
        let shelves = filled(&value, 3);
        let dropped = shelves.turn_if_due(PERIOD * 3);
        assert_eq!(dropped.iter().map(Vec::len).sum::<usize>(), 3);
        assert!(shelves.take().is_none());
    }

    #[test]
    fn layers_keep_their_room_and_are_bounded() {
        let value = Arc::new(());
        let shelves = filled(&value, ROOM);
        for turn in 1..5 {
            drop(shelves.turn_if_due(PERIOD * turn));
            while shelves.put(Arc::clone(&value)).is_none() {}
            assert!(alive(&value) <= 2 * ROOM);
            for shelf in &shelves.all {
                shelf.with(|layers| assert_eq!((layers.fresh.capacity(), layers.stale.capacity()), (ROOM, ROOM)));
            }
        }
    }
}
