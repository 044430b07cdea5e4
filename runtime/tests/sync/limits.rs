//! Waits for locks that a deadline or a context limits.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::OnDrop;
use crate::common::{Rng, check, check_from_thread, parked, storm, until};
use greenthread::ctx::{Context, Error};
use greenthread::sync::{Mutex, MutexGuard, RwLock, WaitGroup};
use greenthread::{go, spawn, yield_now};

const LONG: Duration = Duration::from_secs(50);
const SHORT: Duration = Duration::from_millis(3);

const MUTEX: &str = "sync.Mutex.Lock";
const READ: &str = "sync.RWMutex.RLock";
const WRITE: &str = "sync.RWMutex.Lock";

/// Waits until `n` goroutines wait for `reason`, as dumps show it.
fn until_waiting(reason: &str, n: usize) {
    until(|| parked(reason) == n);
}

/// Runs `body` as a thread and as a goroutine, on each number of Ps.
fn check_both(body: impl Fn() + Clone + Send + 'static) {
    check_from_thread(|| {
        body();
        spawn(body.clone()).join().unwrap();
    });
}

#[test]
fn a_deadline_ends_the_wait() {
    check_both(|| {
        let (mutex, lock) = (Mutex::new(1), RwLock::new(1));
        let held = mutex.lock_timeout(LONG).unwrap();
        let begin = Instant::now();
        assert!(mutex.lock_timeout(SHORT).is_none());
        assert!(mutex.lock_deadline(Instant::now() + SHORT).is_none());
        assert!(begin.elapsed() >= SHORT * 2);
        assert!(mutex.lock_deadline(begin).is_none() && mutex.lock_timeout(Duration::ZERO).is_none());
        drop(held);
        assert!(mutex.lock_deadline(begin).is_some(), "after the deadline, a free lock is still taken");
        assert!(mutex.lock_timeout(Duration::MAX).is_some());

        let reader = lock.read_timeout(LONG).unwrap();
        let begin = Instant::now();
        assert!(lock.write_timeout(SHORT).is_none());
        assert!(begin.elapsed() >= SHORT);
        assert!(lock.read_deadline(begin).is_some(), "a canceled writer stops no reader");
        drop(reader);
        let writer = lock.write_deadline(begin).unwrap();
        assert!(lock.read_timeout(SHORT).is_none() && lock.write_deadline(begin + SHORT).is_none());
        drop(writer);
        assert!(lock.write_timeout(Duration::MAX).is_some() && lock.read_timeout(Duration::MAX).is_some());
    });
}

#[test]
fn the_lock_comes_before_the_limit() {
    check(|| {
        let (mutex, lock) = (Arc::new(Mutex::new(0)), Arc::new(RwLock::new(0)));
        let (ctx, _cancel) = Context::background().with_cancel();
        let (held, writer) = (mutex.lock(), lock.write());
        let wg = WaitGroup::new();
        let add = |f: fn(&Mutex<u32>, &RwLock<u32>, &Context)| {
            let (mutex, lock, ctx) = (Arc::clone(&mutex), Arc::clone(&lock), ctx.clone());
            wg.go(move || f(&mutex, &lock, &ctx));
        };
        add(|mutex, _, _| *mutex.lock_timeout(LONG).unwrap() += 1);
        add(|mutex, _, ctx| *mutex.lock_ctx(ctx).unwrap() += 1);
        add(|_, lock, _| *lock.write_timeout(LONG).unwrap() += 1);
        add(|_, lock, ctx| *lock.write_ctx(ctx).unwrap() += 1);
        add(|_, lock, _| assert!(*lock.read_timeout(LONG).unwrap() <= 2));
        add(|_, lock, ctx| assert!(*lock.read_ctx(ctx).unwrap() <= 2));
        until_waiting(MUTEX, 2);
        until_waiting(WRITE, 2);
        until_waiting(READ, 2);
        drop((held, writer));
        wg.wait();
        assert_eq!((*mutex.lock(), *lock.read()), (2, 2));
    });
}

