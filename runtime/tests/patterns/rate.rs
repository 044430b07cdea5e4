//! `patterns::RateLimiter` from the outside. Unit tests cover its arithmetic, without a clock.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::OnDrop;
use crate::common::{Rng, check, check_from_thread, panic_of, parked, storm, until};
use greenthread::ctx::{Context, Error};
use greenthread::patterns::RateLimiter;
use greenthread::sync::Mutex;
use greenthread::{JoinHandle, debug, spawn, time};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Returns the number of tokens that waiters are queued for.
fn queued(limiter: &RateLimiter) -> usize {
    let text = format!("{limiter:?}");
    let (_, number) = text.split_once("queued: ").unwrap();
    number.split(' ').next().unwrap().parse().unwrap()
}

/// Starts a goroutine that waits for `n` tokens; it is waiting when this returns.
fn waiter(limiter: &Arc<RateLimiter>, ctx: &Context, n: usize) -> JoinHandle<Result<(), Error>> {
    let (shared, ctx, before) = (Arc::clone(limiter), ctx.clone(), queued(limiter));
    let waiting = parked("semaphore") + parked("select");
    let waits = spawn(move || shared.wait_n(&ctx, n));
    until(|| queued(limiter) == before + n && parked("semaphore") + parked("select") > waiting);
    waits
}

#[test]
fn burst_then_nothing() {
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
fn rate_is_never_exceeded() {
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
fn wait_for_more_than_the_bucket_holds() {
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
fn waiters_are_served_in_order() {
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
                assert!(begin.elapsed() >= ms(3) * n, "waiter {n} was served before earlier waiters");
                served.fetch_add(1, Ordering::Relaxed);
            });
            until(|| if n == 1 { parked("select") == 1 } else { parked("semaphore") > waiting });
        }
        *begin.lock() = Some(Instant::now());
        limiter.set_period(ms(3));
        // A later waiter queues behind them.
        limiter.wait(&ctx).unwrap();
        assert!(begin.lock().unwrap().elapsed() >= ms(18));
        until(|| served.load(Ordering::Relaxed) == 5);
    });
}

#[test]
fn waiter_that_gives_up_takes_nothing_and_frees_the_next() {
    check(|| {
        let ctx = Context::background();
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 5));
        assert!(limiter.try_take_n(2));
        let (impatient, cancel) = ctx.with_cancel();
        let large = waiter(&limiter, &impatient, 4);
        let middle = waiter(&limiter, &impatient, 1);
        let small = waiter(&limiter, &ctx, 2);
        assert!(!limiter.try_take(), "there are three, and the first wants four");
        assert_eq!(queued(&limiter), 7);
        cancel.cancel();
        assert_eq!(large.join().unwrap(), Err(Error::Canceled));
        assert_eq!(middle.join().unwrap(), Err(Error::Canceled));
        assert_eq!(small.join().unwrap(), Ok(()), "although no new token has come");
        assert!(limiter.try_take() && !limiter.try_take());
        assert_eq!(queued(&limiter), 0);
        assert_eq!(limiter.wait(&impatient), Err(Error::Canceled));
    });
}

#[test]
fn ended_context_takes_nothing() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let limiter = RateLimiter::steady(HOUR);
        assert_eq!(limiter.wait(&ctx), Err(Error::Canceled));
        assert!(limiter.try_take());
    });
}

#[test]
fn tokens_after_the_deadline_are_refused_at_once() {
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
        assert_eq!(queued(&limiter), 3);
        assert_eq!(limiter.wait(&three), Err(Error::DeadlineExceeded));

        // Too late for the waiter in front, as the period changes; not for the one behind, which is
        // then in front.
        limiter.set_period(HOUR * 8 / 5);
        assert_eq!(first.join().unwrap(), Err(Error::DeadlineExceeded));
        assert_eq!(one.err(), None, "the refusal does not wait for the deadline");
        until(|| parked("select") == 1);
        cancel.cancel();
        assert_eq!(second.join().unwrap(), Err(Error::Canceled));
    });
}

