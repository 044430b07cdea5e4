//! Unbounded channels.

use crate::common::{everywhere, spawn};
use greenthread_channels::{RecvError, SendError, TryRecvError, unbounded};

#[test]
fn is_never_full() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        for n in 0..10_000 {
            assert!(!tx.is_full());
            tx.try_send(n).unwrap();
        }
        assert_eq!((rx.len(), rx.capacity(), rx.is_full(), rx.is_empty()), (10_000, None, false, false));
        assert!(rx.try_iter().eq(0..10_000));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert!(tx.is_empty());
    });
}

#[test]
fn order_holds_as_the_buffer_grows_and_shrinks() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        let (mut sent, mut received) = (0, 0);
        for wave in 0..200 {
            for _ in 0..wave % 90 {
                tx.send(sent).unwrap();
                sent += 1;
            }
            for _ in 0..(wave * 7 % 90).min(sent - received) {
                assert_eq!(rx.recv(), Ok(received));
                received += 1;
            }
            assert_eq!(rx.len(), sent - received);
        }
    });
}

#[test]
fn receive_waits_for_send() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        let task = spawn(move || rx.iter().map(|s: String| s.len()).sum::<usize>());
        for n in 0..10_000 {
            tx.send(n.to_string()).unwrap();
        }
        drop(tx);
        assert_eq!(task.join(), 10 + 180 + 2700 + 36_000);
    });
}

#[test]
fn many_senders_grow_the_buffer() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        let tasks: Vec<_> = (0..4)
            .map(|id| {
                let tx = tx.clone();
                spawn(move || (0..5000).try_for_each(|n| tx.send((id, n))))
            })
            .collect();
        drop(tx);
        let mut next = [0; 4];
        for (id, n) in &rx {
            assert_eq!(next[id], n, "order of one sender");
            next[id] += 1;
        }
        assert_eq!(next, [5000; 4]);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
fn send_without_receiver_fails() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        tx.send(1).unwrap();
        drop(rx);
        assert_eq!(tx.send(2), Err(SendError(2)));
        assert_eq!(tx.len(), 0);
    });
}
