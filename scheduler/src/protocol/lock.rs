//! A one-byte lock for critical sections of a few dozen instructions.
//!
//! # Protocol
//! A channel operation takes the lock, finds that it must wait, links its wait node, and parks: the
//! *commit* step releases the lock, on the system stack, after the goroutine's registers are saved.
//! So this lock must be released by a raw call rather than a guard, from a different stack than it
//! was taken on (though on the same OS thread), and its release is on the hot path of every channel
//! operation.
//!
//! To lock is one compare-and-swap; to unlock is **one plain store**. A futex mutex needs a
//! read-modify-write to unlock, to learn whether a waiter sleeps: 5 ns against 0.2. The price is
//! that a waiter gets no wake-up, so it spins, then yields its time slice, then sleeps in short
//! steps. That is acceptable only because the lock is never held for long: **no user code, no
//! allocation, no wake-up, and no other lock runs under it.** What remains is a holder that the
//! kernel descheduled, and that is what the yields and sleeps are for.
//!
//! # Orderings
//! * P1: the release store in `unlock` -> the acquire exchange in `lock`: everything done under the
//!   lock is visible to the next holder.

use crate::primitive::{AtomicBool, Ordering, const_fn, spin_hint, yield_thread};

/// A raw lock.
///
/// The module's documentation says what may be done while it is held.
#[derive(Debug)]
pub struct RawLock {
    locked: AtomicBool,
}

impl Default for RawLock {
    fn default() -> Self {
        Self::new()
    }
}

/// Rounds of spinning, each twice as long as the one before, before the first yield of the time
/// slice.
///
/// The longer pauses leave the cache lines with one thread for several operations in a row, instead
/// of moving them for each: four senders and four receivers on two Ps take 20 ns per message, and
/// 110 ns with 64 rounds of one pause (`benches/benches/channel.rs`).
const ROUNDS: u32 = 8;

impl RawLock {
    const_fn! {
        /// Creates an unlocked lock.
        pub fn new() -> Self {
            Self { locked: AtomicBool::new(false) }
        }
    }

    /// Acquires the lock, blocking the OS thread for the short time that another thread holds it.
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    /// Acquires the lock if it is free.
    ///
    /// Returns `true` on success.
    #[inline]
    pub fn try_lock(&self) -> bool {
        // ORDERING P1: acquire pairs with the store in `unlock`.
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn lock_contended(&self) {
        let mut round = 0;
        loop {
            // Reading first keeps the cache line shared while another thread holds the lock.
            if !self.locked.load(Ordering::Relaxed) && self.try_lock() {
                return;
            }
            if round < ROUNDS {
                for _ in 0..1 << round {
                    spin_hint();
                }
                round += 1;
            } else {
                yield_thread();
            }
        }
    }

    /// Releases the lock.
    ///
    /// # Safety
    /// The caller must hold the lock, on whichever stack it runs now. The store to the lock is the
    /// last access that this call makes: the next holder may free what the lock protects, including
    /// the lock itself.
    #[inline]
    pub unsafe fn unlock(&self) {
        // ORDERING P1: release publishes what was done under the lock.
        self.locked.store(false, Ordering::Release);
    }
}
