//! Tests of the order among waiters. They are part of the crate, because only the crate can see how
//! many operations wait.

#[path = "../tests/common/mod.rs"]
mod common;

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::chan::Chan;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::locked::Locked;
use crate::primitive::{Blocker, Case, WakeBatch};
use crate::queue::Queue;
use crate::waiter::{ClaimedWaiter, Node, Outcome, PinnedNode, Waiter};
use common::{everywhere, spawn, until};
use greenthread_scheduler::protocol::claim::Claim;

const WAITERS: usize = 8;

/// Starts senders of `0..WAITERS`, each one after the previous sender has begun to wait.
fn park_senders(chan: &Arc<Chan<usize>>) -> Vec<common::Task<Result<(), SendError<usize>>>> {
    (0..WAITERS)
        .map(|n| {
            let sender = Arc::clone(chan);
            let task = spawn(move || sender.send(n));
            until(|| chan.head.waiting().0 == n + 1);
            task
        })
        .collect()
}

/// Starts receivers, each one after the previous receiver has begun to wait.
fn park_receivers(chan: &Arc<Chan<usize>>) -> Vec<common::Task<Result<usize, RecvError>>> {
    (0..WAITERS)
        .map(|n| {
            let receiver = Arc::clone(chan);
            let task = spawn(move || receiver.recv());
            until(|| chan.head.waiting().1 == n + 1);
            task
        })
        .collect()
}

#[test]
fn senders_are_served_in_order() {
    everywhere(|| {
        for cap in [0, 1, 3] {
            let chan = Arc::new(Chan::bounded(cap));
            for n in 0..cap {
                chan.send(100 + n).unwrap();
            }
            let tasks = park_senders(&chan);
            for n in 0..cap {
                assert_eq!(chan.recv(), Ok(100 + n));
            }
            for n in 0..WAITERS {
                assert_eq!(chan.try_recv(), Ok(n), "capacity {cap}");
            }
            assert_eq!(chan.try_recv(), Err(TryRecvError::Empty));
            assert!(tasks.into_iter().all(|task| task.join().is_ok()));
        }
    });
}

#[test]
fn receivers_are_served_in_order() {
    everywhere(|| {
        for chan in [Chan::bounded(0), Chan::bounded(3), Chan::unbounded()] {
            let chan = Arc::new(chan);
            let tasks = park_receivers(&chan);
            for n in 0..WAITERS {
                chan.try_send(n).unwrap();
            }
            assert_eq!(chan.head.len(), 0, "the values were handed over without the buffer");
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join(), Ok(n));
            }
        }
    });
}

/// Checks that a receive makes room and fills it with the waiting sender's value in one hold of the
/// lock. So the next sender finds a full channel, however long the woken sender takes to run.
#[test]
fn sender_cannot_barge_into_room_for_a_waiter() {
    everywhere(|| {
        let chan = Arc::new(Chan::bounded(1));
        chan.send(100).unwrap();
        let tasks = park_senders(&chan);
        for n in 0..WAITERS {
            assert_eq!(chan.recv(), Ok(if n == 0 { 100 } else { n - 1 }));
            assert_eq!(chan.try_send(777), Err(TrySendError::Full(777)));
            assert_eq!((chan.head.len(), chan.head.waiting().0), (1, WAITERS - 1 - n));
        }
        assert_eq!(chan.recv(), Ok(WAITERS - 1));
        assert!(tasks.into_iter().all(|task| task.join().is_ok()));
    });
}

/// Checks that a send to a waiting receiver also completes that receive: the next receiver finds
/// nothing.
#[test]
fn receiver_cannot_barge_into_a_hand_off() {
    everywhere(|| {
        let chan = Arc::new(Chan::bounded(4));
        let tasks = park_receivers(&chan);
        for n in 0..WAITERS {
            chan.send(n).unwrap();
            assert_eq!(chan.try_recv(), Err(TryRecvError::Empty));
        }
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join(), Ok(n));
        }
    });
}

