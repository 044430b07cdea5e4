//! Order, as far as it is visible from outside. `src/fifo_tests.rs` examines the waiters.

use crate::common::{everywhere, random, spawn, yield_now};
use greenthread_channels::{bounded, unbounded};

/// Checks that the values of one sender arrive in the order sent, even at each of several
/// receivers.
#[test]
fn values_of_one_sender_stay_in_order() {
    everywhere(|| {
        let mut rng = random();
        for cap in [Some(0), Some(1), Some(5), None] {
            let (tx, rx) = cap.map_or_else(unbounded, bounded);
            let senders: Vec<_> = (0..3)
                .map(|id| {
                    let (tx, mut rng) = (tx.clone(), rng.fork());
                    spawn(move || {
                        for n in 0..2000u32 {
                            if rng.one_in(50) {
                                yield_now();
                            }
                            tx.send((id, n)).unwrap();
                        }
                    })
                })
                .collect();
            drop(tx);
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let rx = rx.clone();
                    spawn(move || {
                        let mut last = [None; 3];
                        for (id, n) in rx {
                            assert!(last[id] < Some(n), "sender {id}: {n} after {:?}", last[id]);
                            last[id] = Some(n);
                        }
                    })
                })
                .collect();
            senders.into_iter().for_each(crate::common::Task::join);
            receivers.into_iter().for_each(crate::common::Task::join);
        }
    });
}

/// Checks that a sender that uses the channel all the time cannot starve a waiting sender.
///
/// The waiting sender is in the queue, and each receive serves the queue.
#[test]
fn busy_sender_does_not_starve_waiters() {
    everywhere(|| {
        let (tx, rx) = bounded(1);
        let busy = tx.clone();
        let task = spawn(move || while busy.send(0).is_ok() {});
        let patient = spawn(move || (0..200).try_for_each(|_| tx.send(1)));
        let mut served = 0;
        while served < 200 {
            served += rx.recv().unwrap();
        }
        assert_eq!(patient.join(), Ok(()));
        drop(rx);
        task.join();
    });
}
