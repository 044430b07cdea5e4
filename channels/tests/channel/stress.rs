//! Many senders and receivers, with random drops and closes. Setting `GREENTHREAD_SEED` repeats a
//! run's choices.

use crate::common::random::Rng;
use crate::common::{Task, everywhere, random, spawn, yield_now};
use greenthread_channels::{Receiver, Sender, TryRecvError, TrySendError, bounded, unbounded};
use std::collections::HashMap;

/// The values that a sender has sent, or that a receiver has seen, as (sender, number).
type Seen = Vec<(u32, u32)>;

fn sender(id: u32, tx: Sender<(u32, u32)>, mut rng: Rng, closes: bool) -> Task<u32> {
    spawn(move || {
        let count = rng.below(2000) as u32;
        let mut tx = tx;
        for n in 0..count {
            let sent = if rng.one_in(4) {
                // Polling must not lose or repeat a value either.
                loop {
                    match tx.try_send((id, n)) {
                        Err(TrySendError::Full(_)) => yield_now(),
                        result => break result.is_ok(),
                    }
                }
            } else {
                tx.send((id, n)).is_ok()
            };
            if !sent {
                assert!(tx.is_closed());
                return n;
            }
            if rng.one_in(100) {
                tx = tx.clone();
            }
        }
        if closes {
            tx.close();
        }
        count
    })
}

fn receiver(rx: Receiver<(u32, u32)>, mut rng: Rng, leaves: bool) -> Task<Seen> {
    spawn(move || {
        let mut rx = rx;
        let mut seen = Vec::new();
        while !(leaves && rng.one_in(500)) {
            let received = if rng.one_in(4) { rx.try_recv() } else { rx.recv().map_err(TryRecvError::from) };
            match received {
                Ok(value) => seen.push(value),
                Err(TryRecvError::Empty) => yield_now(),
                Err(TryRecvError::Disconnected) => break,
            }
            if rng.one_in(100) {
                rx = rx.clone();
            }
        }
        seen
    })
}

fn round(rng: &mut Rng, closes: bool, leaves: bool) {
    let (tx, rx) = match rng.below(6) {
        0 => unbounded(),
        n => bounded([0, 1, 2, 7, 100][n as usize - 1]),
    };
    let senders = 1 + rng.below(4) as u32;
    let receivers = 1 + rng.below(4);
    let closer = if closes { Some(rng.below(senders.into()) as u32) } else { None };
    let senders: Vec<_> = (0..senders).map(|id| sender(id, tx.clone(), rng.fork(), closer == Some(id))).collect();
    // With `leaves`, all receivers may leave early, and the senders know that.
    let receivers: Vec<_> = (0..receivers).map(|_| receiver(rx.clone(), rng.fork(), leaves)).collect();
    drop((tx, rx));
    let sent: Vec<u32> = senders.into_iter().map(Task::join).collect();
    let seen: Vec<Seen> = receivers.into_iter().map(Task::join).collect();

    for seen in &seen {
        let mut last = HashMap::new();
        for &(id, n) in seen {
            let before = last.insert(id, n);
            assert!(before < Some(n), "sender {id}: {n} after {before:?}");
        }
    }
    let mut all: Seen = seen.into_iter().flatten().collect();
    all.sort_unstable();
    for (id, &count) in sent.iter().enumerate() {
        let from: Vec<u32> = all.iter().filter(|value| value.0 as usize == id).map(|value| value.1).collect();
        if leaves {
            // Values that were buffered when the last receiver left are dropped.
            assert!(from.is_sorted_by(|a, b| a < b) && from.last().is_none_or(|&n| n < count));
        } else {
            assert!(from.iter().copied().eq(0..count), "sender {id} sent {count}, received were {}", from.len());
        }
    }
}

#[test]
fn every_value_is_received_once() {
    everywhere(|| {
        let mut rng = random();
        (0..60).for_each(|_| round(&mut rng, false, false));
    });
}

#[test]
fn close_in_the_middle_loses_no_value() {
    everywhere(|| {
        let mut rng = random();
        (0..60).for_each(|_| round(&mut rng, true, false));
    });
}

#[test]
fn leaving_receivers_wake_the_senders() {
    everywhere(|| {
        let mut rng = random();
        (0..60).for_each(|_| round(&mut rng, false, true));
    });
}