#[test]
fn close_wakes_all_waiters() {
    everywhere(|| {
        for cap in [0, 2] {
            let chan = Arc::new(Chan::bounded(cap));
            for n in 0..cap {
                chan.send(100 + n).unwrap();
            }
            let tasks = park_senders(&chan);
            chan.head.close();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join(), Err(SendError(n)));
            }
            for n in 0..cap {
                assert_eq!(chan.recv(), Ok(100 + n));
            }
            assert_eq!(chan.recv(), Err(RecvError));
        }
        for disconnect in [|chan: &Chan<usize>| chan.head.close(), Chan::disconnect_senders] {
            let chan = Arc::new(Chan::bounded(2));
            let tasks = park_receivers(&chan);
            disconnect(&chan);
            assert!(tasks.into_iter().all(|task| task.join() == Err(RecvError)));
        }
    });
}

/// Calls `f` with a locked queue and with waiters on the test's own stack.
///
/// Each waiter is a sender whose value is the waiter's number, and stands for the given case.
fn with_waiters<const N: usize>(cases: [Case; N], f: impl FnOnce(Locked<'_, Queue>, [NonNull<Node>; N])) {
    let blocker = Blocker::new();
    let mut values: [usize; N] = std::array::from_fn(|n| n);
    let nodes = std::array::from_fn::<_, N, _>(|n| {
        Node::new(Waiter::new(cases[n], blocker.waker(), (&raw mut values[n]).cast()))
    });
    let queue = Queue::new();
    // SAFETY: no other thread knows the queue.
    let locked = unsafe { Locked::assume(&queue) };
    f(locked, std::array::from_fn(|n| NonNull::from(&nodes[n])));
}

fn push(queue: &mut Locked<'_, Queue>, node: NonNull<Node>) {
    // SAFETY: the nodes of `with_waiters` outlive every use of their queue.
    queue.push(unsafe { PinnedNode::new(node) });
}

/// Returns the value of a claimed sender.
fn value(sender: ClaimedWaiter) -> usize {
    let mut value = MaybeUninit::uninit();
    // SAFETY: the waiters of these tests are senders of `usize`.
    let _ = unsafe { sender.take(&mut value) };
    // SAFETY: `take` has filled `value`.
    unsafe { value.assume_init() }
}

#[test]
fn claim_skips_cases_that_lost() {
    let claim = Claim::new();
    let case = |index| Case::of(NonNull::from(&claim), index);
    with_waiters([case(0), case(1), Case::only(), case(2)], |mut queue, nodes| {
        nodes.iter().for_each(|&node| push(&mut queue, node));
        assert_eq!(queue.claim_first().map(value), Some(0));
        assert_eq!(claim.winner(), Some(0));
        assert_eq!(queue.claim_first().map(value), Some(2));
        assert!(queue.get().is_occupied(), "case 2 is linked, although nobody will complete it");
        assert!(!queue.has_claimable());
        assert!(!queue.get().is_occupied(), "case 2 was dropped");
        assert!(queue.claim_first().is_none());

        nodes.iter().for_each(|&node| push(&mut queue, node));
        let mut batch = WakeBatch::new();
        assert!(queue.complete_batch(&mut batch, || Outcome::Closed), "the queue is empty now");
        assert!(!queue.get().is_occupied());
        assert_eq!(batch.len(), 1, "only the lone case is owed a wake");
    });
}

#[test]
fn removed_node_is_not_claimed() {
    with_waiters([Case::only(), Case::only()], |mut queue, nodes| {
        nodes.iter().for_each(|&node| push(&mut queue, node));
        // SAFETY: the node is a waiter of this queue.
        unsafe { queue.remove(nodes[0]) };
        assert!(queue.get().is_occupied());
        assert_eq!(queue.claim_first().map(value), Some(1));
        // SAFETY: the node is in no list.
        unsafe { queue.remove(nodes[0]) };
        // SAFETY: the node is in no list, and outlives every use of the queue.
        queue.push_watcher(unsafe { PinnedNode::new(nodes[0]) });
        assert!(!queue.get().is_occupied() && !queue.has_claimable(), "a watcher has no operation to complete");
        assert!(queue.claim_first().is_none());
        assert!(queue.claim_watcher().is_some());
        assert!(queue.claim_watcher().is_none());
    });
}
