//! Order among those who wait. In the crate, because only here can one see that somebody waits.

#[path = "../tests/common/mod.rs"]
mod common;

use std::ptr::NonNull;
use std::sync::Arc;

use crate::chan::Chan;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::primitive::{Blocker, Case, WakeBatch};
use crate::queue::Queue;
use crate::waiter::{Node, Outcome, Popped, Waiter};
use common::{everywhere, spawn, until};
use greenthread_scheduler::protocol::claim::Claim;

const WAITERS: usize = 8;

/// Starts senders of `0..WAITERS`, each when the one before waits.
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

/// Starts receivers, each when the one before waits.
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
            assert_eq!(chan.head.len(), 0, "the values went past the buffer");
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join(), Ok(n));
            }
        }
    });
}

/// A receive makes room, and the same receive fills it with the waiting sender's value. So a sender that comes next
/// finds a full channel, however long the woken one takes to run.
#[test]
fn nobody_takes_the_room_that_a_waiting_sender_gets() {
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

/// A send to a waiting receiver is a receive by that receiver: one that comes next finds nothing.
#[test]
fn nobody_takes_the_value_that_a_waiting_receiver_gets() {
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
fn close_lets_all_who_wait_go() {
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

/// Waiters on the test's own stack, with the cases they shall have; each is a sender of its number.
fn with_waiters<const N: usize>(cases: [Case; N], f: impl FnOnce([NonNull<Node>; N])) {
    let blocker = Blocker::new();
    let mut values: [usize; N] = std::array::from_fn(|n| n);
    let nodes = std::array::from_fn::<_, N, _>(|n| {
        Node::new(Waiter::new(cases[n], blocker.waker(), (&raw mut values[n]).cast()))
    });
    f(std::array::from_fn(|n| NonNull::from(&nodes[n])));
}

/// The value of a popped sender.
fn value(sender: Popped) -> usize {
    let mut value = usize::MAX;
    // SAFETY: the waiters of these tests are senders of `usize`.
    unsafe { sender.take(&raw mut value) };
    value
}

#[test]
fn a_case_that_lost_is_passed_over() {
    let claim = Claim::new();
    let case = |index| Case::of(NonNull::from(&claim), index);
    with_waiters([case(0), case(1), Case::only(), case(2)], |nodes| {
        let queue = Queue::new();
        let mut taken = WakeBatch::new();
        // SAFETY: no other thread knows the queue, and the nodes live until this closure ends.
        unsafe {
            nodes.iter().for_each(|&node| queue.push(node));
            assert_eq!(queue.pop().map(value), Some(0));
            assert_eq!(claim.winner(), Some(0));
            assert_eq!(queue.pop().map(value), Some(2));
            assert!(queue.is_occupied(), "case 2 is in it, although nobody will complete it");
            assert!(!queue.has_open());
            assert!(!queue.is_occupied(), "it was forgotten");
            assert!(queue.pop().is_none());

            nodes.iter().for_each(|&node| queue.push(node));
            assert!(queue.end_batch(&mut taken, || Outcome::Closed), "it is empty now");
        }
        assert!(!queue.is_occupied());
        assert_eq!(taken.len(), 1, "only the lone case is owed a wake");
    });
}

#[test]
fn a_node_that_was_removed_is_not_popped() {
    with_waiters([Case::only(), Case::only()], |nodes| {
        let queue = Queue::new();
        // SAFETY: no other thread knows the queue, and the nodes live until this closure ends.
        unsafe {
            nodes.iter().for_each(|&node| queue.push(node));
            queue.remove(nodes[0]);
            assert!(queue.is_occupied());
            assert_eq!(queue.pop().map(value), Some(1));
            queue.remove(nodes[0]);
            queue.push_watcher(nodes[0]);
            assert!(!queue.is_occupied() && !queue.has_open(), "a watcher does not wait to be served");
            assert!(queue.pop().is_none());
            assert!(queue.pop_watcher().is_some());
            assert!(queue.pop_watcher().is_none());
        }
    });
}
