//! Capacity zero: a send and a receive meet.

use crate::common::{everywhere, moment, spawn, until};
use greenthread_channels::{RecvError, SendError, TryRecvError, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn buffers_no_value() {
    everywhere(|| {
        let (tx, rx) = bounded::<i32>(0);
        assert_eq!((tx.capacity(), tx.len(), tx.is_empty(), tx.is_full()), (Some(0), 0, true, true));
        assert_eq!((rx.capacity(), rx.len(), rx.is_empty(), rx.is_full()), (Some(0), 0, true, true));
        assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn send_returns_once_the_value_is_received() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let sent = Arc::new(AtomicBool::new(false));
        let task = spawn({
            let sent = Arc::clone(&sent);
            move || {
                tx.send(7).unwrap();
                sent.store(true, Ordering::Relaxed);
            }
        });
        moment();
        assert!(!sent.load(Ordering::Relaxed));
        assert_eq!(rx.recv(), Ok(7));
        task.join();
        assert!(sent.load(Ordering::Relaxed));
    });
}

#[test]
fn ping_pong() {
    everywhere(|| {
        let (ping, pinged) = bounded(0);
        let (pong, ponged) = bounded(0);
        let task = spawn(move || {
            for n in pinged {
                pong.send(n + 1).unwrap();
            }
        });
        for n in 0..5000 {
            ping.send(n).unwrap();
            assert_eq!(ponged.recv(), Ok(n + 1));
        }
        drop(ping);
        task.join();
        assert_eq!(ponged.recv(), Err(RecvError));
    });
}

#[test]
fn try_send_needs_a_waiting_receiver() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let task = spawn(move || rx.recv());
        until(|| tx.try_send(5).is_ok());
        // The only receiver has its value, although it may not have run yet.
        assert!(tx.try_send(6).is_err());
        assert_eq!(task.join(), Ok(5));
        assert_eq!(tx.send(6), Err(SendError(6)));
    });
}

#[test]
fn try_recv_needs_a_waiting_sender() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let task = spawn(move || tx.send(5));
        let mut got = None;
        until(|| {
            got = rx.try_recv().ok();
            got.is_some()
        });
        assert_eq!(got, Some(5));
        assert!(rx.try_recv().is_err());
        assert_eq!(task.join(), Ok(()));
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
fn zero_sized_and_large_values() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let task = spawn(move || (0..100).try_for_each(|_| tx.send(())));
        assert_eq!(rx.iter().count(), 100);
        task.join().unwrap();

        let (tx, rx) = bounded::<[u64; 500]>(0);
        let task = spawn(move || (0..100).all(|n| tx.send([n; 500]).is_ok()));
        for (n, value) in rx.iter().enumerate() {
            assert!(value.iter().all(|&word| word == n as u64));
        }
        assert!(task.join());
    });
}

#[test]
fn many_to_many() {
    everywhere(|| {
        const EACH: usize = 2000;
        let (tx, rx) = bounded(0);
        let senders: Vec<_> = (0..4)
            .map(|id| {
                let tx = tx.clone();
                spawn(move || (0..EACH).try_for_each(|n| tx.send(id * EACH + n)))
            })
            .collect();
        drop(tx);
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let rx = rx.clone();
                spawn(move || rx.into_iter().collect::<Vec<_>>())
            })
            .collect();
        senders.into_iter().for_each(|task| task.join().unwrap());
        let mut all: Vec<usize> = receivers.into_iter().flat_map(crate::common::Task::join).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..4 * EACH));
    });
}