#[test]
fn the_end_of_the_context_ends_the_wait() {
    check_both(|| {
        let (mutex, lock) = (Mutex::new(1), RwLock::new(1));
        let canceled = || {
            let (ctx, cancel) = Context::background().with_cancel();
            go!(move || cancel.cancel());
            ctx
        };
        let held = mutex.lock();
        assert_eq!(mutex.lock_ctx(&canceled()).err(), Some(Error::Canceled));
        let (ctx, cancel) = Context::background().with_timeout(SHORT);
        assert_eq!(mutex.lock_ctx(&ctx).err(), Some(Error::DeadlineExceeded));
        drop((held, cancel));
        assert_eq!(
            mutex.lock_ctx(&ctx).err(),
            Some(Error::DeadlineExceeded),
            "the ended context wins over a free lock"
        );
        assert!(mutex.lock_ctx(&Context::background()).is_ok());

        let reader = lock.read();
        assert_eq!(lock.write_ctx(&canceled()).err(), Some(Error::Canceled));
        assert!(lock.read_ctx(&Context::background()).is_ok(), "a canceled writer stops no reader");
        drop(reader);
        let writer = lock.write();
        assert_eq!(lock.read_ctx(&canceled()).err(), Some(Error::Canceled));
        drop(writer);
        assert_eq!(lock.read_ctx(&ctx).err(), Some(Error::DeadlineExceeded));
        assert_eq!(lock.write_ctx(&ctx).err(), Some(Error::DeadlineExceeded));
        assert!(mutex.try_lock().is_some() && lock.try_write().is_some(), "nothing is held");
    });
}

