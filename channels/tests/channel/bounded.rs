//! Bounded channels.

use crate::common::{everywhere, moment, spawn};
use greenthread_channels::{RecvError, SendError, TryRecvError, TrySendError, bounded, select, unbounded};

#[test]
fn len_counts_buffered_values() {
    everywhere(|| {
        let (tx, rx) = bounded(3);
        for n in 0..3 {
            assert_eq!((tx.len(), rx.len()), (n, n));
            assert_eq!((tx.is_empty(), tx.is_full()), (n == 0, false));
            tx.send(n).unwrap();
        }
        assert_eq!((rx.capacity(), rx.len(), rx.is_empty(), rx.is_full()), (Some(3), 3, false, true));
        assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(rx.recv(), Ok(0));
        assert_eq!(tx.try_send(3), Ok(()));
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn send_to_full_channel_waits_for_receive() {
    everywhere(|| {
        let (tx, rx) = bounded(1);
        tx.send(1).unwrap();
        let task = spawn(move || tx.send(2));
        moment();
        assert!(!task.is_finished());
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(task.join(), Ok(()));
        assert_eq!(rx.recv(), Ok(2));
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
fn receive_from_empty_channel_waits_for_send() {
    everywhere(|| {
        let (tx, rx) = bounded(1);
        let task = spawn(move || (rx.recv(), rx.recv()));
        moment();
        assert!(!task.is_finished());
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        assert_eq!(task.join(), (Ok(1), Ok(2)));
        assert_eq!(tx.send(3), Err(SendError(3)));
    });
}

#[test]
fn order_holds_for_every_capacity() {
    everywhere(|| {
        for cap in [1, 2, 3, 7, 64] {
            let (tx, rx) = bounded(cap);
            let task = spawn(move || (0..5000).try_for_each(|n| tx.send(n)));
            assert!(rx.iter().eq(0..5000), "capacity {cap}");
            task.join().unwrap();
        }
    });
}

#[test]
fn zero_sized_values() {
    everywhere(|| {
        let (tx, rx) = bounded(usize::MAX);
        for _ in 0..1000 {
            tx.send(()).unwrap();
        }
        assert_eq!(tx.len(), 1000);
        assert_eq!(rx.try_iter().count(), 1000);
    });
}

#[test]
#[should_panic = "capacity overflow"]
fn oversized_buffer_panics() {
    bounded::<u64>(usize::MAX);
}

#[test]
fn channel_through_a_channel() {
    everywhere(|| {
        type Link = Box<dyn std::any::Any + Send>;
        let (mut tx, rx) = bounded::<Link>(1);
        let task = spawn(move || {
            let mut rx = rx;
            for _ in 0..100 {
                rx = *rx.recv().unwrap().downcast::<greenthread_channels::Receiver<Link>>().unwrap();
            }
        });
        for _ in 0..100 {
            let (next, rx) = bounded::<Link>(1);
            tx.send(Box::new(rx)).unwrap();
            tx = next;
        }
        task.join();
    });
}

#[test]
fn same_channel_compares_channels() {
    let (a, ra) = bounded::<i32>(1);
    let (b, rb) = bounded::<i32>(1);
    assert!(a.same_channel(&a.clone()) && ra.same_channel(&ra.clone()));
    assert!(!a.same_channel(&b) && !ra.same_channel(&rb));
    assert_eq!(format!("{a:?} {ra:?}"), "Sender { .. } Receiver { .. }");
}

#[test]
fn handles_cross_threads_and_unwinding() {
    fn check<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>(_: &T) {}
    // `Cell` is neither `Sync` nor `RefUnwindSafe`.
    let (tx, rx) = bounded::<std::cell::Cell<i32>>(1);
    check(&tx);
    check(&rx);
}

#[test]
fn any_capacity_is_accepted() {
    everywhere(|| {
        for cap in [0, 1, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
            // Zero-sized values are used because this many values of any other type would not fit
            // into memory.
            let (tx, rx) = bounded::<()>(cap);
            assert_eq!((tx.capacity(), rx.capacity()), (Some(cap), Some(cap)));
            assert_eq!((tx.is_full(), rx.is_full(), tx.is_empty()), (cap == 0, cap == 0, true));
            if cap == 0 {
                continue;
            }
            tx.send(()).unwrap();
            assert_eq!(rx.recv(), Ok(()));
            select! {
                send(tx, ()) -> sent => sent.unwrap(),
                default => unreachable!(),
            }
            assert_eq!((tx.try_send(()).is_ok(), rx.len()), (cap > 1, cap.min(2)));
            assert_eq!(rx.try_iter().count(), cap.min(2));
            tx.close();
            assert_eq!((tx.try_send(()).is_err(), rx.recv()), (true, Err(RecvError)));
        }
        let (tx, rx) = unbounded::<()>();
        assert_eq!((tx.capacity(), rx.capacity(), tx.is_full(), rx.is_full()), (None, None, false, false));
    });
}
