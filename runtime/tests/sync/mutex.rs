//! `sync::Mutex` from the outside: exclusion, fairness, and what the guard may do.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{Rng, check, seed, watchdog};
use greenthread::ctx::{Context, Error};
use greenthread::sync::{ArcMutexGuard, Mutex, MutexGuard, WaitGroup};

static IN_A_STATIC: Mutex<u32> = Mutex::new(0);

#[test]
fn one_owner_at_a_time() {
    let _watchdog = watchdog("one_owner_at_a_time");
    const TURNS: u64 = 20_000;
    // Not an atomic: a lost update shows a second owner.
    let mutex = Mutex::new(0);
    thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| (0..TURNS).for_each(|_| *mutex.lock() += 1));
        }
    });
    assert_eq!(mutex.into_inner(), 8 * TURNS);
}

#[test]
fn one_owner_at_a_time_with_random_pauses_and_tries() {
    let _watchdog = watchdog("one_owner_at_a_time_with_random_pauses_and_tries");
    let mut random = Rng::new(seed());
    let mutex = Mutex::new(0);
    let expected = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..6 {
            let (mutex, expected, mut random) = (&mutex, &expected, random.fork());
            s.spawn(move || {
                for _ in 0..400 {
                    let guard = if random.one_in(4) { mutex.try_lock() } else { Some(mutex.lock()) };
                    let Some(mut guard) = guard else { continue };
                    let before = *guard;
                    match random.below(8) {
                        0 => thread::sleep(Duration::from_micros(random.below(300))),
                        1 => thread::yield_now(),
                        _ => {}
                    }
                    *guard = before + 1;
                    drop(guard);
                    expected.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(mutex.into_inner(), expected.into_inner());
}

#[test]
fn a_hog_does_not_starve_the_others() {
    let _watchdog = watchdog("a_hog_does_not_starve_the_others");
    let mutex = Mutex::new(());
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _guard = mutex.lock();
                thread::sleep(Duration::from_micros(200));
            }
        });
        // The hog leaves the lock free for a few nanoseconds per turn. Without a hand-off, a waiter
        // that has to be woken first never gets the lock in between.
        for _ in 0..20 {
            thread::sleep(Duration::from_micros(300));
            drop(mutex.lock());
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn each_of_many_waiters_gets_the_lock() {
    let _watchdog = watchdog("each_of_many_waiters_gets_the_lock");
    let mutex = Arc::new(Mutex::new(0));
    let guard = mutex.lock();
    let waiters: Vec<_> = (0..50)
        .map(|_| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || *mutex.lock() += 1)
        })
        .collect();
    // Long enough for most of them to sleep and then to starve; the result does not depend on it.
    thread::sleep(Duration::from_millis(20));
    drop(guard);
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert_eq!(*mutex.lock(), 50);
}

#[test]
fn try_lock_takes_only_a_free_lock() {
    let mutex = Mutex::new(1);
    let guard = mutex.try_lock().expect("the lock is free");
    thread::scope(|s| {
        s.spawn(|| assert!(mutex.try_lock().is_none()));
    });
    drop(guard);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_panic_unlocks_and_poisons_nothing() {
    let mutex = Mutex::new(1);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        *mutex.lock() = 2;
        let _guard = mutex.lock();
        panic!("inside");
    }));
    assert!(panicked.is_err());
    assert_eq!(*mutex.lock(), 2);
}

#[test]
fn the_guard_may_be_dropped_on_another_thread() {
    let mutex = Mutex::new(1);
    let mut guard = mutex.lock();
    thread::scope(|s| {
        s.spawn(move || *guard += 1);
    });
    assert_eq!(*mutex.lock(), 2);
}

#[test]
fn an_owner_needs_no_lock() {
    let mut mutex = Mutex::from(1);
    *mutex.get_mut() += 1;
    assert_eq!(mutex.into_inner(), 2);
    assert_eq!(Mutex::<u8>::default().into_inner(), 0);
    *IN_A_STATIC.lock() += 1;
    assert_eq!(*IN_A_STATIC.lock(), 1);
}

#[test]
fn values_of_unknown_size() {
    let mutex: Box<Mutex<[u8]>> = Box::new(Mutex::new([1, 2, 3]));
    mutex.lock()[0] = 7;
    assert_eq!(&*mutex.lock(), [7, 2, 3]);
}

