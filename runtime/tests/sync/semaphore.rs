//! `sync::Semaphore`: weights, order, and the ways in which a wait ends.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::OnDrop;
use crate::common::{Rng, check, check_from_thread, parked, storm, text, until};
use greenthread::ctx::{Context, Error};
use greenthread::sync::{Mutex, Permit, Semaphore, WaitGroup};
use greenthread::{go, spawn, yield_now};

const LONG: Duration = Duration::from_secs(50);
const SHORT: Duration = Duration::from_millis(3);

/// Waits until a waiter for permits is queued.
fn until_waited_for(semaphore: &Semaphore) {
    until(|| format!("{semaphore:?}").contains("waited_for: true"));
}

/// Waits until `n` goroutines wait for permits.
fn until_waiting(n: usize) {
    until(|| parked("semaphore.Weighted.Acquire") == n);
}

#[test]
fn at_most_the_size_is_held() {
    check(|| {
        let (semaphore, held) = (Arc::new(Semaphore::new(5)), Arc::new(AtomicUsize::new(0)));
        let work = |n: usize| {
            let (semaphore, held) = (Arc::clone(&semaphore), Arc::clone(&held));
            move || {
                for turn in 0..200 {
                    let weight = (n + turn) % 6;
                    let _permit = semaphore.acquire(weight);
                    assert!(held.fetch_add(weight, Ordering::SeqCst) + weight <= 5);
                    if turn % 8 == 0 {
                        yield_now();
                    }
                    held.fetch_sub(weight, Ordering::SeqCst);
                }
            }
        };
        let threads: Vec<_> = (0..3).map(|n| thread::spawn(work(n))).collect();
        let goroutines: Vec<_> = (0..20).map(|n| spawn(work(n))).collect();
        goroutines.into_iter().for_each(|g| g.join().unwrap());
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(semaphore.available_permits(), 5);
    });
}

#[test]
fn permits_are_granted_first_come_first_served() {
    check(|| {
        let semaphore = Arc::new(Semaphore::new(4));
        let order = Arc::new(Mutex::new(Vec::new()));
        let all = semaphore.acquire(4);
        // The small requests do not overtake the large one in front, although they would fit.
        for (n, weight) in [3, 1, 2, 1, 4, 1].into_iter().enumerate() {
            let (semaphore, order) = (Arc::clone(&semaphore), Arc::clone(&order));
            go!(move || {
                semaphore.acquire(weight).forget();
                order.lock().push(weight);
            });
            until_waiting(n + 1);
        }
        all.forget();
        semaphore.release(2);
        assert!(semaphore.try_acquire(1).is_none(), "two permits are free, and the first waiter needs three");
        assert_eq!(semaphore.available_permits(), 2);
        semaphore.release(2);
        until(|| order.lock().len() == 2);
        assert_eq!(semaphore.available_permits(), 0);
        for (released, served) in [(2, 3), (1, 4), (3, 4), (1, 5), (1, 6)] {
            semaphore.release(released);
            until(|| order.lock().len() == served);
        }
        // Waiters that are served together may run in any order.
        let mut order = std::mem::take(&mut *order.lock());
        order[..2].sort_unstable();
        assert_eq!(order, [1, 3, 2, 1, 4, 1]);
        semaphore.release(4 - semaphore.available_permits());
    });
}

#[test]
fn a_deadline_ends_the_wait() {
    check_from_thread(|| {
        let body = || {
            let semaphore = Semaphore::new(2);
            let one = semaphore.acquire_timeout(1, LONG).unwrap();
            let begin = Instant::now();
            assert!(semaphore.acquire_timeout(2, SHORT).is_none());
            assert!(semaphore.acquire_timeout(3, SHORT).is_none(), "the request exceeds the size");
            assert!(begin.elapsed() >= SHORT * 2);
            assert!(semaphore.acquire_deadline(2, Instant::now()).is_none());
            assert!(semaphore.acquire_deadline(1, Instant::now()).is_some());
            drop(one);
            assert!(semaphore.acquire_timeout(2, Duration::MAX).is_some());
        };
        body();
        spawn(body).join().unwrap();
    });
}

#[test]
fn a_canceled_waiter_lets_the_next_through() {
    check(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let (ctx, cancel) = Context::background().with_cancel();
        let one = semaphore.acquire(1);
        let late = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_ctx(&ctx, 2).is_err()
        });
        until_waited_for(&semaphore);
        let small = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || drop(semaphore.acquire(1))
        });
        until_waiting(2);
        cancel.cancel();
        assert!(late.join().unwrap());
        // No permit was released.
        small.join().unwrap();
        let late = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_timeout(2, SHORT).is_none()
        });
        drop(semaphore.acquire_timeout(1, LONG).unwrap());
        assert!(late.join().unwrap());
        drop(one);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn the_end_of_the_context_ends_the_wait() {
    check_from_thread(|| {
        let body = || {
            let semaphore = Semaphore::new(1);
            let (ctx, cancel) = Context::background().with_cancel();
            let permit = semaphore.acquire_ctx(&ctx, 1).unwrap();
            for n in [1, 2] {
                let (ctx, cancel) = ctx.with_cancel();
                go!(move || cancel.cancel());
                assert_eq!(semaphore.acquire_ctx(&ctx, n).err(), Some(Error::Canceled));
            }
            drop(permit);
            cancel.cancel();
            assert_eq!(
                semaphore.acquire_ctx(&ctx, 1).err(),
                Some(Error::Canceled),
                "the ended context wins over free permits"
            );
            assert!(semaphore.acquire_ctx(&Context::background(), 1).is_ok());
            assert_eq!(semaphore.available_permits(), 1);
        };
        body();
        spawn(body).join().unwrap();
    });
}

