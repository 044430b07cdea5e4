//! `patterns::retry` and its `Backoff` from the outside.

use std::cell::RefCell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::Census;
use crate::common::{check, check_from_thread, parked, storm, text, until};
use greenthread::ctx::Context;
use greenthread::patterns::{Backoff, Jitter, retry, retry_if};
use greenthread::{channel, go, spawn};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Returns a back-off with many attempts and nearly no pauses.
fn quick() -> Backoff {
    Backoff::exponential(Duration::from_nanos(100)).max_delay(Duration::from_micros(50)).max_attempts(u32::MAX)
}

#[test]
fn attempts_are_counted_from_one_until_one_succeeds() {
    check_from_thread(|| {
        let body = || {
            let ctx = Context::background();
            let mut attempts = Vec::new();
            let result = retry(&ctx, quick(), |attempt| {
                attempts.push(attempt);
                if attempt < 5 { Err("not yet") } else { Ok(attempt * 10) }
            });
            assert_eq!((result, attempts), (Ok(50), vec![1, 2, 3, 4, 5]));
            assert_eq!(retry(&ctx, quick(), Ok::<_, ()>), Ok(1));
        };
        body();
        spawn(body).join().unwrap();
    });
}

#[test]
fn the_last_error_is_returned_and_all_others_are_dropped() {
    check(|| {
        let census = Census::default();
        let mut made = 0;
        for attempts in [0, 1, 2, 1000] {
            let last = retry(&Context::background(), quick().max_attempts(attempts), |attempt| {
                assert!(attempt == 1 || census.alive() == 0, "a pause keeps no error for longer than it lasts");
                Err::<(), _>((attempt, census.value()))
            });
            made += attempts.max(1) as usize;
            assert_eq!(last.map_err(|(attempt, _)| attempt), Err(attempts.max(1)));
            assert_eq!((census.made(), census.alive()), (made, 0));
        }
    });
}

#[test]
fn hundred_thousand_attempts() {
    check(|| {
        let backoff = Backoff::exponential(Duration::ZERO).max_attempts(100_000);
        assert_eq!(retry(&Context::background(), backoff, Err::<(), _>), Err(100_000));
    });
}

#[test]
fn final_error_ends_it() {
    check(|| {
        let seen = RefCell::new(Vec::new());
        let worth = |error: &u32| {
            seen.borrow_mut().push(*error);
            *error != 3
        };
        assert_eq!(retry_if(&Context::background(), quick(), worth, Err::<(), _>), Err(3));
        assert_eq!(seen.into_inner(), [1, 2, 3]);
        // The last attempt's error is checked too, and no pause follows.
        let hours = Backoff::exponential(HOUR).jitter(Jitter::None);
        assert_eq!(retry_if(&Context::background(), hours, |_| false, Err::<(), _>), Err(1));
    });
}

#[test]
fn context_ends_a_pause() {
    check_from_thread(|| {
        let body = || {
            let (ctx, cancel) = Context::background().with_cancel();
            let (failed, failure) = channel::bounded(1);
            go!(move || {
                failure.recv().unwrap();
                cancel.cancel();
            });
            let backoff = Backoff::exponential(HOUR).jitter(Jitter::None);
            let result: Result<(), _> = retry(&ctx, backoff, |attempt| {
                failed.send(()).unwrap();
                Err(attempt)
            });
            assert_eq!(result, Err(1));
            assert!(ctx.err().is_some());
        };
        body();
        spawn(body).join().unwrap();
    });
}

#[test]
fn ended_context_allows_one_attempt() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        assert_eq!(retry(&ctx, quick(), Err::<(), _>), Err(1));
        assert_eq!(retry(&ctx, quick(), Ok::<_, ()>), Ok(1));
        // Ended by the attempt itself.
        let (ctx, cancel) = Context::background().with_cancel();
        let ends: Result<(), u32> = retry(&ctx, quick(), |attempt| {
            if attempt == 3 {
                cancel.cancel();
            }
            Err(attempt)
        });
        assert_eq!(ends, Err(3));
    });
}

#[test]
fn no_pause_lasts_beyond_the_deadline_or_max_elapsed() {
    check(|| {
        let hours = Backoff::exponential(HOUR).jitter(Jitter::None);
        let (ctx, _cancel) = Context::background().with_timeout(HOUR / 2);
        assert_eq!(retry(&ctx, hours, Err::<(), _>), Err(1));
        assert_eq!(ctx.err(), None, "retry does not wait for the deadline");
        assert_eq!(retry(&Context::background(), hours.max_elapsed(HOUR / 2), Err::<(), _>), Err(1));
        assert_eq!(retry(&ctx, hours.max_elapsed(Duration::MAX), Err::<(), _>), Err(1));

        // Pauses that fit are made.
        let begin = Instant::now();
        let short =
            Backoff::exponential(ms(10)).factor(1.0).jitter(Jitter::None).max_attempts(u32::MAX).max_elapsed(ms(200));
        let attempts = retry(&Context::background(), short, Err::<(), _>).unwrap_err();
        assert!((2..=21).contains(&attempts), "{attempts}");
        assert!(begin.elapsed() >= ms(10) * (attempts - 1));
    });
}

