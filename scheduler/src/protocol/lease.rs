//! An M's hold on its P: free for the M to use, and yet anyone can take the P away from an M that does not come back.
//!
//! # Protocol
//! Go stops a goroutine that runs too long with a signal. In Rust no instruction of user code is known to be a safe
//! place to stop at, so the *P* is taken instead: the M goes on computing, or stays in its system call, without it,
//! and the P runs other goroutines on another M. The *owner* is the thread of the M that the lease belongs to. It is
//! *inside* while it runs scheduler code that uses the P, and *outside* while it runs the goroutine's own code. A
//! *monitor* is any other thread (sysmon, mostly) that wants the P. The P may be taken only while the owner is outside,
//! and the owner must learn of it before it touches the P again.
//!
//! This is Dekker's problem: each side stores its own word, then loads the other's.
//!
//! ```text
//!     owner, enter                       monitor, try_take (under the mutex)
//!     inside = 1                         notice = ASKED
//!     light fence                        heavy fence
//!     notice == NONE?  use the P         inside == 0?  notice = TAKEN, the P is the monitor's
//!     else: slow path                    else: notice = NONE, the owner keeps it
//! ```
//!
//! Without fences both could load the old values, and both use the P. With them at least one sees the other. If only
//! the owner sees, the monitor has found it outside and may take. If only the monitor sees, it backs off. If both see,
//! it backs off too, but the owner cannot tell this from the first case. So an owner that sees a notice takes the mutex:
//! then the monitor is done, and `notice` says how it ended.
//!
//! The owner enters millions of times a second, the monitor tries a few times a second, so the fences are unequal: the
//! owner's stops only the compiler, and the monitor's is a `membarrier`, which makes every thread of the process pass
//! a full fence. Plain stores suffice for the owner because `inside` has no other writer: there is nothing to compare
//! or exchange, only an order to keep.
//!
//! Rejected:
//! * a compare-and-swap on one word at each entry: 4.7 ns against 0.4 (and 9.0 if the exit swaps too);
//! * a sequentially consistent fence at each entry: 4.7 ns;
//! * a lock around each entry: 9.6 ns, and the monitor would block behind a descheduled owner;
//! * a signal to the owner's thread: it interrupts the very system calls that make an owner late, user code would see
//!   `EINTR`, and the handler could do no more than set the flag that `notice` already is;
//! * a time stamp or tick alone, without a handshake: it says that the owner *was* outside, not that it still is.
//!
//! # Lending
//! A monitor may want the P for a moment only, while the owner goes on computing: whoever has it then *gives it back*
//! ([`Lease::give_back`]), if the owner has not noticed the loss. The owner notices under the mutex, and says so there
//! (`GONE`), so the two cannot miss each other: either the giver comes first, and the owner never learns that the P
//! was away, or the owner does, and the giver keeps the P. No fence is needed: an owner that reads `NONE` without the
//! mutex reads the giver's store, and one that reads anything else takes the mutex.
//!
//! # States
//!
//! | `inside` | `notice` | meaning | who may use the P |
//! | --- | --- | --- | --- |
//! | 1 | `NONE` | the owner is in scheduler code | owner |
//! | 0 | `NONE` | the owner is in user code | nobody |
//! | 1 | `ASKED` | the owner was in before a monitor asked, or has just come and waits | owner, if in before |
//! | 0 | `ASKED` | a monitor has asked, and decides | nobody; its `check` may look at it |
//! | any | `TAKEN` | the lease has no P, and the owner does not know | the monitor, and whom it gives the P to |
//! | any | `GONE` | the lease has no P, and the owner knows | as above, or whom the owner gave it to |
//!
//! # Invariants
//! * I1: `inside` is written by the owner only.
//! * I2: `notice` is written under the mutex only.
//! * I3: `GONE` stays until the owner has another P and calls `renew`; `TAKEN` until the owner makes it `GONE`, or the
//!   P is given back. A lease that is either is never taken.
//! * I4: the owner uses its P only between an `enter` that said true (or a `renew`) and the next `exit`.
//! * I5: only who has the P gives it back, and does not use it afterwards.
//!
//! # Orderings
//! * P1: `inside = 0`, released in `exit` -> the acquire load in `try_take`: all that the owner did with the P is
//!   visible to the monitor that takes it.
//! * P2: `inside = 1`, light fence, load of `notice` in `enter` <-> `notice = ASKED`, heavy fence, load of `inside` in
//!   `try_take`: at least one of the two loads sees the other side's store.
//! * P3: `notice = NONE`, released in `try_take` -> the acquire load in `enter`: what a `check` read of the P, it read
//!   before the owner writes there again.
//! * P4: the mutex: what a monitor decided is visible to an owner that waited for it, and what `renew` and `release`
//!   store is visible to the next monitor, and to whoever gives the P back.
//! * P5: `notice = NONE`, released in `give_back` -> the acquire load in `enter`: all that was done with the P while it
//!   was away is visible to the owner that has it again.
//!
//! # See also
//! `retake` and `exitsyscall` in Go's `proc.go`; "Asymmetric Dekker synchronization" (Dice, Huang, Yang). The models
//! are in `scheduler/models/tests/lease.rs`.

