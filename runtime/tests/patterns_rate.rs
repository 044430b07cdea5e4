//! `patterns::RateLimiter` from the outside. Its arithmetic is tested beside it, without a clock.

#[macro_use]
mod common;

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::drops::OnDrop;
use common::{Rng, check, check_from_thread, parked, storm, until};
use greenthread::ctx::{Context, Error};
use greenthread::patterns::RateLimiter;
use greenthread::sync::{Mutex, WaitGroup};
use greenthread::{JoinHandle, debug, spawn};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How many tokens are wanted by those who wait.
fn wanted(limiter: &RateLimiter) -> usize {
    let text = format!("{limiter:?}");
    let (_, number) = text.split_once("wanted: ").unwrap();
    number.split(' ').next().unwrap().parse().unwrap()
}

/// A goroutine that waits for `n` tokens; it does so when this returns.
fn waiter(limiter: &Arc<RateLimiter>, ctx: &Context, n: usize) -> JoinHandle<Result<(), Error>> {
    let (shared, ctx, before) = (Arc::clone(limiter), ctx.clone(), wanted(limiter));
    let waiting = parked("semaphore") + parked("select");
    let waits = spawn(move || shared.wait_n(&ctx, n));
    until(|| wanted(limiter) == before + n && parked("semaphore") + parked("select") > waiting);
    waits
}

#[test]
fn a_burst_and_then_nothing() {
    check(|| {
        let ctx = Context::background();
        for burst in [1, 2, 1000] {
            let limiter = RateLimiter::bursty(HOUR, burst);
            (0..burst / 2).for_each(|_| limiter.wait(&ctx).unwrap());
            assert!(!limiter.try_take_n(burst + 1));
            assert!(limiter.try_take_n(burst - burst / 2));
            assert!(!limiter.try_take());
            assert!(limiter.try_take_n(0));
        }
        let steady = RateLimiter::steady(HOUR);
        assert!(steady.try_take() && !steady.try_take());
        let nothing = RateLimiter::bursty(HOUR, 0);
        assert!(!nothing.try_take());
    });
}

#[test]
fn never_too_many() {
    check_from_thread(|| {
        let body = || {
            let (ctx, begin) = (Context::background(), Instant::now());
            let limiter = RateLimiter::bursty(ms(1), 3);
            for n in 0..12 {
                limiter.wait(&ctx).unwrap();
                assert!(begin.elapsed() >= ms(1) * u32::saturating_sub(n, 2));
            }
            let begin = Instant::now();
            let from_nothing = RateLimiter::bursty(ms(2), 0);
            from_nothing.wait(&ctx).unwrap();
            assert!(begin.elapsed() >= ms(2));
            from_nothing.wait(&ctx).unwrap();
            assert!(begin.elapsed() >= ms(4));
        };
        body();
        spawn(body).join().unwrap();
    });
}

#[test]
fn more_than_the_bucket_holds() {
    check(|| {
        let (ctx, begin) = (Context::background(), Instant::now());
        let limiter = RateLimiter::bursty(Duration::from_micros(100), 10);
        limiter.wait_n(&ctx, 60).unwrap();
        assert!(begin.elapsed() >= ms(5));
        limiter.wait_n(&ctx, 11).unwrap();
        assert!(begin.elapsed() >= Duration::from_micros(6100));
    });
}

#[test]
fn served_in_order() {
    check(|| {
        let ctx = Context::background();
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 0));
        let (begin, served) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        for n in 1..=5 {
            let (shared, ctx, begin, served) =
                (Arc::clone(&limiter), ctx.clone(), Arc::clone(&begin), Arc::clone(&served));
            let waiting = parked("semaphore");
            spawn(move || {
                shared.wait(&ctx).unwrap();
                let begin: Instant = begin.lock().unwrap();
                assert!(begin.elapsed() >= ms(3) * n, "the {n}. was served before others that came earlier");
                served.fetch_add(1, Ordering::Relaxed);
            });
            until(|| if n == 1 { parked("select") == 1 } else { parked("semaphore") > waiting });
        }
        *begin.lock() = Some(Instant::now());
        limiter.set_period(ms(3));
        // Who comes last waits behind them.
        limiter.wait(&ctx).unwrap();
        assert!(begin.lock().unwrap().elapsed() >= ms(18));
        until(|| served.load(Ordering::Relaxed) == 5);
    });
}

