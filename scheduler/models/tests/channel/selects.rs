//! Selects: which peer takes the claim, what happens to the value, and the results of `default` and
//! of deadlines.

use std::time::{Duration, Instant};

use greenthread_models::explore;
use loom::thread;

use crate::dynamic::Select;
use crate::error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError};
use crate::handle::{Receiver, Sender, bounded, unbounded};
use crate::internal::{RecvArm, SendArm, select, try_select};

/// Returns a time after the end of any model.
///
/// The models' clock may fire at any time.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// Receives from whichever channel is ready first.
fn recv_either(a: &Receiver<u32>, b: &Receiver<u32>) -> Result<u32, RecvError> {
    let (mut one, mut two) = (RecvArm::new(a), RecvArm::new(b));
    match select(&mut [one.case(), two.case()], true) {
        0 => one.finish(),
        _ => two.finish(),
    }
}

/// Sends on whichever channel is ready first.
///
/// Returns the index of that channel.
fn send_either(a: &Sender<u32>, b: &Sender<u32>, value: u32) -> (usize, Result<(), SendError<u32>>) {
    let (mut one, mut two) = (SendArm::new(a), SendArm::new(b));
    match select(&mut [one.case(), two.case()], true) {
        0 => (0, one.permit().send(value)),
        _ => (1, two.permit().send(value)),
    }
}

#[test]
fn two_senders_to_one_select() {
    for cap in [0, 1] {
        explore(2, move || {
            let ((a, from_a), (b, from_b)) = (bounded(cap), bounded(cap));
            let senders = [thread::spawn(move || a.send(1)), thread::spawn(move || b.send(2))];
            let first = recv_either(&from_a, &from_b);
            // The other channel may be closed by now, and would then win every time.
            let second = if first == Ok(1) { from_b.recv() } else { from_a.recv() };
            assert_eq!(first.unwrap() + second.unwrap(), 3);
            assert!(senders.map(|sender| sender.join().unwrap()).iter().all(Result::is_ok));
        });
    }
}

// One value meets two receivers on two channels: one receiver gets the value, and the other gets
// the next value.
#[test]
fn permit_is_used_once() {
    for cap in [0, 1] {
        explore(2, move || {
            let ((a, from_a), (b, from_b)) = (bounded(cap), bounded(cap));
            if cap == 1 {
                // Both are full, so that the select has to wait for room.
                a.send(0).unwrap();
                b.send(0).unwrap();
            }
            let receivers = [from_a.clone(), from_b.clone()].map(|rx| thread::spawn(move || rx.recv().unwrap()));
            let (first, sent) = send_either(&a, &b, 7);
            sent.unwrap();
            let other = if first == 0 { &b } else { &a };
            if cap == 0 {
                other.send(8).unwrap();
            }
            let received = receivers.map(|receiver| receiver.join().unwrap());
            if cap == 0 {
                assert_eq!((received[first], received[1 - first]), (7, 8));
            } else {
                assert_eq!(received, [0, 0]);
                assert_eq!([&from_a, &from_b][first].try_recv(), Ok(7));
                assert_eq!([&from_a, &from_b][1 - first].try_recv(), Err(TryRecvError::Empty));
            }
        });
    }
}

// Two selects are each other's only peers, and name the channels in opposite orders.
#[test]
fn two_selects_meet_once() {
    explore(2, || {
        let ((a, from_a), (b, from_b)) = (bounded(0), bounded(0));
        let swap = move |tx: Sender<u32>, rx: Receiver<u32>, value| {
            let (mut send, mut recv) = (SendArm::new(&tx), RecvArm::new(&rx));
            match select(&mut [send.case(), recv.case()], true) {
                0 => send.permit().send(value).map(|()| None),
                _ => Ok(Some(recv.finish().unwrap())),
            }
        };
        let other = thread::spawn({
            let (b, from_a) = (b.clone(), from_a.clone());
            move || swap(b, from_a, 2).unwrap()
        });
        let one = swap(a, from_b, 1).unwrap();
        let two = other.join().unwrap();
        assert!((one, two) == (None, Some(1)) || (one, two) == (Some(2), None), "{one:?} {two:?}");
    });
}

// Checks that a select that sends and receives on one channel meets another select, but never
// itself.
#[test]
fn two_selects_on_one_channel() {
    explore(2, || {
        let (tx, rx) = bounded(0);
        let swap = move |tx: Sender<u32>, rx: Receiver<u32>| {
            let (mut send, mut recv) = (SendArm::new(&tx), RecvArm::new(&rx));
            match select(&mut [send.case(), recv.case()], true) {
                0 => send.permit().send(5).unwrap(),
                _ => assert_eq!(recv.finish(), Ok(5)),
            }
        };
        let other = thread::spawn({
            let (tx, rx) = (tx.clone(), rx.clone());
            move || swap(tx, rx)
        });
        swap(tx, rx);
        other.join().unwrap();
    });
}