use crate::primitive::{AtomicBool, AtomicU8, Mutex, MutexGuard, Ordering, heavy_fence, light_fence};

/// No monitor is at work: the P is the owner's.
const NONE: u8 = 0;
/// A monitor holds the mutex and is about to decide.
const ASKED: u8 = 1;
/// A monitor has taken the P, and the owner has not noticed.
const TAKEN: u8 = 2;
/// There is no P under this lease, and the owner knows.
const GONE: u8 = 3;

/// One M's hold on its P. See the module's documentation.
#[derive(Debug)]
pub struct Lease {
    // Owner writes, monitors read.
    inside: AtomicBool,
    // Written under `monitor`; the owner reads it at each entry.
    notice: AtomicU8,
    // One monitor at a time; also ends the owner's wait for the monitor's decision.
    monitor: Mutex<()>,
}

impl Default for Lease {
    fn default() -> Self {
        Self::new()
    }
}

impl Lease {
    /// The lease of an M that has no P yet: `enter` says false until [`renew`](Self::renew).
    pub fn new() -> Self {
        Self { inside: AtomicBool::new(false), notice: AtomicU8::new(GONE), monitor: Mutex::new(()) }
    }

    /// Owner: goes inside, and says whether the P is still there.
    ///
    /// May wait for a monitor that is just deciding, for as long as its fence and its `check` take. Entries do not
    /// nest: one `exit` ends the last `enter`. After false the owner is in scheduler code without a P: there is nothing
    /// to take from it, an `exit` is allowed but not needed, and it gets false again until it has called
    /// [`renew`](Self::renew).
    #[inline]
    #[must_use = "without the P, nothing of it may be touched"]
    pub fn enter(&self) -> bool {
        // I1. ORDERING P2: the light fence keeps this store before the load below.
        self.inside.store(true, Ordering::Relaxed);
        light_fence();
        // ORDERING P2; P3, P5: acquire pairs with the NONE of a monitor that backed off, or of who gave the P back.
        if self.notice.load(Ordering::Acquire) == NONE { true } else { self.enter_noticed() }
    }

    /// Owner: whether the P was taken, or may just be. For who has something to do that takes longer than an
    /// [`enter`](Self::enter).
    #[inline]
    pub fn is_noticed(&self) -> bool {
        // ORDERING: relaxed, a hint; `enter` says it for certain.
        self.notice.load(Ordering::Relaxed) != NONE
    }

    /// Owner: goes outside. From here on the P may be taken.
    #[inline]
    pub fn exit(&self) {
        // I1. ORDERING P1: release hands the owner's use of the P to the monitor that sees the 0.
        self.inside.store(false, Ordering::Release);
    }

