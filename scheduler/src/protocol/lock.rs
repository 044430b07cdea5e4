//! A one-byte lock for critical sections of a few dozen instructions.
//!
//! # Protocol
//! A channel operation takes the lock, finds that it must wait, links its wait node, and parks. The
//! *commit* step then releases the lock on the system stack, after the goroutine's registers are
//! saved. So this lock must be released by a raw call rather than a guard, and on a stack other
//! than the one on which it was taken (though on the same OS thread). Its release is on the hot
//! path of every channel operation.
//!
//! To lock is one compare-and-swap; to unlock is **one plain store**. A futex mutex needs a
//! read-modify-write to unlock, in order to learn whether a waiter sleeps: 5 ns against 0.2. The
//! price is that a waiter gets no wake-up, so it spins, then yields its time slice, then sleeps in
//! short steps. That is acceptable only because the lock is never held for a long time: **no user
//! code runs under it, nothing is allocated or woken, and no other lock is taken.** The one
//! exception is a holder that the kernel has descheduled. The yields and sleeps are for that case.
//!
//! # Orderings
//! * P1: the release store in `unlock` -> the acquire exchange in `lock`: everything done under the
//!   lock is visible to the next holder.

use crate::primitive::{AtomicBool, Ordering, const_fn, spin_hint, yield_thread};

/// A raw lock.
///
/// The module's documentation says what a holder may do.
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
/// The longer pauses leave the cache lines with one thread for several operations in a row, so they
/// do not move at each operation. Four senders and four receivers on two Ps take 20 ns per message
/// this way, and 110 ns with 64 rounds of one pause (`benches/benches/channel.rs`).
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
    /// The caller must hold the lock; it may run on any stack. The store to the lock is the last
    /// access that this call makes: the next holder may free what the lock protects, including the
    /// lock itself.
    #[inline]
    pub unsafe fn unlock(&self) {
        // ORDERING P1: release publishes what was done under the lock.
        self.locked.store(false, Ordering::Release);
    }
}
