//! Every value is dropped exactly once, by whichever side holds it last.

use crate::common::census::Census;
use crate::common::{everywhere, random, spawn};
use greenthread_channels::{Receiver, Sender, bounded, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn both<T>() -> [(Sender<T>, Receiver<T>); 2] {
    [bounded(200), unbounded()]
}

#[test]
fn receiver_owns_received_values() {
    everywhere(|| {
        for (tx, rx) in both() {
            let census = Census::default();
            for n in 0..100 {
                tx.send(census.value(n)).unwrap();
            }
            assert_eq!(census.dropped(), 0);
            let kept: Vec<_> = rx.try_iter().take(40).collect();
            assert_eq!(census.dropped(), 0);
            drop(kept);
            assert_eq!(census.dropped(), 40);
            drop((tx, rx));
            assert_eq!(census.dropped(), 100);
        }
    });
}

#[test]
fn last_receiver_drops_buffered_values() {
    everywhere(|| {
        for (tx, rx) in both() {
            let census = Census::default();
            for n in 0..100 {
                tx.send(census.value(n)).unwrap();
            }
            let other = rx.clone();
            drop(rx);
            assert_eq!(census.dropped(), 0);
            drop(other);
            assert_eq!(census.dropped(), 100, "although a sender is left");
            let back = tx.send(census.value(100)).unwrap_err().into_inner();
            assert_eq!((*back.number, census.dropped()), (100, 100));
        }
    });
}

#[test]
fn last_sender_keeps_buffered_values() {
    everywhere(|| {
        for (tx, rx) in both() {
            let census = Census::default();
            tx.send(census.value(0)).unwrap();
            drop(tx);
            assert_eq!(census.dropped(), 0);
            drop(rx);
            assert_eq!(census.dropped(), 1);
        }
    });
}

#[test]
fn failed_sends_return_the_value() {
    everywhere(|| {
        let census = Census::default();
        let (tx, rx) = bounded(0);
        drop(tx.try_send(census.value(0)));
        assert_eq!(census.dropped(), 1);
        tx.close();
        drop(tx.send(census.value(1)));
        drop(tx.try_send(census.value(2)));
        assert_eq!(census.dropped(), 3);
        drop(rx);
        assert_eq!(census.made(), 3);
    });
}

/// Panics when it is dropped, if it is armed.
struct Touchy {
    panics: bool,
    drops: Arc<AtomicUsize>,
}

impl Drop for Touchy {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "touchy");
    }
}

#[test]
fn panicking_destructor_leaves_the_channel_intact() {
    everywhere(|| {
        for (tx, rx) in both() {
            let drops = Arc::new(AtomicUsize::new(0));
            for n in 0..100 {
                tx.send(Touchy { panics: n == 50, drops: Arc::clone(&drops) }).unwrap();
            }
            assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
            assert_eq!(drops.load(Ordering::Relaxed), 51, "the others are leaked, as in crossbeam-channel");
            assert!(tx.is_closed());
            assert!(tx.send(Touchy { panics: false, drops: Arc::clone(&drops) }).is_err());
        }
    });
}

#[test]
fn panic_beside_a_channel_leaves_it_intact() {
    everywhere(|| {
        let (tx, rx) = bounded(1);
        let panicking = tx.clone();
        let task = spawn(move || {
            catch_unwind(|| {
                panicking.send(1).unwrap();
                panic!("expected");
            })
            .is_err()
        });
        assert!(task.join());
        assert_eq!(rx.recv(), Ok(1));
        drop(tx);
        assert!(rx.recv().is_err());
    });
}

/// Holds an end of the channel through which it is sent.
enum Own {
    Sender(#[allow(dead_code)] Sender<Own>, #[allow(dead_code)] Arc<()>),
    Receiver(#[allow(dead_code)] Receiver<Own>, #[allow(dead_code)] Arc<()>),
}

#[test]
fn channel_may_carry_its_own_ends() {
    everywhere(|| {
        for (tx, rx) in both() {
            let token = Arc::new(());
            tx.send(Own::Sender(tx.clone(), Arc::clone(&token))).unwrap();
            drop(tx);
            drop(rx);
            assert_eq!(Arc::strong_count(&token), 1, "dropped with the last receiver");
        }
        for (tx, rx) in both() {
            let token = Arc::new(());
            tx.send(Own::Receiver(rx.clone(), Arc::clone(&token))).unwrap();
            // Dropping the value drops the receiver that it holds.
            drop(rx.recv());
            drop(rx);
            assert!(tx.is_closed());
            assert_eq!(Arc::strong_count(&token), 1);
        }
    });
}

#[test]
fn values_are_dropped_once_under_races() {
    everywhere(|| {
        let mut rng = random();
        for _ in 0..300 {
            let census = Census::default();
            let (tx, rx) = match rng.below(5) {
                0 => unbounded(),
                n => bounded(n as usize - 1),
            };
            let mut tasks = Vec::new();
            for _ in 0..1 + rng.below(2) {
                let (tx, census, mut rng) = (tx.clone(), census.clone(), rng.fork());
                tasks.push(spawn(move || {
                    for n in 0..rng.below(100) {
                        let sent = if rng.one_in(3) {
                            tx.try_send(census.value(n as usize)).map_err(|e| e.is_disconnected())
                        } else {
                            tx.send(census.value(n as usize)).map_err(|_| true)
                        };
                        if sent == Err(true) {
                            break;
                        }
                    }
                }));
            }
            for _ in 0..1 + rng.below(2) {
                let (rx, mut rng) = (rx.clone(), rng.fork());
                // Some receivers leave early, and the last one may be among them.
                tasks.push(spawn(move || {
                    for value in rx.iter().take(rng.below(80) as usize) {
                        assert!(*value.number < 100);
                    }
                }));
            }
            drop((tx, rx));
            tasks.into_iter().for_each(crate::common::Task::join);
            assert_eq!(census.made(), census.dropped());
        }
    });
}