#[test]
fn tokens_before_the_deadline_are_taken() {
    check(|| {
        let limiter = RateLimiter::bursty(ms(2), 0);
        let (ctx, _cancel) = Context::background().with_timeout(HOUR / 2);
        let begin = Instant::now();
        for n in 1..=5 {
            assert_eq!(limiter.wait(&ctx), Ok(()), "token {n} comes long before the deadline");
            assert!(begin.elapsed() >= ms(2) * n);
        }
        limiter.set_period(HOUR);
        assert_eq!(limiter.wait(&ctx), Err(Error::DeadlineExceeded));
        assert_eq!(ctx.err(), None, "the refusal does not wait for the deadline");

        let limiter = RateLimiter::bursty(ms(2), 0);
        let (ctx, _cancel) = Context::background().with_timeout(ms(20));
        let mut taken = 0;
        let refused = loop {
            match limiter.wait(&ctx) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, Error::DeadlineExceeded);
        assert!(taken <= 10, "{taken} tokens in 20 ms");
        assert_eq!(queued(&limiter), 0);
    });
}

#[test]
fn one_timer_for_all_waiters_and_none_without() {
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
fn new_period_applies_to_waiters() {
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
fn period_of_zero_means_no_limit() {
    check(|| {
        let (limiter, ctx) = (Arc::new(RateLimiter::steady(Duration::ZERO)), Context::background());
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let (limiter, ctx) = (Arc::clone(&limiter), ctx.clone());
                spawn(move || (0..10_000).for_each(|_| limiter.wait(&ctx).unwrap()))
            })
            .collect();
        waiting.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(limiter.try_take_n(usize::MAX) && limiter.try_take());
        limiter.wait_n(&ctx, usize::MAX).unwrap();
    });
}

#[test]
fn threads_and_goroutines_share_a_limiter() {
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
fn reservation_returns_when_it_is_due() {
    check(|| {
        let (limiter, begin) = (RateLimiter::bursty(ms(2), 2), Instant::now());
        let all: Vec<_> = (0..6).map(|_| limiter.reserve().unwrap()).collect();
        for (n, reserved) in all.iter().enumerate() {
            assert!(reserved.due() >= begin + ms(2) * u32::saturating_sub(n as u32, 1));
            assert!(reserved.delay() <= ms(2) * n as u32);
        }
        assert!(!limiter.try_take(), "what comes is reserved");
        limiter.wait(&Context::background()).unwrap();
        assert!(begin.elapsed() >= ms(2) * 5, "it came after those that are reserved");
        assert!(all.iter().all(|reserved| reserved.delay().is_zero()));
        let never = RateLimiter::bursty(Duration::MAX, 1);
        assert!(never.reserve().is_some() && never.reserve().is_none());
        let unlimited = RateLimiter::steady(Duration::ZERO);
        assert!((0..10).all(|_| unlimited.reserve_n(usize::MAX).unwrap().delay().is_zero()));
        unlimited.reserve().unwrap().cancel();
        assert!(unlimited.try_take());
    });
}

#[test]
fn reservation_queues_behind_waiters() {
    check(|| {
        let ctx = Context::background();
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 0));
        let first = waiter(&limiter, &ctx, 1);
        let reserved = limiter.reserve_n(2).unwrap();
        assert!(reserved.delay() > HOUR * 5 / 2, "it comes after the one that waits");
        let last = waiter(&limiter, &ctx, 1);
        assert_eq!(limiter.tokens().floor(), -4.0);
        limiter.set_period(ms(1));
        assert!(reserved.delay() > HOUR, "it keeps its time");
        first.join().unwrap().unwrap();
        last.join().unwrap().unwrap();
    });
}

#[test]
fn canceled_reservation_goes_to_waiters() {
    check(|| {
        let ctx = Context::background();
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 3));
        assert!(limiter.try_take_n(2));
        let large = limiter.reserve_n(100).unwrap();
        let waiting = waiter(&limiter, &ctx, 1);
        large.cancel();
        // One of the three tokens was left, and it is free again.
        waiting.join().unwrap().unwrap();
        assert!(!limiter.try_take());
        let (early, late) = (limiter.reserve_n(2).unwrap(), limiter.reserve().unwrap());
        early.cancel();
        assert_eq!(limiter.tokens().floor(), -2.0, "the later one keeps its time, and so the place of one before it");
        late.cancel();
        assert_eq!(limiter.tokens().floor(), -1.0);
    });
}

