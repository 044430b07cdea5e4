//! Models of the claim: peers that reach two cases of one operation at the same time.

use std::ptr::NonNull;

use greenthread_models::explore;
use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::claim::{Case, Claim};
use greenthread_models::protocol::wait_list::{WaitList, WaitNode};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

#[test]
fn one_of_several_wins() {
    explore(3, || {
        let claim = Arc::new(Claim::new());
        let others: Vec<_> = (1..3)
            .map(|index| {
                let claim = Arc::clone(&claim);
                thread::spawn(move || claim.take(index))
            })
            .collect();
        let mut won = vec![claim.take(0)];
        won.extend(others.into_iter().map(|other| other.join().unwrap()));
        assert_eq!(won.iter().filter(|&&won| won).count(), 1);
        assert_eq!(claim.winner(), won.iter().position(|&won| won));
    });
}

/// A queue as a channel has it; the nodes hold their case and the slot to fill. Its lock is loom's: two that spin at a
/// `RawLock` could pass the turn to each other for ever.
struct Queue(Mutex<Waiters>);

struct Waiters(WaitList<Waiter>);

// SAFETY: the nodes are touched only under the queue's lock.
unsafe impl Send for Waiters {}

#[derive(Clone, Copy)]
struct Waiter {
    case: Case,
    slot: NonNull<UnsafeCell<u32>>,
}

impl Queue {
    fn new() -> Self {
        Self(Mutex::new(Waiters(WaitList::new())))
    }

    fn with<R>(&self, f: impl FnOnce(&mut WaitList<Waiter>) -> R) -> R {
        f(&mut self.0.lock().unwrap().0)
    }
}

struct Shared {
    queues: [Queue; 2],
    woken: Mutex<u32>,
    wake: Condvar,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { queues: [Queue::new(), Queue::new()], woken: Mutex::new(0), wake: Condvar::new() })
    }

    /// What a peer does that finds the queue: completes the operation, if it is still to be completed.
    fn deliver(&self, queue: usize) -> bool {
        let won = self.queues[queue].with(|list| {
            let Some(node) = list.pop_front() else { return false };
            // SAFETY: the node was in the queue until now, and the lock is held.
            let waiter = unsafe { node.as_ref() }.value;
            // SAFETY: found and unlinked under this lock.
            let won = unsafe { waiter.case.reserve() };
            if won {
                // SAFETY: the winner is the only one to touch the frame. Loom checks it.
                unsafe { waiter.slot.as_ref() }.with_mut(|slot| unsafe { *slot = 1 });
            }
            won
        });
        if won {
            *self.woken.lock().unwrap() += 1;
            self.wake.notify_one();
        }
        won
    }

    fn block(&self) {
        let mut woken = self.woken.lock().unwrap();
        while *woken == 0 {
            woken = self.wake.wait(woken).unwrap();
        }
    }
}

/// Waits in both queues, blocks, unlinks, and leaves the frame, while two peers come. Returns who won.
fn wait_in_both(shared: &Shared) -> usize {
    let claim = Claim::new();
    let slots = [UnsafeCell::new(0), UnsafeCell::new(0)];
    let waiter = |n: usize| Waiter { case: Case::of(NonNull::from(&claim), n), slot: NonNull::from(&slots[n]) };
    let nodes = [WaitNode::new(waiter(0)), WaitNode::new(waiter(1))];
    for (queue, node) in shared.queues.iter().zip(&nodes) {
        // SAFETY: the node is new, and removed below before the frame is left.
        queue.with(|list| unsafe { list.push_back(NonNull::from(node)) });
    }
    shared.block();
    for (queue, node) in shared.queues.iter().zip(&nodes) {
        // SAFETY: the node is in this queue or in none.
        queue.with(|list| unsafe { list.remove(NonNull::from(node)) });
    }
    // SAFETY: all peers are gone from the frame. Loom checks it.
    let filled = slots.each_ref().map(|slot| slot.with(|slot| unsafe { *slot }));
    let winner = claim.winner().unwrap();
    assert_eq!((filled[winner], filled[1 - winner]), (1, 0));
    winner
}

#[test]
fn two_cases_are_completed_once_and_the_frame_can_go() {
    explore(2, || {
        let shared = Shared::new();
        let peers: Vec<_> = (0..2)
            .map(|queue| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.deliver(queue))
            })
            .collect();
        let owner = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || wait_in_both(&shared))
        };
        let won: Vec<bool> = peers.into_iter().map(|peer| peer.join().unwrap()).collect();
        assert!(won.iter().filter(|&&won| won).count() <= 1);
        // Both may have come before the nodes were there.
        if !won.contains(&true) {
            while !shared.deliver(1) {
                thread::yield_now();
            }
        }
        let winner = owner.join().unwrap();
        assert_eq!(won.iter().position(|&won| won).unwrap_or(1), winner);
        assert_eq!(*shared.woken.lock().unwrap(), 1, "one wake");
    });
}
