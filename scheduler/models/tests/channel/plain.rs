//! Plain operations on one channel: hand-off, close, and the results that need no lock.

use std::cell::Cell;

use greenthread_models::explore;
use loom::sync::Arc;
use loom::thread;

use crate::chan::Chan;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::handle::{bounded, unbounded};

/// Returns a value for which loom reports a leak or a second drop.
fn value(n: u32) -> Arc<Cell<u32>> {
    #[allow(clippy::arc_with_non_send_sync)]
    Arc::new(Cell::new(n))
}

// Both ends are dropped right after the hand-off, so the model also covers which side frees the
// channel.
#[test]
fn hand_off_in_either_order() {
    for cap in [0, 1] {
        explore(3, move || {
            let (tx, rx) = bounded(cap);
            let sender = thread::spawn(move || tx.send(5));
            assert_eq!(rx.recv(), Ok(5));
            drop(rx);
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
    }
}

#[test]
fn two_values_in_order_then_disconnect() {
    for cap in [Some(0), Some(1), None] {
        explore(2, move || {
            let (tx, rx) = cap.map_or_else(unbounded, bounded);
            let sender = thread::spawn(move || tx.send(1).and(tx.send(2)));
            assert_eq!((rx.recv(), rx.recv(), rx.recv()), (Ok(1), Ok(2), Err(RecvError)));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
    }
}

#[test]
fn two_senders_and_one_receiver() {
    for cap in [Some(0), Some(1), None] {
        explore(2, move || {
            let (tx, rx) = cap.map_or_else(unbounded, bounded);
            let other = tx.clone();
            let senders = [thread::spawn(move || tx.send(1)), thread::spawn(move || other.send(2))];
            let (a, b) = (rx.recv().unwrap(), rx.recv().unwrap());
            assert_eq!(a + b, 3);
            assert!(senders.map(|sender| sender.join().unwrap()).iter().all(Result::is_ok));
            assert_eq!(rx.recv(), Err(RecvError));
        });
    }
}

#[test]
fn one_sender_and_two_receivers() {
    for cap in [0, 1] {
        explore(2, move || {
            let (tx, rx) = bounded(cap);
            let receivers = [rx.clone(), rx].map(|rx| thread::spawn(move || rx.recv()));
            tx.send(1).unwrap();
            drop(tx);
            let received = receivers.map(|receiver| receiver.join().unwrap());
            assert!(received == [Ok(1), Err(RecvError)] || received == [Err(RecvError), Ok(1)], "{received:?}");
        });
    }
}

// Checks that the value is either in the channel or returned, never both and never neither.
#[test]
fn close_races_with_send() {
    for cap in [0, 1] {
        explore(3, move || {
            let (tx, rx) = bounded(cap);
            let closer = tx.clone();
            let sender = thread::spawn(move || tx.send(7));
            closer.close();
            let sent = sender.join().unwrap();
            match rx.try_recv() {
                Ok(7) => assert_eq!(sent, Ok(())),
                other => assert_eq!((other, sent), (Err(TryRecvError::Disconnected), Err(SendError(7)))),
            }
        });
    }
}

#[test]
fn close_races_with_send_and_receive() {
    for cap in [0, 1] {
        explore(2, move || {
            let (tx, rx) = bounded(cap);
            let closer = tx.clone();
            let sender = thread::spawn(move || tx.send(7).is_ok());
            let receiver = thread::spawn(move || rx.recv());
            closer.close();
            let (sent, received) = (sender.join().unwrap(), receiver.join().unwrap());
            assert_eq!(sent, received.is_ok());
        });
    }
}

#[test]
fn exactly_one_close_succeeds() {
    explore(3, || {
        let chan = Arc::new(Chan::<u32>::bounded(1));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let chan = Arc::clone(&chan);
                thread::spawn(move || {
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| chan.head.close())).is_ok()
                })
            })
            .collect();
        assert_eq!(others.into_iter().map(|other| other.join().unwrap()).filter(|&won| won).count(), 1);
    });
}

