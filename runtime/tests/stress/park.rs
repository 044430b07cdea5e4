//! Park and ready storm: many waiters on channels, locks, groups and joins. No value or wake-up is
//! lost or comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::common::{Rng, storm};
use greenthread::channel::{self, Receiver, Sender};
use greenthread::sync::{Mutex, WaitGroup};
use greenthread::{JoinHandle, spawn, yield_now};

/// Tokens go around a ring of goroutines.
#[test]
fn rings() {
    storm(|random| {
        let (nodes, tokens, laps) = (2 + random.below(30), 1 + random.below(5), 1 + random.below(30));
        let (first, mut from): (Sender<u64>, Receiver<u64>) = channel::bounded(random.below(3) as usize);
        let handles: Vec<JoinHandle<()>> = (1..nodes)
            .map(|_| {
                let (to, next) = channel::bounded(random.below(3) as usize);
                let from = std::mem::replace(&mut from, next);
                spawn(move || from.iter().for_each(|n| to.send(n + 1).unwrap()))
            })
            .collect();
        let start = first.clone();
        let feeder = spawn(move || (0..tokens).for_each(|_| start.send(0).unwrap()));
        let mut sum = 0;
        for n in 0..tokens * laps {
            let token = from.recv().unwrap();
            if n < tokens * (laps - 1) {
                // The last node must not be the one that the others wait for.
                let first = first.clone();
                greenthread::go!(move || first.send(token).unwrap());
            } else {
                sum += token;
            }
        }
        assert_eq!(sum % (nodes - 1), 0);
        feeder.join().unwrap();
        drop(first);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

fn crowd(random: &mut Rng, capacity: usize) {
    let (tx, rx) = channel::bounded(capacity);
    let (senders, receivers, each) = (1 + random.below(10), 1 + random.below(10), random.below(100));
    let sent: Vec<_> = (0..senders)
        .map(|_| {
            let (tx, mut random) = (tx.clone(), random.fork());
            let body = move || {
                (0..each).fold(0_u64, |sum, _| {
                    let n = random.next() >> 32;
                    tx.send(n).unwrap();
                    sum.wrapping_add(n)
                })
            };
            spawn(body)
        })
        .collect();
    let received: Vec<_> = (0..receivers)
        .map(|n| {
            let rx = rx.clone();
            let body = move || rx.iter().fold((0_u64, 0_u64), |(sum, count), n| (sum.wrapping_add(n), count + 1));
            // A few of them are threads.
            if n % 4 == 3 { Either::Thread(thread::spawn(body)) } else { Either::Goroutine(spawn(body)) }
        })
        .collect();
    drop((tx, rx));
    let sent = sent.into_iter().fold(0_u64, |sum, handle| sum.wrapping_add(handle.join().unwrap()));
    let received: Vec<(u64, u64)> = received.into_iter().map(Either::join).collect();
    assert_eq!(received.iter().fold(0_u64, |sum, part| sum.wrapping_add(part.0)), sent);
    assert_eq!(received.iter().map(|part| part.1).sum::<u64>(), senders * each);
}

enum Either<T> {
    Thread(thread::JoinHandle<T>),
    Goroutine(JoinHandle<T>),
}

impl<T> Either<T> {
    fn join(self) -> T {
        match self {
            Self::Thread(handle) => greenthread::blocking(|| handle.join()).unwrap(),
            Self::Goroutine(handle) => handle.join().unwrap(),
        }
    }
}

#[test]
fn crowds_at_a_rendezvous() {
    storm(|random| crowd(random, 0));
}

#[test]
fn crowds_at_a_buffer() {
    storm(|random| {
        let capacity = 1 + random.below(8) as usize;
        crowd(random, capacity);
    });
}

#[test]
fn locks_are_exclusive() {
    storm(|random| {
        let locks: Arc<Vec<Mutex<u64>>> = Arc::new((0..1 + random.below(3)).map(|_| Mutex::new(0)).collect());
        let inside: Arc<Vec<AtomicU64>> = Arc::new(locks.iter().map(|_| AtomicU64::new(0)).collect());
        let (goroutines, each) = (1 + random.below(20), random.below(60));
        let handles: Vec<_> = (0..goroutines)
            .map(|_| {
                let (locks, inside, mut random) = (Arc::clone(&locks), Arc::clone(&inside), random.fork());
                spawn(move || {
                    for _ in 0..each {
                        let at = random.below(locks.len() as u64) as usize;
                        let mut guard = locks[at].lock();
                        assert_eq!(inside[at].fetch_add(1, Ordering::Relaxed), 0);
                        if random.one_in(4) {
                            yield_now();
                        }
                        *guard += 1;
                        inside[at].fetch_sub(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(locks.iter().map(|lock| *lock.lock()).sum::<u64>(), goroutines * each);
    });
}

/// All goroutines wait until the last one has come, again and again.
#[test]
fn groups_in_generations() {
    storm(|random| {
        let (members, generations) = (1 + random.below(20), 1 + random.below(10));
        let groups: Arc<Vec<WaitGroup>> = Arc::new((0..generations).map(|_| WaitGroup::new()).collect());
        groups.iter().for_each(|group| group.add(members as isize));
        let arrived = Arc::new(AtomicU64::new(0));
        let handles: Vec<_> = (0..members)
            .map(|_| {
                let (groups, arrived) = (Arc::clone(&groups), Arc::clone(&arrived));
                spawn(move || {
                    for (n, group) in groups.iter().enumerate() {
                        arrived.fetch_add(1, Ordering::Relaxed);
                        group.done();
                        group.wait();
                        assert!(arrived.load(Ordering::Relaxed) >= members * (n as u64 + 1));
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}
