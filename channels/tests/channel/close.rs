//! Closing with `close`, and by dropping handles.

use std::convert::Infallible;
use std::time::Duration;

use crate::common::{everywhere, panic_text, random, spawn};
use greenthread_channels::{
    Receiver, RecvError, Select, SendError, Sender, TryRecvError, TrySendError, bounded, nil, unbounded,
};

#[test]
fn buffered_values_survive_close() {
    everywhere(|| {
        for (tx, rx) in [bounded(5), unbounded()] {
            tx.send(1).unwrap();
            tx.send(2).unwrap();
            tx.close();
            assert!(tx.is_closed());
            assert_eq!(tx.send(3), Err(SendError(3)));
            assert_eq!(tx.try_send(3), Err(TrySendError::Disconnected(3)));
            assert_eq!((rx.len(), rx.recv(), rx.try_recv()), (2, Ok(1), Ok(2)));
            assert_eq!(rx.recv(), Err(RecvError));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
        }
    });
}

#[test]
fn close_applies_to_every_sender() {
    everywhere(|| {
        let (tx, rx) = bounded(1);
        let other = tx.clone();
        tx.close();
        assert!(other.is_closed());
        assert_eq!(other.send(1), Err(SendError(1)));
        drop(tx);
        assert_eq!(rx.recv(), Err(RecvError), "although a sender is left");
    });
}

#[test]
fn second_close_panics() {
    everywhere(|| {
        let (tx, _rx) = bounded::<i32>(1);
        let other = tx.clone();
        tx.close();
        for tx in [&tx, &other, &tx] {
            assert_eq!(panic_text(|| tx.close()), "close of closed channel");
        }
        assert_eq!(tx.send(1), Err(SendError(1)), "the lock was released");
    });
}

#[test]
fn sender_can_wait_for_the_close() {
    everywhere(|| {
        let ends: [fn(Sender<Infallible>, Receiver<Infallible>); 2] = [|_, rx| drop(rx), |tx, _| tx.close()];
        for end in ends {
            let (tx, rx) = bounded(0);
            let mut select = Select::new();
            let close = select.closed(&tx);
            assert!(select.try_ready().is_err());
            let waits = spawn({
                let rx = rx.clone();
                move || rx.recv_timeout(Duration::from_millis(2)).is_err()
            });
            assert!(select.ready_timeout(Duration::from_millis(1)).is_err(), "who receives is not the end");
            assert!(waits.join());
            let other = tx.clone();
            let ended = spawn(move || end(other, rx));
            assert_eq!(select.ready(), close);
            ended.join();
            assert_eq!(select.try_ready(), Ok(close));
        }
        let (never, _rx) = nil();
        let mut select = Select::new();
        select.closed(&never);
        assert!(select.try_ready().is_err());
    });
}

#[test]
fn closing_nil_channel_panics() {
    everywhere(|| {
        let (tx, _rx) = nil::<i32>();
        assert_eq!(panic_text(|| tx.close()), "close of nil channel");
        assert!(!tx.is_closed());
    });
}

#[test]
fn close_without_receivers_is_allowed() {
    everywhere(|| {
        let (tx, rx) = bounded::<i32>(1);
        drop(rx);
        assert!(tx.is_closed());
        tx.close();
        assert_eq!(panic_text(|| tx.close()), "close of closed channel");
    });
}

#[test]
fn close_returns_the_value_of_a_waiting_sender() {
    everywhere(|| {
        for cap in [0, 1] {
            let (tx, rx) = bounded(cap);
            for n in 0..cap {
                tx.send(n.to_string()).unwrap();
            }
            let waiting = tx.clone();
            let task = spawn(move || waiting.send("mine".to_string()));
            crate::common::moment();
            tx.close();
            assert_eq!(task.join(), Err(SendError("mine".to_string())));
            assert_eq!(rx.iter().count(), cap);
        }
    });
}

#[test]
fn last_receiver_returns_the_value_of_a_waiting_sender() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let task = spawn(move || tx.send(5));
        let other = rx.clone();
        drop(rx);
        crate::common::moment();
        assert!(!task.is_finished(), "a receiver is left");
        drop(other);
        assert_eq!(task.join(), Err(SendError(5)));
    });
}

#[test]
fn close_wakes_a_waiting_receiver() {
    everywhere(|| {
        for explicit in [true, false] {
            let (tx, rx) = bounded::<i32>(2);
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let rx = rx.clone();
                    spawn(move || rx.recv())
                })
                .collect();
            crate::common::moment();
            if explicit {
                tx.close();
            } else {
                drop(tx);
            }
            assert!(tasks.into_iter().all(|task| task.join() == Err(RecvError)));
        }
    });
}

/// Exactly one of several concurrent closes succeeds.
#[test]
fn exactly_one_close_succeeds() {
    everywhere(|| {
        for _ in 0..200 {
            let (tx, _rx) = bounded::<i32>(0);
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let tx = tx.clone();
                    spawn(move || std::panic::catch_unwind(|| tx.close()).is_ok())
                })
                .collect();
            assert_eq!(tasks.into_iter().map(crate::common::Task::join).filter(|&won| won).count(), 1);
        }
    });
}

/// Whatever a close overtakes, each value is received or returned, and no receive misses a value
/// that was sent.
#[test]
fn close_races_with_senders_and_receivers() {
    everywhere(|| {
        let mut rng = random();
        for _ in 0..300 {
            let (tx, rx) = match rng.below(4) {
                0 => unbounded(),
                n => bounded(n as usize - 1),
            };
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    let tx = tx.clone();
                    spawn(move || (0..50).filter(|_| tx.send(1).is_ok()).count())
                })
                .collect();
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let rx = rx.clone();
                    spawn(move || rx.iter().count())
                })
                .collect();
            for _ in 0..rng.below(2000) {
                std::hint::spin_loop();
            }
            tx.close();
            let sent: usize = senders.into_iter().map(crate::common::Task::join).sum();
            let received: usize = receivers.into_iter().map(crate::common::Task::join).sum();
            assert_eq!(sent, received);
        }
    });
}