#[test]
fn misuse_panics_and_changes_nothing() {
    let semaphore = Semaphore::new(3);
    let failed = |f: &dyn Fn()| {
        let payload = panic::catch_unwind(AssertUnwindSafe(f)).unwrap_err();
        text(&*payload).to_owned()
    };
    let message = failed(&|| drop(semaphore.acquire(4)));
    assert!(message.starts_with("sync: acquire of 4 from a semaphore of size 3"), "{message}");
    assert_eq!(failed(&|| semaphore.release(1)), "sync: semaphore released more than held");
    semaphore.acquire(2).forget();
    assert_eq!(failed(&|| semaphore.release(3)), "sync: semaphore released more than held");
    semaphore.release(2);
    assert_eq!(semaphore.available_permits(), 3);
    assert!(panic::catch_unwind(|| Semaphore::new(usize::MAX)).is_err());
    assert!(Semaphore::new(Semaphore::MAX_PERMITS).try_acquire(Semaphore::MAX_PERMITS).is_some());
}

#[test]
fn acquire_works_in_destructors_while_unwinding() {
    check(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.acquire(1);
        let other = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || {
                let _acquires = OnDrop::new(|| drop(semaphore.acquire(1)));
                panic::resume_unwind(Box::new(()));
            }
        });
        until_waited_for(&semaphore);
        drop(permit);
        assert!(other.join().is_err());
        assert_eq!(semaphore.available_permits(), 1);
    });
}

/// Acquires in a random way.
fn acquire_somehow<'a>(semaphore: &'a Semaphore, ctx: &Context, n: usize, random: &mut Rng) -> Option<Permit<'a>> {
    match random.below(5) {
        0 => semaphore.try_acquire(n),
        1 => semaphore.acquire_timeout(n, Duration::from_micros(random.below(200))),
        2 | 3 => semaphore.acquire_ctx(ctx, n).ok(),
        _ => Some(semaphore.acquire(n)),
    }
}

#[test]
fn owned_permits_go_anywhere() {
    check(|| {
        let semaphore = Arc::new(Semaphore::new(3));
        let two = semaphore.acquire_owned(2);
        assert!(semaphore.try_acquire_owned(2).is_none());
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        assert_eq!(semaphore.acquire_owned_ctx(&ctx, 2).err(), Some(Error::DeadlineExceeded));
        let other = spawn(move || drop(two));
        drop(semaphore.acquire_owned_ctx(&Context::background(), 3).unwrap());
        other.join().unwrap();
        semaphore.try_acquire_owned(1).unwrap().forget();
        assert_eq!(semaphore.available_permits(), 2);
        semaphore.release(1);
        assert!(crate::common::panic_of(|| semaphore.acquire_owned(4)).contains("would block forever"));
        let all = semaphore.acquire_owned(3);
        // The last handle.
        drop(semaphore);
        drop(all);
    });
}

#[test]
fn storm_of_all_forms() {
    storm(|random| {
        let size = 1 + random.below(6);
        let (semaphore, held) = (Arc::new(Semaphore::new(size as usize)), Arc::new(AtomicUsize::new(0)));
        let (ctx, cancel) = Context::background().with_cancel();
        let wg = WaitGroup::new();
        let mut threads = Vec::new();
        for n in 0..2 + random.below(10) {
            let (semaphore, held, ctx) = (Arc::clone(&semaphore), Arc::clone(&held), ctx.clone());
            let mut random = random.fork();
            let work = move || {
                for _ in 0..random.below(40) {
                    let weight = 1 + random.below(size) as usize;
                    let Some(_permit) = acquire_somehow(&semaphore, &ctx, weight, &mut random) else { continue };
                    assert!(held.fetch_add(weight, Ordering::SeqCst) + weight <= size as usize);
                    if random.one_in(3) {
                        yield_now();
                    }
                    held.fetch_sub(weight, Ordering::SeqCst);
                }
            };
            if n % 5 == 4 { threads.push(thread::spawn(work)) } else { wg.go(work) }
        }
        (0..random.below(20)).for_each(|_| yield_now());
        cancel.cancel();
        wg.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(semaphore.available_permits(), size as usize);
    });
}