#[test]
fn panic_reaches_the_caller() {
    check(|| {
        let census = Census::default();
        let value = census.value();
        let payload = panic::catch_unwind(AssertUnwindSafe(|| {
            retry(&Context::background(), quick(), move |attempt| {
                let _keeps = &value;
                assert!(attempt < 3, "expected");
                Err::<(), _>(attempt)
            })
        }))
        .unwrap_err();
        assert_eq!((text(&*payload), census.alive()), ("expected", 0));
        let predicate = || retry_if(&Context::background(), quick(), |_| panic!("of the predicate"), Err::<(), _>);
        assert_eq!(text(&*panic::catch_unwind(predicate).unwrap_err()), "of the predicate");
    });
}

#[test]
fn retry_parks_in_its_pauses() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let waits = spawn(move || retry(&ctx, Backoff::exponential(HOUR).jitter(Jitter::None), Err::<(), _>));
        until(|| parked("select") == 1);
        cancel.cancel();
        assert_eq!(waits.join().unwrap(), Err(1));
    });
}

#[test]
fn pauses_grow_up_to_the_longest() {
    let delays = |backoff: Backoff| backoff.jitter(Jitter::None).delays().collect::<Vec<_>>();
    let backoff = Backoff::exponential(ms(8)).max_attempts(5);
    assert_eq!(delays(backoff), [ms(8), ms(16), ms(32), ms(64)]);
    assert_eq!(delays(backoff.factor(1.5)), [ms(8), ms(12), ms(18), ms(27)]);
    assert_eq!(delays(backoff.factor(1.0)), [ms(8); 4]);
    assert_eq!(delays(backoff.max_delay(ms(20))), [ms(8), ms(16), ms(20), ms(20)]);
    assert_eq!(delays(backoff.max_delay(ms(3))), [ms(3); 4]);
    assert_eq!(delays(Backoff::exponential(HOUR).max_attempts(3)), [HOUR; 2], "longer than the longest by default");
    assert_eq!(delays(Backoff::exponential(Duration::MAX).max_attempts(3)), [Duration::MAX; 2]);
    assert_eq!(delays(backoff.max_delay(Duration::MAX).factor(f64::MAX)).last(), Some(&Duration::MAX));
    assert_eq!(delays(Backoff::exponential(Duration::ZERO).max_attempts(4)), [Duration::ZERO; 3]);
    assert_eq!(delays(backoff.max_attempts(1)), []);
    assert_eq!(delays(backoff.max_attempts(0)), []);
    let all: Duration = Backoff::default().jitter(Jitter::None).delays().sum();
    assert_eq!(all, ms(100 + 200 + 400 + 800 + 1600 + 3200 + 6400 + 10_000 + 10_000));
    for factor in [0.999, -1.0, f64::NAN] {
        let payload = panic::catch_unwind(|| backoff.factor(factor)).unwrap_err();
        assert!(text(&*payload).contains("would shrink the pauses"));
    }
}

#[test]
fn jitter_takes_any_part_of_a_pause() {
    let longest = ms(1000);
    let backoff = Backoff::exponential(longest).factor(1.0).max_attempts(4001);
    let mut tenths = [0_u32; 10];
    for delay in backoff.delays() {
        assert!(delay <= longest);
        tenths[(delay.as_nanos() * 10 / (longest.as_nanos() + 1)) as usize] += 1;
    }
    // 400 in each; ten standard deviations are 190.
    assert!(tenths.iter().all(|&n| (200..600).contains(&n)), "{tenths:?}");
    // Pauses do not build on each other: after a short one, the next may have any length. (This
    // fails by chance once in 2^36 runs.)
    let doubled = Backoff::exponential(ms(1)).max_attempts(20).max_delay(HOUR).delays();
    assert!(doubled.max().unwrap() > ms(1000));
}

#[test]
fn errors_of_any_type() {
    check_from_thread(|| {
        let join = thread::spawn(|| -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
            retry(&Context::background(), quick(), |attempt| match attempt {
                1 => Err(io::Error::other("broken"))?,
                2 => Ok("x".parse::<u32>()?),
                _ => Ok(attempt),
            })
        });
        assert_eq!(join.join().unwrap().unwrap(), 3);
    });
}

#[test]
fn storm_of_retries_under_one_context() {
    storm(|random| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (census, mut all) = (Census::default(), Vec::new());
        for _ in 0..1 + random.below(20) {
            let (ctx, census) = (ctx.clone(), census.clone());
            let succeeds = 1 + random.below(30) as u32;
            all.push(spawn(move || {
                retry(&ctx, quick(), |attempt| {
                    assert!(attempt <= succeeds);
                    if attempt == succeeds { Ok(census.value()) } else { Err(census.value()) }
                })
                .is_ok()
            }));
        }
        if random.one_in(2) {
            cancel.cancel();
            all.into_iter().for_each(|retries| assert!(retries.join().is_ok()));
        } else {
            assert!(all.into_iter().all(|retries| retries.join().unwrap()));
        }
        assert_eq!(census.alive(), 0);
    });
}
