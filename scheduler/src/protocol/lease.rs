//! An M's hold on its P: it costs the M almost nothing, and any other thread can take the P from an
//! M that does not return.
//!
//! # Protocol
//! Go stops a goroutine that runs too long with a signal. In Rust no instruction of user code is
//! known to be a safe place to stop, so the *P* is taken instead. The M continues computing, or
//! stays in its system call, without the P, and the P runs other goroutines on another M. The
//! *owner* is the thread of the M that the lease belongs to. It is *inside* while it runs scheduler
//! code that uses the P, and *outside* while it runs the goroutine's own code. A *retaker* is any
//! other thread (usually sysmon) that wants the P. The P may be taken only while the owner is
//! outside, and the owner must learn of the loss before it touches the P again.
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
//! Without fences both could load the old values, and both could use the P. With fences at least
//! one side sees the other's store. If only the owner does, the retaker has found it outside and
//! may take the P. If only the retaker does, it backs off. If both do, the retaker also backs off,
//! but the owner cannot distinguish this from the first case. So an owner that sees a notice takes
//! the mutex: once it has the mutex, the retaker is done, and `notice` tells the outcome.
//!
//! The owner enters millions of times a second, while the retaker tries a few times a second, so
//! the fences are unequal. The owner's fence restrains only the compiler. The retaker's is a
//! `membarrier`, which makes every thread of the process execute a full fence. Plain stores suffice
//! for the owner because `inside` has no other writer: there is nothing to compare or exchange,
//! only an order to keep.
//!
//! # Rejected
//! * A compare-and-swap on one word at each entry: 4.7 ns against 0.4 (and 9.0 if the exit swaps
//!   too).
//! * A sequentially consistent fence at each entry: 4.7 ns.
//! * A lock around each entry: 9.6 ns, and the retaker would block behind a descheduled owner.
//! * A signal to the owner's thread: it would interrupt the very system calls that make an owner
//!   late, user code would see `EINTR`, and the handler could only set a flag, which `notice`
//!   already is.
//! * A time stamp or tick alone, without a handshake: it says that the owner *was* outside, not
//!   that it still is.
//!
//! # Lending
//! A retaker may want the P only for a moment, while the owner continues computing. Such a borrower
//! *gives the P back* ([`Lease::give_back`]) if the owner has not noticed the loss. The owner
//! notices the loss under the mutex and records that it has (`GONE`), so the two cannot miss each
//! other. If the borrower takes the mutex first, the owner never learns that the P was away. If the
//! owner takes it first, the borrower keeps the P. No fence is needed: an owner that reads `NONE`
//! without the mutex reads the borrower's store, and an owner that reads anything else takes the
//! mutex.
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
//! * I3: `GONE` stays until the owner has another P and calls `renew`. `TAKEN` stays until the
//!   owner changes it to `GONE`, or the P is given back. A P is never taken from a lease in either
//!   state.
//! * I4: the owner uses its P only between an `enter` that returned `true` (or a `renew`) and the
//!   next `exit`.
//! * I5: only the M that has the P gives it back, and does not use it afterwards.
//!
//! # Orderings
//! * P1: `inside = 0`, released in `exit` -> the acquire load in `try_take`: everything that the
//!   owner did with the P is visible to the retaker that takes it.
//! * P2: `inside = 1`, light fence, load of `notice` in `enter` <-> `notice = ASKED`, heavy fence,
//!   load of `inside` in `try_take`: at least one of the two loads sees the other side's store.
//! * P3: `notice = NONE`, released in `try_take` -> the acquire load in `enter`: whatever a `check`
//!   read from the P, it read before the owner writes there again.
//! * P4: the mutex: a retaker's decision is visible to the owner that waited for it, and the stores
//!   of `renew` and `release` are visible to the next retaker and to the M that gives the P back.
//! * P5: `notice = NONE`, released in `give_back` -> the acquire load in `enter`: everything that
//!   was done with the P while it was away is visible to the owner once it has the P again.
//!
//! # See also
//! `retake` and `exitsyscall` in Go's `proc.go`; "Asymmetric Dekker synchronization" (Dice, Huang,
//! Yang). The models are in `scheduler/models/tests/lease.rs`.

use crate::primitive::{AtomicBool, AtomicU8, Mutex, MutexGuard, Ordering, heavy_fence, light_fence};

/// No retaker is active: the P is the owner's.
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
    // Written by the owner, read by retakers.
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
    /// May wait for a retaker that is deciding, for as long as the retaker's fence and `check`
    /// take. Entries do not nest: one `exit` ends the last `enter`. After `false` the owner is in
    /// scheduler code without a P. There is nothing to take from it, an `exit` is allowed but not
    /// needed, and `enter` returns `false` again until the owner has called [`renew`](Self::renew).
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

    /// Returns `true` if the P was taken, or may be about to be taken (owner).
    ///
    /// For an owner that is about to do something that takes longer than [`enter`](Self::enter).
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
    /// Returns `true` if the retaker left the P to the owner.
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

    /// Records that the owner has a P (its first or another one) and is inside.
    ///
    /// The P must already be the owner's alone: this only lets retakers take it again.
    #[cold]
    pub fn renew(&self) {
        let _guard = self.lock();
        // ORDERING P4: the mutex publishes both stores to the next retaker.
        self.inside.store(true, Ordering::Relaxed);
        self.notice.store(NONE, Ordering::Relaxed);
    }

    /// Releases the P from inside (owner), for example when the owner goes idle or is about to
    /// block.
    ///
    /// The owner is outside afterwards. The caller decides what becomes of the P, which no retaker
    /// can take anymore.
    #[cold]
    pub fn release(&self) {
        let _guard = self.lock();
        // ORDERING P4: a later retaker sees GONE and does not ask; the mutex rules out a retaker in
        // between.
        self.notice.store(GONE, Ordering::Relaxed);
        self.inside.store(false, Ordering::Relaxed);
    }

    /// Takes the P if the owner is outside and `check` agrees (retaker).
    ///
    /// Returns `true` if the P is the caller's.
    ///
    /// Also returns `false` if there is no P under this lease. `check` runs while the owner cannot
    /// use the P: in it the caller verifies that its reason for wanting the P still holds (is it
    /// still the same P, the same tick?), and may read data that otherwise only the owner reads.
    /// `check` must be short and must not block, since the owner may be waiting for it. The call
    /// costs a heavy fence (8.5 us if other CPUs run this process), and an owner that enters at
    /// that moment waits for it. So look at the owner's tick first.
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
        // ORDERING P3: release; `check` read the P before this store, and the owner writes to the P
        // only after it has read this NONE.
        self.notice.store(if taken { TAKEN } else { NONE }, Ordering::Release);
        taken
    }

    /// Gives back to the owner a P that was taken through this lease, if the owner has not noticed
    /// the loss (called by the M that has the P, I5).
    ///
    /// Returns `true` if it did: the P is the owner's again, as if it had never been taken. After
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
        // A `check` that panicked left ASKED behind. The owner then checks under the mutex, and
        // keeps its P.
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
