//! Waits with a deadline, on the scheduler's own interface: queues like a channel's, and meetings
//! with a peer that takes the claim early.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::claim::{Case, Claim, TakenFrom};
use greenthread_scheduler::protocol::lock::RawLock;
use greenthread_scheduler::protocol::sync::wait_list::{WaitList, WaitNode};
use greenthread_scheduler::wait::{Blocker, Waker};

/// Returns a deadline that no test reaches.
pub fn never() -> Instant {
    let thousand_years = Duration::from_secs(1000 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(thousand_years).unwrap_or(now + Duration::from_secs(3600))
}

/// A queue in which waiters wait for a number.
#[derive(Default)]
pub struct Queue {
    lock: RawLock,
    waiters: UnsafeCell<WaitList<Waiter>>,
}

// SAFETY: the list of waiters is accessed only under the lock.
unsafe impl Send for Queue {}
// SAFETY: the waiters are touched only under the lock.
unsafe impl Sync for Queue {}

#[derive(Clone, Copy)]
struct Waiter {
    case: Case,
    slot: NonNull<Cell<Option<u64>>>,
    waker: Waker,
}

impl Queue {
    /// Returns the waiters.
    ///
    /// # Safety
    /// The caller holds the lock, and no other reference from this method is alive.
    #[expect(clippy::mut_from_ref, reason = "exclusive by the lock")]
    unsafe fn waiters(&self) -> &mut WaitList<Waiter> {
        // SAFETY: the caller holds the lock, and no other reference is made without it.
        unsafe { &mut *self.waiters.get() }
    }

    /// Gives `value` to the longest waiter; returns `false` if nothing waits.
    pub fn deliver(&self, value: u64) -> bool {
        self.lock.lock();
        let found = loop {
            // SAFETY: this function holds the lock.
            let Some(node) = (unsafe { self.waiters().pop_front() }) else { break None };
            // SAFETY: the node was in the queue until now, and its owner must take the lock before
            // its frame ends.
            let waiter = unsafe { node.as_ref() }.value;
            // SAFETY: the case was found and unlinked under this lock.
            if unsafe { waiter.case.reserve() } {
                // SAFETY: the reserved owner keeps its frame until the wake.
                unsafe { waiter.slot.as_ref() }.set(Some(value));
                break Some(waiter.waker);
            }
        };
        // SAFETY: this function holds the lock.
        unsafe { self.lock.unlock() };
        // SAFETY: this is the one wake of the reserved operation, and the lock is released.
        found.map(|waker| unsafe { waker.wake() }).is_some()
    }
}

/// Waits in all queues at once.
///
/// Returns the index of the queue that had a number first, and the number, or `None` if the
/// deadline came first. All callers name their queues in the same order, which prevents deadlock.
pub fn wait_until<const N: usize>(queues: [&Queue; N], deadline: Instant) -> Option<(usize, u64)> {
    wait_until_after(queues, deadline, |_| ())
}

/// Waits like [`wait_until`], and calls `before` after the deadline is set and before a lock is
/// taken.
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
            // SAFETY: the queue is locked; the nodes are removed below, before this frame ends.
            unsafe { queue.waiters().push_back(NonNull::from(node)) };
        }
        let counter = &commits;
        let commit = move || {
            counter.set(counter.get() + 1);
            for queue in queues {
                // SAFETY: this function holds the lock.
                unsafe { queue.lock.unlock() };
            }
        };
        // SAFETY: peers take the claim under one of the locks, and every lock is taken once more
        // below.
        unsafe { timed.block(WaitReason::Select, commit) };
    };
    // SAFETY: the claim is new and shut, and only the wait opens it.
    unsafe { blocker.with_deadline(deadline, &claim, N, wait) };
    for (queue, node) in queues.iter().zip(&nodes) {
        queue.lock.lock();
        // SAFETY: the queue is locked; the node is in it or in none.
        unsafe { queue.waiters().remove(NonNull::from(node)) };
        // SAFETY: this function holds the lock.
        unsafe { queue.lock.unlock() };
    }
    assert_eq!(commits.get(), 1);
    let winner = claim.winner().expect("the wait has ended");
    for (n, slot) in slots.iter().enumerate() {
        assert_eq!(slot.get().is_some(), n == winner, "case {n}: only the winner has a value");
    }
    if winner == N {
        assert!(Instant::now() >= deadline, "the wait ended before its deadline");
    }
    slots.get(winner).map(|slot| (winner, slot.get().expect("checked above")))
}

/// A place where a peer finds a waiter before it has parked.
///
/// No lock is held until then, so the peer takes the claim early.
#[derive(Default)]
pub struct Introduction(Mutex<Option<Guest>>);

struct Guest {
    claim: NonNull<Claim>,
    slot: NonNull<Cell<Option<u64>>>,
    waker: Waker,
}

// SAFETY: the guest's frame is touched only under the lock of the introduction. Its owner takes the
// guest back under the same lock.
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
        // commit, and peers take the claim early.
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

    /// Gives `value` to the waiter, if there is one and no peer or deadline was faster.
    pub fn visit(&self, value: u64) -> Option<TakenFrom> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let guest = place.take()?;
        // SAFETY: the owner takes the guest back under this lock before its frame ends.
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
