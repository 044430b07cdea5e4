//! Models of the claim: peers reach two cases of one operation at the same time, some of them
//! before the waiter has parked.

use std::ptr::NonNull;

use greenthread_models::explore;
use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::claim::{Case, Claim, TakenFrom};
use greenthread_models::protocol::sync::wait_list::{WaitList, WaitNode};
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

/// A queue like a channel's; each node holds its case and the slot to fill.
///
/// Its lock is loom's: two threads that spin on a `RawLock` could let each other run forever.
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

    /// Acts like a peer that finds the queue: it completes the operation if that is still possible.
    ///
    /// Returns `true` if it did.
    fn deliver(&self, queue: usize) -> bool {
        let won = self.queues[queue].with(|list| {
            let Some(node) = list.pop_front() else { return false };
            // SAFETY: the node was in the queue until now, and the lock is held.
            let waiter = unsafe { node.as_ref() }.value;
            // SAFETY: the waiter was found and unlinked under this lock.
            let won = unsafe { waiter.case.reserve() };
            if won {
                // SAFETY: only the winner touches the frame, which loom checks.
                unsafe { waiter.slot.as_ref() }.with_mut(|slot| unsafe { *slot = 1 });
            }
            won
        });
        if won {
            self.wake();
        }
        won
    }

    fn wake(&self) {
        *self.woken.lock().unwrap() += 1;
        self.wake.notify_one();
    }

    fn block(&self) {
        let mut woken = self.woken.lock().unwrap();
        while *woken == 0 {
            woken = self.wake.wait(woken).unwrap();
        }
    }
}

/// Waits in both queues, blocks, unlinks, and leaves the frame, while two peers arrive.
///
/// Returns the winner.
fn wait_in_both(shared: &Shared) -> usize {
    let claim = Claim::new();
    let slots = [UnsafeCell::new(0), UnsafeCell::new(0)];
    let waiter = |n: usize| Waiter { case: Case::of(NonNull::from(&claim), n), slot: NonNull::from(&slots[n]) };
    let nodes = [WaitNode::new(waiter(0)), WaitNode::new(waiter(1))];
    for (queue, node) in shared.queues.iter().zip(&nodes) {
        // SAFETY: the node is new, and is removed below before the waiter leaves the frame.
        queue.with(|list| unsafe { list.push_back(NonNull::from(node)) });
    }
    shared.block();
    for (queue, node) in shared.queues.iter().zip(&nodes) {
        // SAFETY: the node is in this queue or in none.
        queue.with(|list| unsafe { list.remove(NonNull::from(node)) });
    }
    // SAFETY: no peer uses the frame any more, which loom checks.
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
        // Both peers may have arrived before the nodes were linked.
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

/// The cases of waiters with a deadline.
const PEER: usize = 0;
const TIMER: usize = 1;

/// The data that a timer needs, stored in the waiter's frame.
struct Alarm {
    claim: NonNull<Claim>,
    registers: NonNull<UnsafeCell<u32>>,
}

/// A timer heap with room for one timer, which fires under the heap's lock.
struct Heap(Mutex<Option<NonNull<Alarm>>>);

// SAFETY: the alarm is touched only under the heap's lock, and is removed before the waiter leaves
// the frame.
unsafe impl Send for Heap {}
// SAFETY: the alarm is touched only under the heap's lock.
unsafe impl Sync for Heap {}

impl Heap {
    /// Fires the armed timer.
    ///
    /// If the deadline has won, returns the state in which it found the claim.
    fn fire(&self, shared: &Shared) -> Option<TakenFrom> {
        let mut heap = self.0.lock().unwrap();
        // SAFETY: the alarm is armed, and the lock is held.
        let alarm = unsafe { heap.take()?.as_ref() };
        // SAFETY: the alarm is armed, so its frame and the claim in that frame still exist.
        let found = unsafe { alarm.claim.as_ref() }.take_early(TIMER);
        if found == Some(TakenFrom::Open) {
            // SAFETY: the peer that takes an open claim runs the waiter, which loom checks.
            unsafe { alarm.registers.as_ref() }.with_mut(|registers| unsafe { *registers += 1 });
            shared.wake();
        }
        found
    }
}

/// Waits in the first queue with a deadline, and leaves the frame.
///
/// Returns the winner.
fn wait_with_deadline(shared: &Shared, heap: &Heap) -> usize {
    let (claim, slot, registers) = (Claim::shut(), UnsafeCell::new(0), UnsafeCell::new(0));
    let alarm = Alarm { claim: NonNull::from(&claim), registers: NonNull::from(&registers) };
    *heap.0.lock().unwrap() = Some(NonNull::from(&alarm));

    let node = WaitNode::new(Waiter { case: Case::of(NonNull::from(&claim), PEER), slot: NonNull::from(&slot) });
    let opened = shared.queues[0].with(|list| {
        // SAFETY: the node is new, and is removed below before the waiter leaves the frame.
        unsafe { list.push_back(NonNull::from(&node)) };
        // SAFETY: no other thread runs the waiter, which loom checks.
        registers.with_mut(|registers| unsafe { *registers = 1 });
        claim.open()
    });
    if opened {
        shared.block();
    }
    *heap.0.lock().unwrap() = None;
    // SAFETY: the node is in this queue or in none.
    shared.queues[0].with(|list| unsafe { list.remove(NonNull::from(&node)) });

    let winner = claim.winner().unwrap();
    // SAFETY: no other thread uses the frame any more, which loom checks, here and below.
    let (filled, registers) = (slot.with(|slot| unsafe { *slot }), registers.with(|registers| unsafe { *registers }));
    assert_eq!(filled, u32::from(winner == PEER));
    assert_eq!(registers, 1 + u32::from(opened && winner == TIMER));
    winner
}

#[test]
fn a_timer_against_the_commit_step_against_a_peer() {
    explore(3, || {
        let (shared, heap) = (Shared::new(), Arc::new(Heap(Mutex::new(None))));
        let timer = {
            let (shared, heap) = (Arc::clone(&shared), Arc::clone(&heap));
            thread::spawn(move || heap.fire(&shared))
        };
        let peer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.deliver(0))
        };
        let owner = {
            let (shared, heap) = (Arc::clone(&shared), Arc::clone(&heap));
            thread::spawn(move || wait_with_deadline(&shared, &heap))
        };
        let (fired, mut delivered) = (timer.join().unwrap(), peer.join().unwrap());
        assert!(fired.is_none() || !delivered);
        // Both may have arrived before anything was in place.
        while fired.is_none() && !delivered {
            thread::yield_now();
            delivered = shared.deliver(0);
        }
        assert_eq!(owner.join().unwrap(), if delivered { PEER } else { TIMER });
        assert_eq!(*shared.woken.lock().unwrap(), u32::from(fired != Some(TakenFrom::Shut)));
    });
}

