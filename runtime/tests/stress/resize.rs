//! Resize storm: the number of Ps changes all the time, and no goroutine is left on a P that was
//! removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{Rng, spin, storm};
use greenthread::{blocking, channel, go, set_gomaxprocs, spawn, time, yield_now};

/// Changes the number of Ps until `stop` is set.
fn resizer(mut random: Rng, stop: Arc<AtomicBool>) -> impl FnOnce() + Send + 'static {
    move || {
        while !stop.load(Ordering::Relaxed) {
            let before = set_gomaxprocs(1 + random.below(6) as usize);
            assert!((1..=6).contains(&before), "{before}");
            match random.below(4) {
                0 => time::sleep(Duration::from_micros(random.below(300))),
                1 => spin(Duration::from_micros(random.below(50))),
                2 => yield_now(),
                _ => {}
            }
        }
    }
}

fn work(random: &mut Rng) {
    let (tx, rx) = channel::bounded(random.below(4) as usize);
    let count = 1 + random.below(100);
    let sum = Arc::new(AtomicU64::new(0));
    for n in 0..count {
        let (tx, sum, mut random) = (tx.clone(), Arc::clone(&sum), random.fork());
        go!(move || {
            match random.below(8) {
                0 => time::sleep(Duration::from_micros(random.below(400))),
                1 => spin(Duration::from_micros(random.below(100))),
                2 => (0..random.below(20)).for_each(|_| yield_now()),
                3 => blocking(|| thread::sleep(Duration::from_micros(50))),
                4 => sum.store(sum.load(Ordering::Relaxed) + spawn(|| 0).join().unwrap(), Ordering::Relaxed),
                _ => {}
            }
            tx.send(n).unwrap();
        });
    }
    drop(tx);
    assert_eq!(rx.iter().sum::<u64>(), count * (count - 1) / 2);
    assert_eq!(sum.load(Ordering::Relaxed), 0);
}

#[test]
fn resized_by_goroutines_and_threads() {
    storm(|random| {
        let stop = Arc::new(AtomicBool::new(false));
        let by_goroutines: Vec<_> =
            (0..1 + random.below(2)).map(|_| spawn(resizer(random.fork(), Arc::clone(&stop)))).collect();
        let by_threads: Vec<_> =
            (0..random.below(2)).map(|_| thread::spawn(resizer(random.fork(), Arc::clone(&stop)))).collect();
        (0..5).for_each(|_| work(random));
        stop.store(true, Ordering::Relaxed);
        by_goroutines.into_iter().for_each(|handle| handle.join().unwrap());
        blocking(|| by_threads.into_iter().for_each(|handle| handle.join().unwrap()));
    });
}

/// Between two changes everything becomes idle, so that a lost wake-up shows at once.
#[test]
fn resized_while_idle() {
    storm(|random| {
        set_gomaxprocs(1 + random.below(6) as usize);
        if random.one_in(3) {
            time::sleep(Duration::from_micros(random.below(200)));
        }
        let handles: Vec<_> = (0..random.below(6)).map(|n| spawn(move || n)).collect();
        if random.one_in(2) {
            set_gomaxprocs(1 + random.below(6) as usize);
        }
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), n as u64);
        }
    });
}