#[test]
fn debug_and_display() {
    let mutex = Mutex::new(5);
    assert_eq!(format!("{mutex:?}"), "Mutex { data: 5 }");
    let guard = mutex.lock();
    assert_eq!(format!("{mutex:?}"), "Mutex { data: <locked> }");
    assert_eq!(format!("{guard:?} {guard}"), "5 5");
}

#[test]
fn the_value_is_dropped_once() {
    let value = Arc::new(());
    let mutex = Mutex::new(Arc::clone(&value));
    *mutex.lock() = Arc::clone(&value);
    assert_eq!(Arc::strong_count(&value), 2);
    drop(mutex);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn goroutines_exclude_each_other_across_parks() {
    check(|| {
        let mutex = Arc::new(Mutex::new(0));
        let wg = WaitGroup::new();
        for n in 0..100 {
            let mutex = Arc::clone(&mutex);
            wg.go(move || {
                for turn in 0..200 {
                    let mut guard = mutex.lock();
                    let before = *guard;
                    // The goroutine, and the guard with it, may resume on another thread.
                    if (n + turn) % 7 == 0 {
                        greenthread::yield_now();
                    }
                    *guard = before + 1;
                }
            });
        }
        wg.wait();
        assert_eq!(*mutex.lock(), 100 * 200);
    });
}

#[test]
fn goroutines_and_threads_share_a_lock() {
    check(|| {
        const TURNS: u32 = 5_000;
        let mutex = Arc::new(Mutex::new(0));
        let work = |mutex: Arc<Mutex<u32>>| move || (0..TURNS).for_each(|_| *mutex.lock() += 1);
        let wg = WaitGroup::new();
        let threads: Vec<_> = (0..3).map(|_| thread::spawn(work(Arc::clone(&mutex)))).collect();
        (0..3).for_each(|_| wg.go(work(Arc::clone(&mutex))));
        wg.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*mutex.lock(), 6 * TURNS);
    });
}

#[test]
fn a_hogging_goroutine_does_not_starve_the_others() {
    check(|| {
        let mutex = Arc::new(Mutex::new(()));
        let stop = Arc::new(AtomicBool::new(false));
        let wg = WaitGroup::new();
        {
            let (mutex, stop) = (Arc::clone(&mutex), Arc::clone(&stop));
            wg.go(move || {
                while !stop.load(Ordering::Relaxed) {
                    let _guard = mutex.lock();
                    greenthread::time::sleep(Duration::from_micros(200));
                }
            });
        }
        for _ in 0..20 {
            greenthread::time::sleep(Duration::from_micros(300));
            drop(mutex.lock());
        }
        stop.store(true, Ordering::Relaxed);
        wg.wait();
    });
}

#[test]
fn a_guard_that_owns_the_mutex_goes_anywhere() {
    check(|| {
        let mutex = Arc::new(Mutex::new(vec![1]));
        let mut guard = mutex.lock_arc();
        assert!(mutex.try_lock_arc().is_none());
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
        assert_eq!(mutex.lock_arc_ctx(&ctx).err(), Some(Error::DeadlineExceeded));
        let other = greenthread::spawn(move || guard.push(2));
        mutex.lock_arc_ctx(&Context::background()).unwrap().push(3);
        other.join().unwrap();
        let guard = mutex.try_lock_arc().unwrap();
        // The last handle.
        drop(mutex);
        assert_eq!(format!("{guard:?}"), "[1, 2, 3]");
    });
}

#[test]
fn send_and_sync_follow_the_value() {
    // Send and Sync; Send only; neither; Sync only.
    assert_eq!(asked!(Mutex<u8>), (true, true));
    assert_eq!(asked!(Mutex<Cell<u8>>), (true, true));
    assert_eq!(asked!(Mutex<*const u8>), (false, false));
    assert_eq!(asked!(Mutex<std::sync::MutexGuard<'static, u8>>), (false, false));
    assert_eq!(asked!(MutexGuard<'static, u8>), (true, true));
    assert_eq!(asked!(MutexGuard<'static, Cell<u8>>), (true, false));
    assert_eq!(asked!(MutexGuard<'static, *const u8>), (false, false));
    assert_eq!(asked!(MutexGuard<'static, std::sync::MutexGuard<'static, u8>>), (false, true));
    assert_eq!(asked!(ArcMutexGuard<u8>), (true, true));
    assert_eq!(asked!(ArcMutexGuard<Cell<u8>>), (true, false));
    assert_eq!(asked!(ArcMutexGuard<*const u8>), (false, false));
    assert_eq!(asked!(ArcMutexGuard<std::sync::MutexGuard<'static, u8>>), (false, false));
}
