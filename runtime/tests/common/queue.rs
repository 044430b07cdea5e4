//! What waits with a deadline in the tests: queues like a channel's, and peers that are introduced by other means.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::claim::{Case, Claim, TakenFrom};
use greenthread_scheduler::protocol::lock::RawLock;
use greenthread_scheduler::protocol::sync::wait_list::{WaitList, WaitNode};
use greenthread_scheduler::wait::{Blocker, Waker};

/// A deadline that no test lives to see.
pub fn never() -> Instant {
    let thousand_years = Duration::from_secs(1000 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(thousand_years).unwrap_or(now + Duration::from_secs(3600))
}

/// Where others wait for a number.
#[derive(Default)]
pub struct Queue {
    lock: RawLock,
    waiters: UnsafeCell<WaitList<Waiter>>,
}

// SAFETY: the waiters are touched only under the lock.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

#[derive(Clone, Copy)]
struct Waiter {
    case: Case,
    slot: NonNull<Cell<Option<u64>>>,
    waker: Waker,
}

impl Queue {
    /// # Safety
    /// The caller holds the lock.
    #[expect(clippy::mut_from_ref, reason = "exclusive by the lock")]
    unsafe fn waiters(&self) -> &mut WaitList<Waiter> {
        // SAFETY: the caller's contract.
        unsafe { &mut *self.waiters.get() }
    }

    /// Gives `value` to the one who has waited longest; false if nobody waits.
    pub fn deliver(&self, value: u64) -> bool {
        self.lock.lock();
        let found = loop {
            // SAFETY: locked above.
            let Some(node) = (unsafe { self.waiters().pop_front() }) else { break None };
            // SAFETY: the node was in the queue until now, and its owner has yet to come through the lock.
            let waiter = unsafe { node.as_ref() }.value;
            // SAFETY: found and unlinked under this lock.
            if unsafe { waiter.case.reserve() } {
                // SAFETY: the owner stays until the wake.
                unsafe { waiter.slot.as_ref() }.set(Some(value));
                break Some(waiter.waker);
            }
        };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        // SAFETY: the one wake of the operation that was reserved; the lock is released.
        found.map(|waker| unsafe { waker.wake() }).is_some()
    }
}

/// Waits in all queues at once. What came, and where; `None` if nothing came before the deadline. Whoever waits in several queues
/// names them in the same order.
pub fn wait_until<const N: usize>(queues: [&Queue; N], deadline: Instant) -> Option<(usize, u64)> {
    wait_until_after(queues, deadline, |_| ())
}

/// As [`wait_until`]; calls `before` when the deadline is set and no lock is held.
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
            // SAFETY: locked above; the nodes are removed below, before the frame is left.
            unsafe { queue.waiters().push_back(NonNull::from(node)) };
        }
        let counter = &commits;
        let commit = move || {
            counter.set(counter.get() + 1);
            for queue in queues {
                // SAFETY: locked above.
                unsafe { queue.lock.unlock() };
            }
        };
        // SAFETY: every lock is held once more below. Peers take the claim under one of them.
        unsafe { timed.block(WaitReason::Select, commit) };
    };
    // SAFETY: the claim is new and shut, and nobody opens it.
    unsafe { blocker.with_deadline(deadline, &claim, N, wait) };
    for (queue, node) in queues.iter().zip(&nodes) {
        queue.lock.lock();
        // SAFETY: locked above; the node is in this queue or in none.
        unsafe { queue.waiters().remove(NonNull::from(node)) };
        // SAFETY: locked above.
        unsafe { queue.lock.unlock() };
    }
    assert_eq!(commits.get(), 1);
    let winner = claim.winner().expect("somebody has ended the wait");
    for (n, slot) in slots.iter().enumerate() {
        assert_eq!(slot.get().is_some(), n == winner, "a value that did not win, or a winner without one");
    }
    if winner == N {
        assert!(Instant::now() >= deadline, "too early");
    }
    slots.get(winner).map(|slot| (winner, slot.get().expect("checked above")))
}

/// A place where a waiter and a peer meet without a lock that is held until the waiter has parked.
#[derive(Default)]
pub struct Introduction(Mutex<Option<Guest>>);

struct Guest {
    claim: NonNull<Claim>,
    slot: NonNull<Cell<Option<u64>>>,
    waker: Waker,
}

// SAFETY: the guest's frame is touched only under the lock of the introduction, where its owner takes it back.
unsafe impl Send for Guest {}

impl Introduction {
    const PEER: usize = 0;
    const DEADLINE: usize = 1;

    /// Waits for a peer; calls `before` when it may come and the wait has yet to begin.
    pub fn wait_until(&self, deadline: Instant, before: impl FnOnce()) -> Option<u64> {
        let (blocker, claim, slot) = (Blocker::new(), Claim::shut(), Cell::new(None));
        let guest = Guest { claim: NonNull::from(&claim), slot: NonNull::from(&slot), waker: blocker.waker() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(guest);
        before();
        // SAFETY: the claim is new and shut, and nobody else opens it. There is nothing to commit, and peers take early.
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

    /// Gives `value` to who waits, if there is somebody and no peer or deadline was faster.
    pub fn visit(&self, value: u64) -> Option<TakenFrom> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let guest = place.take()?;
        // SAFETY: the owner takes the guest back under the lock before it leaves the frame.
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
