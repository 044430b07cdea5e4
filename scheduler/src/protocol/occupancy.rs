//! Which thread may currently use a stack: the thread that runs the goroutine on it, or the sweeper
//! that returns the stack's unused pages to the system.
//!
//! # Protocol
//! A goroutine that once went deep and then parks keeps pages that it does not need. The *sweeper*
//! (one thread) drops them while the goroutine stays parked, without waking it. The *resumer* (the
//! worker that is about to switch to the goroutine) may arrive at any moment. Dropping is safe only
//! below the stack pointer of the last suspend, and that pointer means nothing once the goroutine
//! runs again. So the sweeper and the resumer exclude each other:
//!
//! ```text
//!     resumer, enter                     sweeper, exclude (a batch of up to 64)
//!     running = 1                        trimming = 1, for each
//!     light fence                        heavy fence, once
//!     trimming == 0?  run                running == 0?  drop the dead pages
//!     else: wait until it is 0           trimming = 0, for each
//! ```
//!
//! This is Dekker's problem, and the fences solve it as in `lease`: at least one side sees the
//! other's store. Both may see the other's store. In that case the sweeper skips the slot, but the
//! resumer still waits for as long as the batch takes. The two cannot wait for each other, since
//! the sweeper never waits.
//!
//! The resumer runs this protocol at every switch, and the sweeper a few times a second. So the
//! resumer pays only for a store, a compiler fence, and a load (0.4 ns), and the sweeper pays for
//! one `membarrier` (8.5 us) per batch.
//!
//! # Rejected
//! * A compare-and-swap at each resume: 4.7 ns, on every switch of every goroutine.
//! * Trimming by the goroutine itself when it parks: one system call takes 9.5 us while other CPUs
//!   run the process, and it is not yet known whether the goroutine parks for a microsecond or for
//!   an hour.
//! * Waking the goroutine to trim itself: this touches the memory that should be left alone, and
//!   wakes an idle process.
//!
//! # Invariants
//! * I1: `running` is written only by the thread that has the stack, since resumers of one stack
//!   never overlap.
//! * I2: `trimming` is written by one thread at a time: the sweeper, or a thread that writes a dump
//!   and takes the sweeper's place to read a stack that must not change. They exclude each other
//!   with a lock of their own.
//! * I3: a thread that runs on the stack, or changes what the sweeper reads of it, does so between
//!   `enter` and `leave`.
//!
//! # Orderings
//! * P1: `running = 0`, released in `leave` -> the acquire load in `exclude`: the sweeper sees the
//!   stack pointer and every word on the stack as the last suspend left them.
//! * P2: `running = 1`, light fence, load of `trimming` in `enter` <-> `trimming = 1`, heavy fence,
//!   load of `running` in `exclude`: at least one of the two loads sees the other side's store.
//! * P3: `trimming = 0`, released in `exclude` -> the acquire load in `enter`: what the sweeper
//!   dropped and wrote comes before what the goroutine does next.

use crate::primitive::{AtomicBool, Ordering, const_fn, heavy_fence, light_fence, spin_hint, yield_thread};

/// The maximum number of stacks that one call to [`exclude`] takes.
pub const BATCH: usize = 64;

/// Rounds of spinning before the first yield of the time slice.
const SPINS: u32 = 64;

/// The two flags of one stack.
///
/// All zero bytes represent a vacant stack.
#[derive(Debug)]
pub struct Occupancy {
    running: AtomicBool,
    trimming: AtomicBool,
}

impl Default for Occupancy {
    fn default() -> Self {
        Self::new()
    }
}

impl Occupancy {
    const_fn! {
        /// Creates the flags of a vacant stack.
        pub fn new() -> Self {
            Self { running: AtomicBool::new(false), trimming: AtomicBool::new(false) }
        }
    }

    /// Takes the stack for the thread that will run on it.
    ///
    /// Blocks the OS thread while the stack is being swept. Taking the stack twice has the same
    /// effect as taking it once.
    #[inline]
    pub fn enter(&self) {
        self.running.store(true, Ordering::Relaxed);
        // ORDERING P2: pairs with the heavy fence in `exclude`.
        light_fence();
        // ORDERING P3: acquire pairs with the last store in `exclude`.
        if self.trimming.load(Ordering::Acquire) {
            self.wait();
        }
    }

    #[cold]
    fn wait(&self) {
        let mut round = 0;
        // ORDERING P3: acquire pairs with the last store in `exclude`.
        while self.trimming.load(Ordering::Acquire) {
            if round < SPINS {
                round += 1;
                spin_hint();
            } else {
                yield_thread();
            }
        }
    }

    /// Releases the stack.
    ///
    /// The caller has already stored the stack's contents and the stack pointer.
    #[inline]
    pub fn leave(&self) {
        // ORDERING P1: release pairs with the load of `running` in `exclude`.
        self.running.store(false, Ordering::Release);
    }

    /// Returns `true` if a thread runs on the stack, as far as the caller can tell.
    #[inline]
    pub fn is_entered(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }
}

/// Keeps resumers off a batch of stacks while `act` runs.
///
/// Bit `i` of its argument is set if stack `i` is vacant, so that `act` may drop its dead pages or
/// read the live ones. Only one thread may call this at a time (I2); `act` must not panic.
pub fn exclude<'a, R>(batch: impl Iterator<Item = &'a Occupancy> + Clone, act: impl FnOnce(u64) -> R) -> R {
    for occupancy in batch.clone().take(BATCH) {
        occupancy.trimming.store(true, Ordering::Relaxed);
    }
    // ORDERING P2: pairs with the light fence in `enter`.
    heavy_fence();
    let vacant = batch.clone().take(BATCH).enumerate().fold(0, |vacant, (i, occupancy)| {
        // ORDERING P1: acquire pairs with the store in `leave`.
        vacant | u64::from(!occupancy.running.load(Ordering::Acquire)) << i
    });
    let result = act(vacant);
    for occupancy in batch.take(BATCH) {
        // ORDERING P3: release publishes what `act` did to a resumer that waits in `enter`.
        occupancy.trimming.store(false, Ordering::Release);
    }
    result
}
