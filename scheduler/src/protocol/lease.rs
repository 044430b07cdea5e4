//! An M's hold on its P: free for the M to use, while any other thread can take the P from an M
//! that does not come back.
//!
//! # Protocol
//! Go stops a goroutine that runs too long with a signal. In Rust no instruction of user code is
//! known to be a safe place to stop at, so the *P* is taken instead: the M goes on computing, or
//! stays in its system call, without it, and the P runs other goroutines on another M. The *owner*
//! is the thread of the M that the lease belongs to. It is *inside* while it runs scheduler code
//! that uses the P, and *outside* while it runs the goroutine's own code. A *retaker* is any other
//! thread (usually sysmon) that wants the P. The P may be taken only while the owner is outside,
//! and the owner must learn of it before it touches the P again.
//!
//! This is Dekker's problem: each side stores its own word, then loads the other's.
//!
//! ```text
//!     owner, enter                       retaker, try_take (under the mutex)
//!     inside = 1                         notice = ASKED
//!     light fence                        heavy fence
//!     notice == NONE?  use the P         inside == 0?  notice = TAKEN, the P is the retaker's
//!     else: slow path                    else: notice = NONE, the owner keeps it
//! ```
//!
//! Without fences both could load the old values, and both use the P. With them at least one sees
//! the other. If only the owner sees, the retaker has found it outside and may take the P. If only
//! the retaker sees, it backs off. If both see, it backs off too, but the owner cannot tell this
//! from the first case. So an owner that sees a notice takes the mutex: then the retaker is done,
//! and `notice` tells the outcome.
//!
//! The owner enters millions of times a second and the retaker tries a few times a second, so the
//! fences are unequal: the owner's stops only the compiler, and the retaker's is a `membarrier`,
//! which makes every thread of the process execute a full fence. Plain stores suffice for the owner
//! because `inside` has no other writer: there is nothing to compare or exchange, only an order to
//! keep.
//!
//! # Rejected
//! * A compare-and-swap on one word at each entry: 4.7 ns against 0.4 (and 9.0 if the exit swaps
//!   too).
//! * A sequentially consistent fence at each entry: 4.7 ns.
//! * A lock around each entry: 9.6 ns, and the retaker would block behind a descheduled owner.
//! * A signal to the owner's thread: it interrupts the very system calls that make an owner late,
//!   user code would see `EINTR`, and the handler could only set the flag that `notice` already is.
//! * A time stamp or tick alone, without a handshake: it says that the owner *was* outside, not
//!   that it still is.
//!
//! # Lending
//! A retaker may want the P for a moment only, while the owner goes on computing: the borrower then
//! *gives it back* ([`Lease::give_back`]), if the owner has not noticed the loss. The owner notices
//! under the mutex and records it there (`GONE`), so the two cannot miss each other: either the
//! borrower comes first, and the owner never learns that the P was away, or the owner does, and the
//! borrower keeps the P. No fence is needed: an owner that reads `NONE` without the mutex reads the
//! borrower's store, and one that reads anything else takes the mutex.
//!
//! # States
//!
//! | `inside` | `notice` | meaning | may use the P |
//! | --- | --- | --- | --- |
//! | 1 | `NONE` | the owner is in scheduler code | owner |
//! | 0 | `NONE` | the owner is in user code | no thread |
//! | 1 | `ASKED` | the owner was in first, or has just come and waits | the owner, if first |
//! | 0 | `ASKED` | a retaker decides | no thread; its `check` may look at it |
//! | any | `TAKEN` | no P here, and the owner does not know | the retaker, or its successor |
//! | any | `GONE` | no P here, and the owner knows | the same, or the owner's successor |
//!
//! # Invariants
//! * I1: `inside` is written by the owner only.
//! * I2: `notice` is written under the mutex only.
//! * I3: `GONE` stays until the owner has another P and calls `renew`; `TAKEN` until the owner
//!   makes it `GONE`, or the P is given back. A lease in either state is never taken.
//! * I4: the owner uses its P only between an `enter` that returned `true` (or a `renew`) and the
//!   next `exit`.
//! * I5: only the M that has the P gives it back, and does not use it afterwards.
//!
//! # Orderings
//! * P1: `inside = 0`, released in `exit` -> the acquire load in `try_take`: everything that the
//!   owner did with the P is visible to the retaker that takes it.
//! * P2: `inside = 1`, light fence, load of `notice` in `enter` <-> `notice = ASKED`, heavy fence,
//!   load of `inside` in `try_take`: at least one of the two loads sees the other side's store.
//! * P3: `notice = NONE`, released in `try_take` -> the acquire load in `enter`: what a `check`
//!   read of the P, it read before the owner writes there again.
//! * P4: the mutex: what a retaker decided is visible to an owner that waited for it, and what
//!   `renew` and `release` store is visible to the next retaker, and to the M that gives the P
//!   back.
//! * P5: `notice = NONE`, released in `give_back` -> the acquire load in `enter`: everything that
//!   was done with the P while it was away is visible to the owner that has it again.
//!
//! # See also
//! `retake` and `exitsyscall` in Go's `proc.go`; "Asymmetric Dekker synchronization" (Dice, Huang,
//! Yang). The models are in `scheduler/models/tests/lease.rs`.

use crate::primitive::{AtomicBool, AtomicU8, Mutex, MutexGuard, Ordering, heavy_fence, light_fence};

/// No retaker is at work: the P is the owner's.
const NONE: u8 = 0;
/// A retaker holds the mutex and is about to decide.
const ASKED: u8 = 1;
/// A retaker has taken the P, and the owner has not noticed.
const TAKEN: u8 = 2;
/// There is no P under this lease, and the owner knows.
const GONE: u8 = 3;