#[test]
fn who_gives_up_takes_nothing_and_lets_the_next_through() {
    check(|| {
        let ctx = Context::background();
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 5));
        assert!(limiter.try_take_n(2));
        let (impatient, cancel) = ctx.with_cancel();
        let large = waiter(&limiter, &impatient, 4);
        let middle = waiter(&limiter, &impatient, 1);
        let small = waiter(&limiter, &ctx, 2);
        assert!(!limiter.try_take(), "there are three, and the first wants four");
        assert_eq!(wanted(&limiter), 7);
        cancel.cancel();
        assert_eq!(large.join().unwrap(), Err(Error::Canceled));
        assert_eq!(middle.join().unwrap(), Err(Error::Canceled));
        assert_eq!(small.join().unwrap(), Ok(()), "although nothing has come");
        assert!(limiter.try_take() && !limiter.try_take());
        assert_eq!(wanted(&limiter), 0);
        assert_eq!(limiter.wait(&impatient), Err(Error::Canceled));
    });
}

#[test]
fn an_ended_context_takes_nothing() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let limiter = RateLimiter::steady(HOUR);
        assert_eq!(limiter.wait(&ctx), Err(Error::Canceled));
        assert!(limiter.try_take());
    });
}

#[test]
fn what_comes_after_the_deadline_is_refused_at_once() {
    check(|| {
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 1));
        let hours = |n: u32| Context::background().with_timeout(HOUR * n + HOUR / 2);
        assert!(limiter.try_take());
        let (one, _cancel) = hours(1);
        let first = waiter(&limiter, &one, 1);
        assert_eq!(limiter.wait(&hours(1).0), Err(Error::DeadlineExceeded), "the second comes in two hours");
        let (three, cancel) = hours(3);
        assert_eq!(limiter.wait_n(&three, 3), Err(Error::DeadlineExceeded));
        assert_eq!(limiter.wait_n(&three, usize::MAX), Err(Error::DeadlineExceeded));
        let second = waiter(&limiter, &three, 2);
        assert_eq!(wanted(&limiter), 3);
        assert_eq!(limiter.wait(&three), Err(Error::DeadlineExceeded));

        // Too late for who is in front, as the period changes; not for the one behind, who is in front then.
        limiter.set_period(HOUR * 8 / 5);
        assert_eq!(first.join().unwrap(), Err(Error::DeadlineExceeded));
        assert_eq!(one.err(), None, "it was not waited for");
        until(|| parked("select") == 1);
        cancel.cancel();
        assert_eq!(second.join().unwrap(), Err(Error::Canceled));
    });
}

#[test]
fn a_deadline_allows_what_comes_before_it() {
    check(|| {
        let limiter = RateLimiter::bursty(ms(2), 0);
        let (ctx, _cancel) = Context::background().with_timeout(ms(20));
        // As many as come within that time; then none, and it is known before the deadline is there.
        let mut taken = 0;
        let refused = loop {
            match limiter.wait(&ctx) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, Error::DeadlineExceeded);
        assert!(taken <= 10);
        assert_eq!(wanted(&limiter), 0);
    });
}

#[test]
fn one_timer_while_somebody_waits_and_none_else() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 0));
        let waiting: Vec<_> = (0..20).map(|_| waiter(&limiter, &ctx, 1)).collect();
        assert_eq!((debug::stats().timers, debug::stats().goroutines), (1, 21));
        cancel.cancel();
        assert!(waiting.into_iter().all(|waiter| waiter.join().unwrap().is_err()));
        assert_eq!(debug::stats().timers, 0);
    });
}

#[test]
fn the_period_changes_for_those_who_wait() {
    check(|| {
        let ctx = Context::background();
        let limiter = Arc::new(RateLimiter::bursty(Duration::MAX, 2));
        assert_eq!(limiter.period(), Duration::MAX);
        assert!(limiter.try_take_n(2));
        let waiting: Vec<_> = (1..=10).map(|n| waiter(&limiter, &ctx, n)).collect();
        limiter.set_period(HOUR);
        limiter.set_period(Duration::from_micros(10));
        assert!(waiting.into_iter().all(|waiter| waiter.join().unwrap().is_ok()));
        limiter.set_period(Duration::MAX);
        let waiting: Vec<_> = (0..10).map(|n| waiter(&limiter, &ctx, 1000 + n)).collect();
        limiter.set_period(Duration::ZERO);
        assert!(waiting.into_iter().all(|waiter| waiter.join().unwrap().is_ok()));
        assert_eq!(limiter.period(), Duration::ZERO);
    });
}