    /// Waits for the monitor's decision, and says whether it left the P.
    #[cold]
    fn enter_noticed(&self) -> bool {
        let _decided = self.lock();
        // ORDERING P4: written under the mutex only (I2). `inside` is 1 since before, so the next monitor backs off.
        match self.notice.load(Ordering::Relaxed) {
            TAKEN => {
                // From here on nobody gives it back.
                self.notice.store(GONE, Ordering::Relaxed);
                false
            }
            notice => notice != GONE,
        }
    }

    /// Owner: it has a P (its first, or another one), and is inside.
    ///
    /// The P must be the owner's alone already: this only lets monitors take it again.
    #[cold]
    pub fn renew(&self) {
        let _guard = self.lock();
        // ORDERING P4: the mutex publishes both stores to the next monitor.
        self.inside.store(true, Ordering::Relaxed);
        self.notice.store(NONE, Ordering::Relaxed);
    }

    /// Owner: gives the P up of its own accord, from inside, as when it goes idle or is about to block. It is outside
    /// afterwards, and the caller decides what becomes of the P, which no monitor can take any more.
    #[cold]
    pub fn release(&self) {
        let _guard = self.lock();
        // ORDERING P4: a monitor that comes later sees GONE and asks no further; none is in between, by the mutex.
        self.notice.store(GONE, Ordering::Relaxed);
        self.inside.store(false, Ordering::Relaxed);
    }

    /// Monitor: takes the P if the owner is outside and `check` agrees; true means that the P is the caller's.
    ///
    /// False also if there is no P under this lease. `check` runs while the owner cannot use the P: there the caller
    /// looks again at what made it want the P (is it still the same P, the same tick?), and may read what else only the
    /// owner reads. It must be short and must not block, since the owner may be waiting for it. Costs a heavy fence
    /// (8.5 us if other CPUs run this process), which an owner that enters just then waits for: look at its tick first.
    #[cold]
    pub fn try_take(&self, check: impl FnOnce() -> bool) -> bool {
        let _guard = self.lock();
        // I3. ORDERING P4: written under the mutex only (I2).
        if matches!(self.notice.load(Ordering::Relaxed), TAKEN | GONE) {
            return false;
        }
        // ORDERING P2: the heavy fence keeps this store before the load of `inside`.
        self.notice.store(ASKED, Ordering::Relaxed);
        heavy_fence();
        // ORDERING P1, P2: acquire takes over what the owner did with the P.
        let taken = !self.inside.load(Ordering::Acquire) && check();
        // ORDERING P3: release; the owner writes to the P after it has read this NONE, and `check` read it before.
        self.notice.store(if taken { TAKEN } else { NONE }, Ordering::Release);
        taken
    }

    /// Whoever has the P that was taken here (I5): gives it back, if the owner has not noticed. True if it did; the P is
    /// the owner's again as if nobody had taken it. False: the P is still the caller's. `record` runs before the owner
    /// can use the P.
    #[cold]
    #[must_use = "the P is the caller's or the owner's"]
    pub fn give_back(&self, record: impl FnOnce()) -> bool {
        let _guard = self.lock();
        // ORDERING P4: written under the mutex only (I2).
        if self.notice.load(Ordering::Relaxed) != TAKEN {
            return false;
        }
        record();
        // ORDERING P5: release hands the P over.
        self.notice.store(NONE, Ordering::Release);
        true
    }