/// One M's hold on its P, as described in the module's documentation.
#[derive(Debug)]
pub struct Lease {
    // The owner writes it, retakers read it.
    inside: AtomicBool,
    // Written under `decision`; the owner reads it at each entry.
    notice: AtomicU8,
    // Held by one retaker at a time; the owner also takes it to wait for a retaker's decision.
    decision: Mutex<()>,
}

impl Default for Lease {
    fn default() -> Self {
        Self::new()
    }
}

impl Lease {
    /// Creates the lease of an M that has no P yet.
    ///
    /// `enter` returns `false` until [`renew`](Self::renew).
    pub fn new() -> Self {
        Self { inside: AtomicBool::new(false), notice: AtomicU8::new(GONE), decision: Mutex::new(()) }
    }

    /// Goes inside (owner).
    ///
    /// Returns `true` if the P is still there.
    ///
    /// May wait for a retaker that is deciding, for as long as its fence and its `check` take.
    /// Entries do not nest: one `exit` ends the last `enter`. After `false` the owner is in
    /// scheduler code without a P: there is nothing to take from it, an `exit` is allowed but not
    /// needed, and it gets `false` again until it has called [`renew`](Self::renew).
    #[inline]
    #[must_use = "without the P, nothing of it may be touched"]
    pub fn enter(&self) -> bool {
        // I1. ORDERING P2: the light fence keeps this store before the load below.
        self.inside.store(true, Ordering::Relaxed);
        light_fence();
        // ORDERING P2; P3, P5: acquire pairs with the NONE of a retaker that backed off, or of the
        // M that gave the P back.
        if self.notice.load(Ordering::Acquire) == NONE { true } else { self.enter_noticed() }
    }

    /// Returns `true` if the P was taken, or may just be being taken (owner).
    ///
    /// For an owner that is about to do something that takes longer than an [`enter`](Self::enter).
    #[inline]
    pub fn is_noticed(&self) -> bool {
        // ORDERING: relaxed, a hint; `enter` is the exact answer.
        self.notice.load(Ordering::Relaxed) != NONE
    }

    /// Goes outside (owner).
    ///
    /// From here on the P may be taken.
    #[inline]
    pub fn exit(&self) {
        // I1. ORDERING P1: release hands the owner's use of the P to the retaker that sees the 0.
        self.inside.store(false, Ordering::Release);
    }

    /// Waits for the retaker's decision.
    ///
    /// Returns `true` if it left the P.
    #[cold]
    fn enter_noticed(&self) -> bool {
        let _decided = self.lock();
        // ORDERING P4: written under the mutex only (I2). `inside` was set to 1 before, so the next
        // retaker backs off.
        match self.notice.load(Ordering::Relaxed) {
            TAKEN => {
                // From here on the P is never given back.
                self.notice.store(GONE, Ordering::Relaxed);
                false
            }
            notice => notice != GONE,
        }
    }

    /// Records that the owner has a P (its first, or another one) and is inside.
    ///
    /// The P must already be the owner's alone: this only lets retakers take it again.
    #[cold]
    pub fn renew(&self) {
        let _guard = self.lock();
        // ORDERING P4: the mutex publishes both stores to the next retaker.
        self.inside.store(true, Ordering::Relaxed);
        self.notice.store(NONE, Ordering::Relaxed);
    }

    /// Gives up the P from inside (owner), for example when it goes idle or is about to block.
    ///
    /// The owner is outside afterwards. The caller decides what becomes of the P, which no retaker
    /// can take anymore.
    #[cold]
    pub fn release(&self) {
        let _guard = self.lock();
        // ORDERING P4: a later retaker sees GONE and does not ask; the mutex rules out one in
        // between.
        self.notice.store(GONE, Ordering::Relaxed);
        self.inside.store(false, Ordering::Relaxed);
    }

    /// Takes the P if the owner is outside and `check` agrees (retaker).
    ///
    /// Returns `true` if the P is the caller's.
    ///
    /// Also returns `false` if there is no P under this lease. `check` runs while the owner cannot
    /// use the P: there the caller verifies the reason for which it wanted the P (is it still the
    /// same P, the same tick?), and may read what otherwise only the owner reads. It must be short
    /// and must not block, since the owner may be waiting for it. The call costs a heavy fence (8.5
    /// us if other CPUs run this process), and an owner that enters at that moment waits for it:
    /// check its tick first.
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
        // ORDERING P3: release; the owner writes to the P after it has read this NONE, and `check`
        // read it before.
        self.notice.store(if taken { TAKEN } else { NONE }, Ordering::Release);
        taken
    }

    /// Gives a P that was taken here back to the owner, if the owner has not noticed (called by the
    /// M that has the P, I5).
    ///
    /// Returns `true` if it did: the P is the owner's again as if it had never been taken. After
    /// `false` the P is still the caller's. `record` runs before the owner can use the P.
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

    /// Returns `true` if the P was taken and the owner had not noticed a moment ago (retaker).
    pub fn is_taken(&self) -> bool {
        // ORDERING: relaxed, a hint; `give_back` is the exact answer.
        self.notice.load(Ordering::Relaxed) == TAKEN
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // A `check` that panicked left ASKED behind: the owner then asks under the mutex, and keeps
        // its P.
        self.decision.lock()
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

    // SAFETY: `uses` is touched only by the thread that has the P, which is what the test verifies.
    unsafe impl Sync for P {}

    impl P {
        fn use_it(&self) {
            // SAFETY: I4 for the owner; a successful try_take for the retaker.
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