/// Models a peer that learned of the waiter by other means.
///
/// It leaves its value first and then takes the claim, whether or not the waiter has parked.
///
/// A rival may be faster.
fn early_peer(rival: bool) {
    struct Frame {
        claim: Claim,
        slot: UnsafeCell<u32>,
        registers: UnsafeCell<u32>,
    }

    fn take(frame: &Frame, shared: &Shared, case: usize) -> Option<TakenFrom> {
        let found = frame.claim.take_early(case);
        if found == Some(TakenFrom::Open) {
            // SAFETY: the peer that takes an open claim runs the waiter, which loom checks.
            frame.registers.with_mut(|registers| unsafe { *registers += 1 });
            shared.wake();
        }
        found
    }

    explore(3, move || {
        let shared = Shared::new();
        let frame = Arc::new(Frame { claim: Claim::shut(), slot: UnsafeCell::new(0), registers: UnsafeCell::new(0) });
        let run = |f: fn(&Frame, &Shared) -> Option<TakenFrom>| {
            let (frame, shared) = (Arc::clone(&frame), Arc::clone(&shared));
            thread::spawn(move || f(&frame, &shared))
        };
        let peer = run(|frame, shared| {
            // SAFETY: the slot belongs to this peer until it has won, which loom checks.
            frame.slot.with_mut(|slot| unsafe { *slot = 1 });
            take(frame, shared, PEER)
        });
        let rival = rival.then(|| run(|frame, shared| take(frame, shared, TIMER)));

        // SAFETY: no other thread runs the waiter, which loom checks.
        frame.registers.with_mut(|registers| unsafe { *registers = 1 });
        let opened = frame.claim.open();
        if opened {
            shared.block();
        }
        if frame.claim.winner().unwrap() == PEER {
            // SAFETY: the peer is done with its slot, which loom checks.
            assert_eq!(frame.slot.with(|slot| unsafe { *slot }), 1);
        }
        // SAFETY: the winner is done with the registers, which loom checks.
        assert_eq!(frame.registers.with(|registers| unsafe { *registers }), 1 + u32::from(opened));

        let found: Vec<_> = [Some(peer), rival].into_iter().flatten().filter_map(|one| one.join().unwrap()).collect();
        assert_eq!(found, [if opened { TakenFrom::Open } else { TakenFrom::Shut }], "one winner, and what it owes");
        assert_eq!(*shared.woken.lock().unwrap(), u32::from(opened), "one wake or none");
    });
}

#[test]
fn an_early_peer_leaves_its_value_before_or_after_the_park() {
    early_peer(false);
}

#[test]
fn an_early_peer_has_a_rival() {
    early_peer(true);
}