#[test]
fn close_races_with_select() {
    for cap in [0, 1] {
        explore(2, move || {
            let ((a, from_a), (b, from_b)) = (bounded::<u32>(cap), bounded::<u32>(cap));
            let closer = thread::spawn(move || a.close());
            let sender = thread::spawn(move || b.send(2));
            match recv_either(&from_a, &from_b) {
                Ok(2) => assert_eq!(sender.join().unwrap(), Ok(())),
                other => {
                    assert_eq!(other, Err(RecvError));
                    assert_eq!(from_b.recv(), Ok(2));
                    sender.join().unwrap().unwrap();
                }
            }
            closer.join().unwrap();
        });
    }
}

// Checks that the value is either delivered or returned.
#[test]
fn close_races_with_permit() {
    for cap in [0, 1] {
        explore(2, move || {
            let (tx, rx) = bounded::<u32>(cap);
            let closer = {
                let tx = tx.clone();
                thread::spawn(move || tx.close())
            };
            let receiver = thread::spawn(move || rx.recv());
            let mut arm = SendArm::new(&tx);
            assert_eq!(select(&mut [arm.case()], true), 0);
            let sent = arm.permit().send(3);
            closer.join().unwrap();
            match receiver.join().unwrap() {
                Ok(value) => assert_eq!((value, sent), (3, Ok(()))),
                Err(RecvError) => assert_eq!(sent, Err(SendError(3))),
            }
        });
    }
}

// Dropping a permit leaves nothing behind: the permit's receiver or slot goes to another sender.
#[test]
fn dropped_permit_is_passed_on() {
    for cap in [0, 1] {
        explore(2, move || {
            let (tx, rx) = bounded::<u32>(cap);
            let receiver = thread::spawn(move || rx.recv());
            let other = {
                let tx = tx.clone();
                thread::spawn(move || tx.send(4))
            };
            let mut arm = SendArm::new(&tx);
            if try_select(&mut [arm.case()], true).is_some() {
                drop(arm.permit());
            }
            assert_eq!(receiver.join().unwrap(), Ok(4));
            assert_eq!(other.join().unwrap(), Ok(()));
        });
    }
}

// One of the channels holds a value at all times, so a select must not take its `default`.
#[test]
fn default_needs_one_instant_without_a_ready_arm() {
    explore(3, || {
        let ((a, from_a), (b, from_b)) = (bounded::<u32>(1), bounded::<u32>(1));
        a.send(1).unwrap();
        // This runs in a separate thread, because loom treats a thread's own loads as the last ones
        // that matter.
        let selects = {
            let (from_a, from_b) = (from_a.clone(), from_b.clone());
            thread::spawn(move || {
                let (mut one, mut two) = (RecvArm::new(&from_b), RecvArm::new(&from_a));
                match try_select(&mut [one.case(), two.case()], true) {
                    Some(0) => one.finish().unwrap(),
                    Some(_) => two.finish().unwrap(),
                    None => panic!("at all times there was a value"),
                }
            })
        };
        b.send(2).unwrap();
        let moved = from_a.try_recv().is_ok();
        assert_ne!(moved, selects.join().unwrap() == 1, "the first value goes to one of the two");
    });
}

// Checks that the value is either received or still in the channel.
#[test]
fn deadline_races_with_sender() {
    for cap in [0, 1] {
        explore(2, move || {
            let (tx, rx) = bounded(cap);
            let sender = thread::spawn(move || tx.send_deadline(6, later()));
            let received = rx.recv_deadline(later());
            let sent = sender.join().unwrap();
            match (received, sent) {
                (Ok(6), Ok(())) => {}
                (Err(RecvTimeoutError::Timeout), Err(SendTimeoutError::Timeout(6))) => {}
                // The sender was dropped before the receiver arrived.
                (Err(RecvTimeoutError::Disconnected), Err(SendTimeoutError::Timeout(6))) => {}
                (Err(RecvTimeoutError::Timeout), Ok(())) => assert_eq!(rx.try_recv(), Ok(6)),
                other => panic!("{other:?}"),
            }
        });
    }
}

// Checks that a watcher that is notified of a possible receive either can receive or is notified
// again.
//
// No watcher sleeps while a value is available.
#[test]
fn watcher_is_notified() {
    for cap in [Some(0), Some(1), None] {
        explore(2, move || {
            let (tx, rx) = cap.map_or_else(unbounded, bounded);
            let sender = thread::spawn(move || tx.send(1));
            let mut select = Select::new();
            select.recv(&rx);
            assert_eq!(select.ready(), 0);
            assert_eq!(rx.try_recv(), Ok(1));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
    }
}

// Two watchers wait for one event that lasts: the first watcher notifies the second.
#[test]
fn watcher_notifies_the_next() {
    explore(2, || {
        let (tx, rx) = bounded::<u32>(1);
        let watchers = [rx.clone(), rx].map(|rx| {
            thread::spawn(move || {
                let mut select = Select::new();
                select.recv(&rx);
                select.ready()
            })
        });
        tx.send(1).unwrap();
        assert_eq!(watchers.map(|watcher| watcher.join().unwrap()), [0, 0]);
    });
}
