//! Waits with a deadline, for tests: queues like a channel's, and a rendezvous without such a lock.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::claim::{Case, Claim, TakenFrom};
use greenthread_scheduler::protocol::lock::RawLock;
use greenthread_scheduler::protocol::sync::wait_list::{WaitList, WaitNode};
use greenthread_scheduler::wait::{Blocker, Waker};

/// Returns a deadline that no test lives to see.
pub fn never() -> Instant {
    let thousand_years = Duration::from_secs(1000 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(thousand_years).unwrap_or(now + Duration::from_secs(3600))
}

/// A queue of waiters that each wait for a number.
#[derive(Default)]
pub struct Queue {
    lock: RawLock,
    waiters: UnsafeCell<WaitList<Waiter>>,
}

// SAFETY: the list of waiters is accessed only under the lock.
unsafe impl Send for Queue {}
// SAFETY: the list of waiters is accessed only under the lock.
unsafe impl Sync for Queue {}

#[derive(Clone, Copy)]
struct Waiter {
    case: Case,
    slot: NonNull<Cell<Option<u64>>>,
    waker: Waker,
}

impl Queue {
    /// # Safety
    /// The caller holds the lock, and no other reference from this method is alive.
    #[expect(clippy::mut_from_ref, reason = "exclusive by the lock")]
    unsafe fn waiters(&self) -> &mut WaitList<Waiter> {
        // SAFETY: the caller holds the lock, so nothing else accesses the list.
        unsafe { &mut *self.waiters.get() }
    }

    /// Gives `value` to the longest waiter; returns `false` if nothing waits.
    pub fn deliver(&self, value: u64) -> bool {
        self.lock.lock();
        let found = loop {
            // SAFETY: the lock is held since the top of this function.
            let Some(node) = (unsafe { self.waiters().pop_front() }) else { break None };
            // SAFETY: the node was in the queue until now, and its owner cannot free it before it
            // takes the lock, which is held here.
            let waiter = unsafe { node.as_ref() }.value;
            // SAFETY: the case was found and unlinked while this lock was held.
            if unsafe { waiter.case.reserve() } {
                // SAFETY: the case is reserved, so the owner keeps the slot until it is woken.
                unsafe { waiter.slot.as_ref() }.set(Some(value));
                break Some(waiter.waker);
            }
        };
        // SAFETY: this function took the lock above.
        unsafe { self.lock.unlock() };
        // SAFETY: this is the one wake of the operation that was reserved, and the lock is
        // released.
        found.map(|waker| unsafe { waker.wake() }).is_some()
    }
}

/// Waits in all queues at once.
///
/// Returns the index of the queue and the value that came, or `None` if nothing came before the
/// deadline. All callers name the queues in the same order, as the locks are held together.
pub fn wait_until<const N: usize>(queues: [&Queue; N], deadline: Instant) -> Option<(usize, u64)> {
    wait_until_after(queues, deadline, |_| ())
}

/// Like [`wait_until`], but calls `before` once the deadline is set and before any lock is taken.
pub fn wait_until_after<const N: usize>(
    queues: [&Queue; N],
    deadline: Instant,
    before: impl FnOnce(&Claim),
) -> Option<(usize, u64)> {
    let (blocker, claim, commits) = (Blocker::new(), Claim::shut(), Cell::new(0));
    let slots = [const { Cell::new(None) }; N];
    let nodes: [_; N] = std::array::from_fn(|n| {
        let case = Case::of(NonNull::from(&claim), n);
        WaitNode::new(Waiter { case, slot: NonNull::from(&slots[n]), waker: blocker.waker() })
    });
    let wait = |timed: greenthread_scheduler::deadline::Timed<'_>| {
        before(&claim);
        for (queue, node) in queues.iter().zip(&nodes) {
            queue.lock.lock();
            // SAFETY: the lock of this queue is held. The node is removed below, before this frame
            // ends.
            unsafe { queue.waiters().push_back(NonNull::from(node)) };
        }
        let counter = &commits;
        let commit = move || {
            counter.set(counter.get() + 1);
            for queue in queues {
                // SAFETY: the loop before the wait took this lock.
                unsafe { queue.lock.unlock() };
            }
        };
        // SAFETY: every lock is taken once more below before the frame ends. Peers take the claim
        // under one of these locks.
        unsafe { timed.block(WaitReason::Select, commit) };
    };
    // SAFETY: the claim is new and shut, and only this wait opens it.
    unsafe { blocker.with_deadline(deadline, &claim, N, wait) };
    for (queue, node) in queues.iter().zip(&nodes) {
        queue.lock.lock();
        // SAFETY: the lock is held, and the node is in this queue or in none.
        unsafe { queue.waiters().remove(NonNull::from(node)) };
        // SAFETY: this loop took the lock above.
        unsafe { queue.lock.unlock() };
    }
    assert_eq!(commits.get(), 1);
    let winner = claim.winner().expect("the wait has ended, so the claim has a winner");
    for (n, slot) in slots.iter().enumerate() {
        assert_eq!(slot.get().is_some(), n == winner, "case {n}: only the winner has a value");
    }
    if winner == N {
        assert!(Instant::now() >= deadline, "the wait ended before its deadline");
    }
    slots.get(winner).map(|slot| (winner, slot.get().expect("checked above")))
}

/// A rendezvous of a waiter and a peer, without a lock that the waiter holds until it has parked.
#[derive(Default)]
pub struct Introduction(Mutex<Option<Guest>>);

struct Guest {
    claim: NonNull<Claim>,
    slot: NonNull<Cell<Option<u64>>>,
    waker: Waker,
}

// SAFETY: peers access the guest's frame only under the lock of the rendezvous, and the owner takes
// the guest back under that lock before the frame ends.
unsafe impl Send for Guest {}

impl Introduction {
    const PEER: usize = 0;
    const DEADLINE: usize = 1;

    /// Waits for a peer.
    ///
    /// Calls `before` when a peer may already come but the wait has yet to begin.
    pub fn wait_until(&self, deadline: Instant, before: impl FnOnce()) -> Option<u64> {
        let (blocker, claim, slot) = (Blocker::new(), Claim::shut(), Cell::new(None));
        let guest = Guest { claim: NonNull::from(&claim), slot: NonNull::from(&slot), waker: blocker.waker() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(guest);
        before();
        // SAFETY: the claim is new and shut, and only this wait opens it. There is nothing to
        // commit, and peers take the claim with `take_early`.
        unsafe { blocker.block_until(WaitReason::Select, deadline, &claim, Self::DEADLINE, || ()) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match claim.winner() {
            Some(Self::DEADLINE) => None,
            winner => {
                assert_eq!(winner, Some(Self::PEER));
                Some(slot.get().expect("the winner has left a value"))
            }
        }
    }

    /// Gives `value` to the waiter.
    ///
    /// Returns `None` if there is no waiter, or if another peer or the deadline was faster.
    pub fn visit(&self, value: u64) -> Option<TakenFrom> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let guest = place.take()?;
        // SAFETY: the owner takes the guest back under the lock, which is held here, before it
        // leaves the frame.
        let found = unsafe {
            guest.slot.as_ref().set(Some(value));
            guest.claim.as_ref().take_early(Self::PEER)
        };
        drop(place);
        if found == Some(TakenFrom::Open) {
            // SAFETY: the claim was open, so the waiter has parked, and this is its one wake.
            unsafe { guest.waker.wake() };
        }
        found
    }
}