#[test]
fn limit_and_burst_can_be_changed() {
    check(|| {
        let limiter = RateLimiter::bursty(HOUR, 4);
        assert_eq!((limiter.burst(), limiter.tokens()), (4, 4.0));
        limiter.set_burst(1);
        assert_eq!((limiter.burst(), limiter.tokens()), (1, 1.0));
        limiter.set_burst(3);
        assert!(limiter.try_take() && !limiter.try_take());
        limiter.set_limit(1000.0);
        assert_eq!((limiter.period(), limiter.limit()), (ms(1), 1000.0));
        (0..3).for_each(|_| limiter.wait(&Context::background()).unwrap());
        for (limit, period) in [
            (f64::INFINITY, Duration::ZERO),
            (f64::MAX, Duration::from_nanos(1)),
            (0.0, Duration::MAX),
            (f64::MIN_POSITIVE, Duration::MAX),
            (0.5, Duration::from_secs(2)),
        ] {
            limiter.set_limit(limit);
            assert_eq!(limiter.period(), period);
        }
        for wrong in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert!(panic_of(|| limiter.set_limit(wrong)).contains("is not a rate"));
        }
        assert_eq!(limiter.period(), Duration::from_secs(2), "a limit that is refused changes nothing");
    });
}

#[test]
fn wait_works_in_destructors_while_unwinding() {
    check(|| {
        let limiter = Arc::new(RateLimiter::bursty(HOUR, 0));
        let other = spawn({
            let limiter = Arc::clone(&limiter);
            move || {
                let _waits = OnDrop::new(|| limiter.wait(&Context::background()).unwrap());
                panic::resume_unwind(Box::new(()));
            }
        });
        until(|| queued(&limiter) == 1);
        limiter.set_period(ms(1));
        assert!(other.join().is_err());
        assert_eq!(queued(&limiter), 0);
    });
}

/// Takes tokens in one of the ways, at random, and returns how many it got.
fn take_somehow(limiter: &RateLimiter, ctx: &Context, random: &mut Rng) -> usize {
    let n = random.below(4) as usize;
    let got = match random.below(5) {
        0 => limiter.try_take_n(n),
        1 => limiter.wait_n(&ctx.with_timeout(Duration::from_micros(random.below(300))).0, n).is_ok(),
        2 => {
            let reserved = limiter.reserve_n(n).expect("these periods are short enough for the clock");
            let keeps = random.one_in(2);
            if keeps {
                time::sleep(reserved.delay());
            } else {
                // Gives back all of it, a part of it, or nothing if it is due: never more than it
                // had.
                reserved.cancel();
            }
            keeps
        }
        _ => {
            let waited = limiter.wait_n(ctx, n);
            assert!(
                waited.is_ok() || ctx.err().is_some(),
                "refused with {waited:?} although the context has not ended"
            );
            waited.is_ok()
        }
    };
    if got { n } else { 0 }
}

#[test]
fn storm_of_all_forms() {
    storm(|random| {
        let (period, burst) = (Duration::from_nanos(500 + random.below(50_000)), random.below(4));
        let (ctx, cancel) = Context::background().with_cancel();
        let (limiter, begin) = (Arc::new(RateLimiter::bursty(period, burst as usize)), Instant::now());
        let takers: Vec<_> = (0..2 + random.below(8))
            .map(|_| {
                let (limiter, ctx, mut random) = (Arc::clone(&limiter), ctx.clone(), random.fork());
                spawn(move || {
                    let mut taken = 0;
                    for _ in 0..random.below(30) {
                        taken += take_somehow(&limiter, &ctx, &mut random);
                        if random.one_in(40) {
                            limiter.set_burst(random.below(1 + burst) as usize);
                        }
                        if random.one_in(20) {
                            limiter.set_period(period * (1 + random.below(3) as u32));
                        }
                    }
                    taken
                })
            })
            .collect();
        if random.one_in(2) {
            (0..random.below(20)).for_each(|_| greenthread::yield_now());
            cancel.cancel();
        }
        let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        let most = u128::from(burst) + begin.elapsed().as_nanos() / period.as_nanos();
        assert!(taken as u128 <= most, "{taken} tokens of {most}");
        assert_eq!(queued(&limiter), 0);
    });
}
