//! Non-blocking operations, and which results they may return without taking the lock.

use crate::common::{everywhere, everywhere_without_end, moment, random, spawn, yield_now};
use greenthread_channels::{TryRecvError, TrySendError, bounded, never, nil, unbounded};

#[test]
fn nil_operations_fail_at_once() {
    everywhere(|| {
        let (tx, rx) = nil();
        assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!((tx.len(), tx.capacity(), tx.is_empty(), tx.is_full()), (0, Some(0), true, true));
        assert_eq!((rx.len(), rx.capacity(), rx.is_empty(), rx.is_full()), (0, Some(0), true, true));
        assert!(tx.same_channel(&nil().0) && rx.same_channel(&never()));
        assert!(!rx.same_channel(&bounded(0).1));
        drop(tx.clone());
        drop(tx);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "a nil channel is not closed by drops");
        assert_eq!(never::<i32>().try_iter().next(), None);
    });
}

/// Leaves the blocked threads behind, because nothing can end them.
#[test]
fn nil_blocks_forever() {
    everywhere_without_end(|| {
        let (tx, rx) = nil();
        let tasks = [
            spawn(move || tx.send(1).is_ok()),
            spawn(move || rx.recv().is_ok()),
            spawn(|| never::<()>().recv().is_ok()),
        ];
        moment();
        assert!(!tasks.iter().any(crate::common::Task::is_finished));
    });
}

/// Sends and then closes: a concurrent `try_recv` may find nothing yet, but may not report the end
/// before it has found the value.
#[test]
fn try_recv_beside_send_and_close() {
    everywhere(|| {
        for _ in 0..2000 {
            let (tx, rx) = bounded(1);
            let task = spawn(move || {
                tx.send(1).unwrap();
                tx.close();
            });
            loop {
                match rx.try_recv() {
                    Ok(1) => break,
                    Err(TryRecvError::Empty) => yield_now(),
                    other => panic!("the value was lost: {other:?}"),
                }
            }
            task.join();
            assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
        }
    });
}

/// At all times a value is in the channel or the channel is closed, so `try_recv` may not say
/// *empty*.
#[test]
fn try_recv_is_never_empty_beside_a_close() {
    everywhere(|| {
        for cap in [Some(1), None] {
            for _ in 0..1000 {
                let (tx, rx) = cap.map_or_else(unbounded, bounded);
                tx.send(1).unwrap();
                let other = rx.clone();
                // The close occurs before this receive takes the value.
                let task = spawn(move || {
                    tx.close();
                    other.try_recv()
                });
                let mine = rx.try_recv();
                let theirs = task.join();
                assert_eq!(usize::from(mine.is_ok()) + usize::from(theirs.is_ok()), 1);
                assert_ne!(mine, Err(TryRecvError::Empty));
                assert_ne!(theirs, Err(TryRecvError::Empty));
            }
        }
    });
}

/// At all times there is room or the channel is closed, so `try_send` may not say *full*.
#[test]
fn try_send_is_never_full_beside_a_close() {
    everywhere(|| {
        for _ in 0..1000 {
            let (tx, rx) = bounded(1);
            let other = tx.clone();
            let task = spawn(move || {
                other.close();
                other.try_send(2)
            });
            let mine = tx.try_send(1);
            assert_eq!(task.join(), Err(TrySendError::Disconnected(2)));
            assert_ne!(mine, Err(TrySendError::Full(1)));
            assert_eq!(rx.try_recv().is_ok(), mine.is_ok());
        }
    });
}

#[test]
fn random_try_send_and_try_recv() {
    everywhere(|| {
        let mut rng = random();
        for cap in [0, 1, 4] {
            let (tx, rx) = bounded(cap);
            let mut rng = rng.fork();
            let task = spawn(move || {
                let mut sent = 0u64;
                for n in 0..20_000 {
                    let ok = if rng.one_in(100) { tx.send(n).is_ok() } else { tx.try_send(n).is_ok() };
                    sent += if ok { n } else { 0 };
                }
                sent
            });
            let mut received = 0;
            let end = loop {
                match rx.try_recv() {
                    Ok(n) => received += n,
                    Err(TryRecvError::Empty) => yield_now(),
                    Err(end) => break end,
                }
            };
            assert!(end.is_disconnected());
            assert_eq!(task.join(), received);
        }
    });
}