    /// Monitor: whether the P was taken and the owner has not noticed; of a moment ago.
    pub fn is_taken(&self) -> bool {
        // ORDERING: relaxed, a hint; `give_back` says it for certain.
        self.notice.load(Ordering::Relaxed) == TAKEN
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // A `check` that panicked left ASKED behind: the owner then asks under the mutex, and keeps its P.
        self.monitor.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::{AtomicU64, AtomicUsize, UnsafeCell};
    use std::time::{Duration, Instant};

    #[test]
    fn a_new_lease_has_no_p() {
        let lease = Lease::new();
        assert!(!lease.enter());
        assert!(!lease.try_take(|| unreachable!("there is nothing to take")));
        lease.renew();
        lease.exit();
        assert!(lease.enter());
    }

    #[test]
    fn taken_outside_only_and_sticks_until_renewed() {
        let lease = Lease::new();
        lease.renew();
        assert!(!lease.try_take(|| unreachable!("the owner is inside")));
        lease.exit();
        assert!(!lease.try_take(|| false));
        assert!(lease.enter(), "nobody took it");
        lease.exit();
        assert!(lease.try_take(|| true));
        assert!(!lease.try_take(|| true), "it is gone");
        assert!(!lease.enter());
        assert!(!lease.enter());
        lease.exit();
        lease.renew();
        assert!(!lease.try_take(|| true), "renew is inside");
    }

    #[test]
    fn given_back_unless_the_owner_has_noticed() {
        let lease = Lease::new();
        assert!(!lease.give_back(|| unreachable!("nothing was taken")));
        lease.renew();
        lease.exit();
        assert!(!lease.give_back(|| unreachable!("it is the owner's")));
        assert!(lease.try_take(|| true) && lease.is_taken());
        assert!(lease.give_back(|| ()) && !lease.is_taken());
        assert!(lease.enter(), "it is back");
        lease.exit();
        assert!(lease.try_take(|| true));
        assert!(!lease.enter() && !lease.is_taken());
        assert!(!lease.give_back(|| unreachable!("the owner knows")));
        assert!(!lease.enter());
    }

    #[test]
    fn released_is_gone() {
        let lease = Lease::new();
        lease.renew();
        lease.release();
        assert!(!lease.try_take(|| true));
        assert!(!lease.enter());
    }

    #[test]
    fn a_panic_in_check_leaves_the_p() {
        let lease = Lease::new();
        lease.renew();
        lease.exit();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lease.try_take(|| panic!("check"))));
        assert!(result.is_err());
        assert!(lease.enter());
        lease.exit();
        assert!(lease.try_take(|| true));
    }

    struct P {
        lease: Lease,
        // Deliberately not atomic: a lost update shows that two threads used the P at once.
        uses: UnsafeCell<u64>,
        gone: AtomicUsize,
    }

    // SAFETY: `uses` is touched by whoever has the P, which is what the test is about.
    unsafe impl Sync for P {}

    impl P {
        fn use_it(&self) {
            // SAFETY: I4 for the owner; a successful try_take for the monitor.
            self.uses.with_mut(|n| unsafe { n.write_volatile(n.read_volatile() + 1) });
        }
    }

    #[test]
    fn owner_and_monitor_never_use_the_p_at_once() {
        crate::machine::sys::fence::init();
        let p = P { lease: Lease::new(), uses: UnsafeCell::new(0), gone: AtomicUsize::new(0) };
        let counted = AtomicU64::new(0);
        p.lease.renew();
        let end = Instant::now() + Duration::from_millis(300);
        std::thread::scope(|s| {
            s.spawn(|| {
                let mut mine = 0;
                while Instant::now() < end {
                    for _ in 0..1000 {
                        p.lease.exit();
                        if p.lease.enter() {
                            p.use_it();
                            mine += 1;
                        } else if p.gone.load(Ordering::Acquire) == 1 {
                            p.gone.store(0, Ordering::Relaxed);
                            p.lease.renew();
                        }
                    }
                }
                p.lease.exit();
                counted.fetch_add(mine, Ordering::Relaxed);
            });
            let mut mine = 0;
            while Instant::now() < end {
                if p.lease.try_take(|| true) {
                    for _ in 0..100 {
                        p.use_it();
                        mine += 1;
                    }
                    p.gone.store(1, Ordering::Release);
                }
            }
            counted.fetch_add(mine, Ordering::Relaxed);
        });
        // SAFETY: the threads have ended.
        assert_eq!(p.uses.with(|n| unsafe { *n }), counted.into_inner());
    }
}
