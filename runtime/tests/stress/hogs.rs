//! Hog storm: Ps are retaken and come back all the time, beside timers that must fire and locked
//! goroutines that must get a P.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{Rng, spin, storm};
use greenthread::{blocking, channel, go, lock_os_thread, spawn, time, yield_now};

/// Keeps the thread in one of several ways.
fn hog(random: &mut Rng) {
    match random.below(4) {
        0 => spin(Duration::from_millis(random.below(14))),
        1 => thread::sleep(Duration::from_millis(random.below(8))),
        2 => blocking(|| thread::sleep(Duration::from_micros(random.below(500)))),
        _ => spin(Duration::from_micros(random.below(500))),
    }
}

#[test]
fn hogs_and_sleepers() {
    storm(|random| {
        let slept = Arc::new(AtomicU64::new(0));
        let (hogs, sleepers) = (1 + random.below(4), random.below(40));
        let hogs: Vec<_> = (0..hogs)
            .map(|_| {
                let mut random = random.fork();
                spawn(move || {
                    for _ in 0..1 + random.below(3) {
                        hog(&mut random);
                        match random.below(4) {
                            0 => time::sleep(Duration::from_micros(random.below(2000))),
                            1 => yield_now(),
                            2 => assert_eq!(spawn(|| 5).join().unwrap(), 5),
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        let sleepers: Vec<_> = (0..sleepers)
            .map(|_| {
                let (slept, mut random) = (Arc::clone(&slept), random.fork());
                spawn(move || {
                    for _ in 0..3 {
                        time::sleep(Duration::from_micros(random.below(3000)));
                        slept.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let expected = 3 * sleepers.len() as u64;
        hogs.into_iter().chain(sleepers).for_each(|handle| handle.join().unwrap());
        assert_eq!(slept.load(Ordering::Relaxed), expected);
    });
}

#[test]
fn hogs_that_are_locked_to_their_thread() {
    storm(|random| {
        let (tx, rx) = channel::bounded(random.below(3) as usize);
        let count = 1 + random.below(6);
        for _ in 0..count {
            let (tx, mut random) = (tx.clone(), random.fork());
            go!(move || {
                let guard = lock_os_thread();
                let thread = thread::current().id();
                for _ in 0..1 + random.below(3) {
                    hog(&mut random);
                    tx.send(1).unwrap();
                    time::sleep(Duration::from_micros(random.below(500)));
                    assert_eq!(thread::current().id(), thread);
                }
                drop(guard);
                hog(&mut random);
                tx.send(100).unwrap();
            });
        }
        drop(tx);
        let sum = rx.iter().sum::<u64>();
        assert!(sum / 100 == count && (count..=3 * count).contains(&(sum % 100)), "{sum} of {count}");
    });
}