// Drops the last handles of both sides at the same time: each buffered value is dropped once, and
// the channel is freed.
#[test]
fn both_sides_drop_at_once() {
    for cap in [Some(2), None] {
        explore(3, move || {
            let (tx, rx) = cap.map_or_else(unbounded, bounded);
            let kept = value(1);
            tx.send(Shared(Arc::clone(&kept))).map_err(drop).unwrap();
            let sender = thread::spawn(move || drop(tx.send(Shared(value(2)))));
            drop(rx);
            sender.join().unwrap();
            assert_eq!(Arc::strong_count(&kept), 1);
        });
    }
}

struct Shared(#[allow(dead_code)] Arc<Cell<u32>>);

// SAFETY: the cell inside is never touched.
unsafe impl Send for Shared {}

// Go's TestNonblockRecvRace: at all times a value is buffered or the channel is closed, so *empty*
// is a wrong answer.
#[test]
fn try_recv_is_never_empty_beside_a_close() {
    explore(3, || {
        let (tx, rx) = bounded(1);
        tx.send(1).unwrap();
        // The poller starts in this order because loom treats a thread's own load as the last one
        // that matters, and would miss an earlier poll.
        let poller = {
            let rx = rx.clone();
            thread::spawn(move || rx.try_recv())
        };
        tx.close();
        let received = [rx.try_recv(), poller.join().unwrap()];
        assert!(!received.contains(&Err(TryRecvError::Empty)), "{received:?}");
        assert_eq!(received.iter().filter(|received| received.is_ok()).count(), 1);
    });
}

// Closes a channel whose receiver waits.
//
// At all times, either a receiver waits or the channel is closed, so *full* is a wrong answer.
// `try_send` would return it if it read *not closed* before it read *no receiver waits*.
#[test]
fn try_send_is_never_full_beside_a_close() {
    explore(2, || {
        let chan = Arc::new(Chan::bounded(0));
        let receiver = {
            let chan = Arc::clone(&chan);
            thread::spawn(move || chan.recv())
        };
        while chan.head.waiting().1 == 0 {
            thread::yield_now();
        }
        let closer = {
            let chan = Arc::clone(&chan);
            thread::spawn(move || chan.head.close())
        };
        let sent = chan.try_send(1);
        assert_ne!(sent, Err(TrySendError::Full(1)));
        closer.join().unwrap();
        assert_eq!(receiver.join().unwrap().is_ok(), sent.is_ok());
    });
}

// Checks that a thread that sees a close also sees everything done before the close, whether it
// sees the close through the lock or through the state word.
#[test]
fn close_publishes_earlier_writes() {
    for through_lock in [false, true] {
        explore(3, move || {
            let written = Written(Arc::new(loom::cell::UnsafeCell::new(0)));
            let (tx, rx) = bounded::<()>(1);
            let watcher = {
                let (tx, written) = (tx.clone(), Written(Arc::clone(&written.0)));
                thread::spawn(move || {
                    let closed = if through_lock { rx.recv().is_err() } else { tx.is_closed() };
                    if closed {
                        // SAFETY: the writer has closed the channel and no longer writes, which
                        // loom checks.
                        assert_eq!(written.cell().with(|n| unsafe { *n }), 1);
                    }
                })
            };
            // SAFETY: the cell is read only after the close, which loom checks.
            written.cell().with_mut(|n| unsafe { *n = 1 });
            tx.close();
            watcher.join().unwrap();
        });
    }
}

struct Written(Arc<loom::cell::UnsafeCell<u32>>);

// SAFETY: the model checks that two threads do not use the cell at the same time.
unsafe impl Send for Written {}

impl Written {
    fn cell(&self) -> &loom::cell::UnsafeCell<u32> {
        &self.0
    }
}