#[test]
fn a_period_of_zero_is_no_limit() {
    check(|| {
        let (limiter, ctx) = (Arc::new(RateLimiter::steady(Duration::ZERO)), Context::background());
        let wg = WaitGroup::new();
        for _ in 0..10 {
            let (limiter, ctx) = (Arc::clone(&limiter), ctx.clone());
            wg.go(move || (0..10_000).for_each(|_| limiter.wait(&ctx).unwrap()));
        }
        wg.wait();
        assert!(limiter.try_take_n(usize::MAX) && limiter.try_take());
        limiter.wait_n(&ctx, usize::MAX).unwrap();
    });
}

#[test]
fn threads_and_goroutines_share_one() {
    static SHARED: RateLimiter = RateLimiter::bursty(Duration::from_micros(20), 2);
    assert_eq!(asked!(RateLimiter), (true, true));
    check_from_thread(|| {
        let taken = Arc::new(AtomicUsize::new(0));
        let take = |taken: &Arc<AtomicUsize>| {
            let taken = Arc::clone(taken);
            move || {
                for _ in 0..50 {
                    SHARED.wait(&Context::background()).unwrap();
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let begin = Instant::now();
        let goroutines: Vec<_> = (0..6).map(|_| spawn(take(&taken))).collect();
        thread::scope(|s| (0..2).for_each(|_| drop(s.spawn(take(&taken)))));
        goroutines.into_iter().for_each(|goroutine| goroutine.join().unwrap());
        assert_eq!(taken.load(Ordering::Relaxed), 400);
        assert!(begin.elapsed() >= Duration::from_micros(20) * 398);
    });
}

#[test]
fn in_destructors_while_unwinding() {
    check(|| {
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 0));
        let other = spawn({
            let limiter = Arc::clone(&limiter);
            move || {
                let _waits = OnDrop::new(|| limiter.wait(&Context::background()).unwrap());
                panic::resume_unwind(Box::new(()));
            }
        });
        until(|| wanted(&limiter) == 1);
        limiter.set_period(ms(1));
        assert!(other.join().is_err());
        assert_eq!(wanted(&limiter), 0);
    });
}

/// Takes tokens in one of the ways, at random; how many it got.
fn take_somehow(limiter: &RateLimiter, ctx: &Context, random: &mut Rng) -> usize {
    let n = random.below(4) as usize;
    let got = match random.below(4) {
        0 => limiter.try_take_n(n),
        1 => limiter.wait_n(&ctx.with_timeout(Duration::from_micros(random.below(300))).0, n).is_ok(),
        _ => limiter.wait_n(ctx, n).is_ok(),
    };
    if got { n } else { 0 }
}

#[test]
fn storm_of_all_forms() {
    storm(|random| {
        let (period, burst) = (Duration::from_nanos(500 + random.below(50_000)), random.below(4));
        let (ctx, cancel) = Context::background().with_cancel();
        let (limiter, begin) = (Arc::new(RateLimiter::bursty(period, burst as usize)), Instant::now());
        let (taken, wg) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
        for _ in 0..2 + random.below(8) {
            let (limiter, ctx, taken) = (Arc::clone(&limiter), ctx.clone(), Arc::clone(&taken));
            let mut random = random.fork();
            wg.go(move || {
                for _ in 0..random.below(30) {
                    taken.fetch_add(take_somehow(&limiter, &ctx, &mut random), Ordering::Relaxed);
                    if random.one_in(20) {
                        limiter.set_period(period * (1 + random.below(3) as u32));
                    }
                }
            });
        }
        if random.one_in(2) {
            (0..random.below(20)).for_each(|_| greenthread::yield_now());
            cancel.cancel();
        }
        wg.wait();
        let most = u128::from(burst) + begin.elapsed().as_nanos() / period.as_nanos();
        assert!(taken.load(Ordering::Relaxed) as u128 <= most);
        assert_eq!(wanted(&limiter), 0);
    });
}