#[test]
fn readers_behind_a_canceled_writer_are_let_in() {
    check(|| {
        let lock = Arc::new(RwLock::new(()));
        let (ctx, cancel) = Context::background().with_cancel();
        let first = lock.read();
        let writer = spawn({
            let lock = Arc::clone(&lock);
            move || lock.write_ctx(&ctx).is_err()
        });
        until_waiting(WRITE, 1);
        let readers: Vec<_> = (0..5)
            .map(|_| {
                let lock = Arc::clone(&lock);
                spawn(move || drop(lock.read()))
            })
            .collect();
        until_waiting(READ, 5);
        cancel.cancel();
        assert!(writer.join().unwrap());
        // The lock was not released.
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        drop(first);
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn waiters_behind_a_canceled_one_are_served() {
    check(|| {
        let mutex = Arc::new(Mutex::new(0));
        let (ctx, cancel) = Context::background().with_cancel();
        let held = mutex.lock();
        let wait = |limited: bool| {
            let (mutex, ctx) = (Arc::clone(&mutex), ctx.clone());
            spawn(move || if limited { mutex.lock_ctx(&ctx).is_ok() } else { mutex.lock_timeout(LONG).is_some() })
        };
        let waiters: Vec<_> = [true, true, false, true, false, true]
            .into_iter()
            .enumerate()
            .map(|(n, limited)| {
                let waiter = wait(limited);
                until_waiting(MUTEX, n + 1);
                waiter
            })
            .collect();
        cancel.cancel();
        until_waiting(MUTEX, 2);
        drop(held);
        let served = waiters.into_iter().map(|waiter| waiter.join().unwrap()).filter(|&got| got);
        assert_eq!(served.count(), 2);
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn limited_waits_work_in_destructors_while_unwinding() {
    check(|| {
        let (mutex, lock) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
        let (held, reader) = (mutex.lock(), lock.read());
        let given_up = Arc::new(AtomicUsize::new(0));
        let other = spawn({
            let (mutex, lock, given_up) = (Arc::clone(&mutex), Arc::clone(&lock), Arc::clone(&given_up));
            move || {
                let _waits = OnDrop::new(|| {
                    let (ctx, _cancel) = Context::background().with_timeout(SHORT);
                    let locked = [mutex.lock_timeout(SHORT).is_some(), mutex.lock_ctx(&ctx).is_ok()];
                    let written = [lock.write_timeout(SHORT).is_some(), lock.write_ctx(&ctx).is_ok()];
                    let failed = [locked, written].as_flattened().iter().filter(|got| !**got).count();
                    given_up.store(failed, Ordering::Relaxed);
                });
                panic::resume_unwind(Box::new(()));
            }
        });
        assert!(other.join().is_err());
        assert_eq!(given_up.load(Ordering::Relaxed), 4);
        drop((held, reader));
        assert!(mutex.try_lock().is_some() && lock.try_write().is_some());
    });
}

/// Locks in a random way.
fn lock_somehow<'a>(mutex: &'a Mutex<u64>, ctx: &Context, random: &mut Rng) -> Option<MutexGuard<'a, u64>> {
    match random.below(6) {
        0 => mutex.try_lock(),
        1 => mutex.lock_timeout(Duration::from_micros(random.below(300))),
        2 | 3 => mutex.lock_ctx(ctx).ok(),
        _ => Some(mutex.lock()),
    }
}

/// Runs `work` in many goroutines and some threads, and cancels in the middle.
fn storm_of(random: &mut Rng, work: impl Fn(&Context, &mut Rng) + Clone + Send + 'static) {
    let (ctx, cancel) = Context::background().with_cancel();
    let wg = WaitGroup::new();
    let mut threads = Vec::new();
    for n in 0..2 + random.below(10) {
        let (work, ctx, mut random) = (work.clone(), ctx.clone(), random.fork());
        let work = move || (0..random.below(60)).for_each(|_| work(&ctx, &mut random));
        if n % 5 == 4 { threads.push(thread::spawn(work)) } else { wg.go(work) }
    }
    (0..random.below(30)).for_each(|_| yield_now());
    cancel.cancel();
    wg.wait();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn storm_of_mutexes() {
    storm(|random| {
        let (mutex, expected) = (Arc::new(Mutex::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = {
            let (mutex, expected) = (Arc::clone(&mutex), Arc::clone(&expected));
            move |ctx: &Context, random: &mut Rng| {
                let Some(mut guard) = lock_somehow(&mutex, ctx, random) else { return };
                let before = *guard;
                match random.below(12) {
                    0 => yield_now(),
                    // Long enough for a waiter to starve.
                    1 if random.one_in(10) => thread::sleep(Duration::from_millis(2)),
                    _ => {}
                }
                *guard = before + 1;
                drop(guard);
                expected.fetch_add(1, Ordering::Relaxed);
            }
        };
        storm_of(random, work);
        let locked = mutex.try_lock().expect("all have finished");
        assert_eq!(*locked as usize, expected.load(Ordering::Relaxed));
    });
}

#[test]
fn storm_of_rwlocks() {
    storm(|random| {
        let lock = Arc::new(RwLock::new((0_u64, 0_u64)));
        let (expected, alone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let work = {
            let (lock, expected, alone) = (Arc::clone(&lock), Arc::clone(&expected), Arc::clone(&alone));
            move |ctx: &Context, random: &mut Rng| {
                let timeout = Duration::from_micros(random.below(300));
                let how = random.below(4);
                if random.one_in(3) {
                    let guard = match how {
                        0 => lock.write_timeout(timeout),
                        1 => lock.write_ctx(ctx).ok(),
                        _ => Some(lock.write()),
                    };
                    let Some(mut guard) = guard else { return };
                    guard.0 += 1;
                    (0..random.below(2)).for_each(|_| yield_now());
                    guard.1 += 1;
                    expected.fetch_add(1, Ordering::Relaxed);
                } else {
                    let guard = match how {
                        0 => lock.read_timeout(timeout),
                        1 => lock.read_ctx(ctx).ok(),
                        _ => Some(lock.read()),
                    };
                    let Some(guard) = guard else { return };
                    (0..random.below(2)).for_each(|_| yield_now());
                    alone.fetch_and(guard.0 == guard.1, Ordering::Relaxed);
                }
            }
        };
        storm_of(random, work);
        let both = *lock.try_write().expect("all have finished");
        assert_eq!(both.0, both.1);
        assert_eq!(both.0 as usize, expected.load(Ordering::Relaxed));
        assert!(alone.load(Ordering::Relaxed), "a reader saw a writer at work");
    });
}
