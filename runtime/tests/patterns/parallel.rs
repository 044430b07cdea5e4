//! `patterns::parallel_map` from the outside.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::common::drops::Census;
use crate::common::{Rng, check, check_from_thread, check_on, seed, storm, text, until};
use greenthread::channel::{bounded, unbounded};
use greenthread::ctx::{Context, Error};
use greenthread::patterns::{parallel_map, parallel_map_unordered};
use greenthread::{Exited, current, debug, exit_goroutine, num_goroutine, spawn, time, yield_now};

fn id() -> Option<u64> {
    current().map(|goroutine| goroutine.id())
}

/// Returns the payload of the panic that ends `f`.
fn payload_of<R>(f: impl FnOnce() -> R) -> Box<dyn std::any::Any + Send> {
    panic::catch_unwind(AssertUnwindSafe(f)).err().expect("a panic")
}

/// Counts the calls that run at once.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    fn visit(&self, stay: impl FnOnce()) {
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        stay();
        self.now.fetch_sub(1, SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(SeqCst)
    }
}

#[test]
fn results_keep_the_order_of_the_items() {
    check(move || {
        let seed = seed();
        let mut random = Rng::new(seed);
        for _ in 0..200 {
            let pauses: Vec<usize> = (0..random.index(60)).map(|_| random.index(6)).collect();
            let limit = 1 + random.index(9);
            let doubled =
                parallel_map(&Context::background(), limit, pauses.iter().enumerate(), |_, (place, pause)| {
                    (0..*pause).for_each(|_| yield_now());
                    Ok::<_, Error>((place, pause * 2))
                });
            let expected: Vec<_> = pauses.iter().map(|pause| pause * 2).enumerate().collect();
            assert_eq!(doubled, Ok(expected));
        }
    });
}

#[test]
fn first_item_may_be_the_last_to_end() {
    check(|| {
        let results = |unordered: bool| {
            let (others, all_others) = bounded(50);
            let work = |_: &Context, n: usize| {
                match n {
                    0 => (1..50).for_each(|_| all_others.recv().unwrap()),
                    _ => others.send(()).unwrap(),
                }
                Ok::<_, Error>(n)
            };
            let ctx = Context::background();
            if unordered { parallel_map_unordered(&ctx, 2, 0..50, work) } else { parallel_map(&ctx, 2, 0..50, work) }
        };
        assert_eq!(results(false), Ok((0..50).collect()));
        assert_eq!(results(true), Ok((1..50).chain([0]).collect()));
    });
}

#[test]
fn limit_bounds_the_workers_and_each_does_many_items() {
    check(|| {
        for limit in [1, 2, 7] {
            let (crowd, workers) = (Crowd::default(), Mutex::new(HashSet::new()));
            let done = parallel_map(&Context::background(), limit, 0..300, |_, _| {
                workers.lock().unwrap().insert(id());
                crowd.visit(yield_now);
                Ok::<_, Error>(())
            });
            assert_eq!(done.unwrap().len(), 300);
            assert!(crowd.most() <= limit && workers.lock().unwrap().len() <= limit);
        }
    });
}

#[test]
fn as_many_workers_as_the_limit_if_they_wait() {
    check(|| {
        let meeting = greenthread::sync::Barrier::new(5);
        let met = parallel_map(&Context::background(), 5, 0..10, |_, _| Ok::<_, Error>(meeting.wait().is_leader()));
        assert_eq!(met.unwrap().into_iter().filter(|leader| *leader).count(), 2);
    });
}

#[test]
fn limit_of_one_uses_only_the_caller() {
    check(|| {
        let (before, caller) = (num_goroutine(), id());
        let alone = parallel_map(&Context::background(), 1, 0..10, |_, n| {
            assert_eq!((num_goroutine(), id()), (before, caller));
            Ok::<_, Error>(n)
        });
        assert_eq!(alone, Ok((0..10).collect()));
        // A single item needs no other worker, and neither does the last item.
        let most = AtomicUsize::new(0);
        let count = |_: &Context, _| {
            most.fetch_max(num_goroutine(), SeqCst);
            (0..20).for_each(|_| yield_now());
            Ok::<_, Error>(())
        };
        parallel_map(&Context::background(), usize::MAX, [1], count).unwrap();
        assert_eq!(most.load(SeqCst), before);
        parallel_map(&Context::background(), usize::MAX, [1, 2, 3], count).unwrap();
        assert!(most.load(SeqCst) <= before + 2);
    });
}

#[test]
fn calls_that_never_wait_start_few_goroutines() {
    check_on(1, || {
        let most = AtomicUsize::new(0);
        let count = |_: &Context, _| {
            most.fetch_max(num_goroutine(), SeqCst);
            Ok::<_, Error>(())
        };
        greenthread::scope(|s| {
            s.spawn(|| parallel_map(&Context::background(), 1000, 0..1000, count).unwrap());
        });
        assert!(most.load(SeqCst) < 100);
    });
}

#[test]
fn no_items_give_no_results() {
    check(|| {
        let never = |_: &Context, n: u32| -> Result<u32, Error> { unreachable!("{n}") };
        assert_eq!(parallel_map(&Context::background(), 4, [], never), Ok(vec![]));
        assert_eq!(parallel_map(&Context::background(), 4, iter::from_fn(|| None), never), Ok(vec![]));
        assert_eq!(parallel_map_unordered(&Context::background(), 4, [], never), Ok(vec![]));
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        assert_eq!(parallel_map(&ctx, 4, [], never), Ok(vec![]), "there was nothing to do");
    });
}

#[test]
fn hundred_thousand_items() {
    check(|| {
        let ctx = Context::background();
        let squares = parallel_map(&ctx, 8, 0..100_000_u64, |_, n| Ok::<_, Error>(n * n)).unwrap();
        assert!(squares.iter().enumerate().all(|(n, square)| *square == (n * n) as u64) && squares.len() == 100_000);
        let mut numbers = parallel_map_unordered(&ctx, 100, 0..100_000, |_, n| {
            if n % 100 == 0 {
                yield_now();
            }
            Ok::<_, Error>(n)
        });
        numbers.as_mut().unwrap().sort_unstable();
        assert_eq!(numbers, Ok((0..100_000).collect()));
        // One goroutine for each item, all at the same time.
        let (crowd, meeting) = (Crowd::default(), greenthread::sync::Barrier::new(2000));
        parallel_map(&ctx, usize::MAX, 0..2000, |_, _| {
            crowd.visit(|| {
                meeting.wait();
            });
            Ok::<_, Error>(())
        })
        .unwrap();
        assert_eq!(crowd.most(), 2000);
    });
}

#[test]
fn items_are_taken_only_when_needed() {
    check(|| {
        let (taken, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let endless = iter::repeat_with(|| {
            let ahead = taken.fetch_add(1, SeqCst) - ended.load(SeqCst);
            assert!(ahead <= 3, "{ahead} items are waiting");
        });
        let error = parallel_map(&Context::background(), 3, endless, |_, ()| {
            yield_now();
            if ended.fetch_add(1, SeqCst) >= 500 { Err(io::Error::other("enough")) } else { Ok(()) }
        });
        assert_eq!(error.unwrap_err().to_string(), "enough");
    });
}

#[test]
fn first_error_stops_the_call() {
    check(|| {
        let (census, waiting, started) = (Census::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let error = parallel_map(&Context::background(), 5, (0..).map(|n| (n, census.value())), |ctx, (n, _item)| {
            started.fetch_add(1, SeqCst);
            if n == 2 {
                return Ok(census.value());
            }
            if n == 5 {
                until(|| waiting.load(SeqCst) == 4);
                return Err(io::Error::other("five"));
            }
            waiting.fetch_add(1, SeqCst);
            ctx.done().recv().unwrap_err();
            assert_eq!(ctx.cause().unwrap().to_string(), "five");
            Err(io::Error::other("a later one"))
        });
        assert_eq!(error.err().unwrap().to_string(), "five");
        assert_eq!(started.load(SeqCst), 6, "items were taken after the error");
        assert_eq!((census.alive(), census.made()), (0, 7));
    });
}

#[test]
fn panic_stops_the_call_and_resumes() {
    check(|| {
        let census = Census::default();
        let payload = payload_of(|| {
            parallel_map(&Context::background(), 4, (0..).map(|n| (n, census.value())), |ctx, (n, _item)| {
                if n == 3 {
                    panic!("expected");
                }
                let value = census.value();
                ctx.done().recv().unwrap_err();
                Ok::<_, Error>(value)
            })
        });
        assert_eq!(text(&*payload), "expected");
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn panic_on_the_caller_waits_for_the_others() {
    check(|| {
        let (caller, started, ended) = (id(), AtomicUsize::new(0), AtomicUsize::new(0));
        let payload = payload_of(|| {
            parallel_map(&Context::background(), 4, 0.., |ctx, _| {
                if id() == caller {
                    until(|| started.load(SeqCst) == 3);
                    panic!("expected");
                }
                started.fetch_add(1, SeqCst);
                ctx.done().recv().unwrap_err();
                (0..100).for_each(|_| yield_now());
                ended.fetch_add(1, SeqCst);
                Ok::<_, Error>(())
            })
        });
        assert_eq!(text(&*payload), "expected");
        assert_eq!(ended.load(SeqCst), 3);
    });
}

#[test]
fn panic_takes_precedence_over_an_error() {
    check(|| {
        let both = AtomicBool::new(false);
        let payload = payload_of(|| {
            parallel_map(&Context::background(), 2, 0..2, |ctx, n| {
                if n == 0 {
                    until(|| both.load(SeqCst));
                    return Err(Error::DeadlineExceeded);
                }
                both.store(true, SeqCst);
                ctx.done().recv().unwrap_err();
                if n == 1 { panic!("expected") } else { Ok(()) }
            })
        });
        assert_eq!(text(&*payload), "expected");
    });
}

#[test]
fn panicking_iterator_stops_the_call() {
    check(|| {
        for _ in 0..100 {
            let (asked, census) = (AtomicUsize::new(0), Census::default());
            let items = iter::repeat_with(|| {
                if asked.fetch_add(1, SeqCst) == 10 {
                    // Until the other workers want an item, too.
                    (0..20).for_each(|_| yield_now());
                    panic::resume_unwind(Box::new("expected"));
                }
                census.value()
            });
            let payload = payload_of(|| parallel_map(&Context::background(), 4, items, |_, item| Ok::<_, Error>(item)));
            assert_eq!(text(&*payload), "expected");
            assert_eq!(asked.load(SeqCst), 11, "asked again");
            assert_eq!(census.alive(), 0);
        }
    });
}

#[test]
fn panic_in_display_of_an_error_is_a_panic() {
    #[derive(Debug)]
    struct Unspeakable;

    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("expected")
        }
    }

    impl From<Error> for Unspeakable {
        fn from(_: Error) -> Self {
            Self
        }
    }

    check(|| {
        let endless = payload_of(|| {
            parallel_map(&Context::background(), 3, 0.., |ctx, n| {
                if n == 3 {
                    return Err(Unspeakable);
                }
                yield_now();
                ctx.err().map_or(Ok(()), |end| Err(end.into()))
            })
        });
        assert_eq!(text(&*endless), "expected");
    });
}

#[test]
fn context_stops_the_call() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel_cause();
        let (census, done) = (Census::default(), AtomicUsize::new(0));
        let error = parallel_map(&ctx, 3, iter::repeat_with(|| census.value()), |below, _item| {
            if done.fetch_add(1, SeqCst) == 20 {
                cancel.cancel("enough");
                assert_eq!(below.cause().unwrap().to_string(), "enough");
            }
            yield_now();
            Ok::<_, Error>(census.value())
        });
        assert_eq!(error.err(), Some(Error::Canceled));
        assert!(done.load(SeqCst) <= 20 + 3, "items were taken after the end");
        assert_eq!(census.alive(), 0);

        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(2));
        let error = parallel_map(&ctx, 3, 0.., |below, _| below.sleep(Duration::from_secs(3600)));
        assert_eq!(error, Err(Error::DeadlineExceeded));
        let never = |_: &Context, n: u32| -> Result<u32, Error> { unreachable!("{n}") };
        assert_eq!(parallel_map(&ctx, 3, 0..1, never), Err(Error::DeadlineExceeded));
    });
}

#[test]
fn complete_results_survive_the_end_of_the_context() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let done = parallel_map(&ctx, 2, 0..5, |_, n| {
            if n == 4 {
                cancel.cancel();
            }
            Ok::<_, Error>(n)
        });
        assert_eq!(done, Ok((0..5).collect()));
    });
}

#[test]
fn context_of_the_calls_ends_with_the_last_of_them() {
    check(|| {
        let (ctx, _cancel) = Context::background().with_value(7_u8).with_cancel();
        let below = parallel_map(&ctx, 2, 0..3, |below, _| Ok::<_, Error>(below.clone())).unwrap();
        assert!(below.iter().all(|below| below.err() == Some(Error::Canceled) && below.value() == Some(&7_u8)));
        assert_eq!(ctx.err(), None);
    });
}

#[test]
#[should_panic(expected = "a limit of 0 would never run anything")]
fn limit_of_zero_is_refused() {
    let _ = parallel_map(&Context::background(), 0, 0..3, |_, _| Ok::<_, Error>(()));
}

#[test]
fn exit_goroutine_ends_the_caller_too() {
    check(|| {
        for by_caller in [true, false] {
            let caller = spawn(move || {
                let caller = id();
                let _ = parallel_map(&Context::background(), 3, 0.., |ctx, _| {
                    if (id() == caller) == by_caller {
                        exit_goroutine();
                    }
                    ctx.done().recv().unwrap_err();
                    Ok::<_, Error>(())
                });
                unreachable!("the goroutine should have ended");
            });
            assert!(caller.join().unwrap_err().is::<Exited>());
        }
    });
    check_from_thread(|| {
        let payload = payload_of(|| {
            parallel_map(&Context::background(), 3, 0.., |ctx, _| {
                if current().is_some() {
                    exit_goroutine();
                }
                ctx.done().recv().unwrap_err();
                Ok::<_, Error>(())
            })
        });
        assert!(!payload.is::<Exited>(), "a thread cannot end in this way");
    });
}

#[test]
fn works_from_a_thread() {
    check_from_thread(|| {
        let names = ["a".to_owned(), "bc".to_owned()];
        let pause = |_: &Context, name: &String| {
            time::sleep(Duration::from_millis(1));
            Ok::<_, Error>(name.len())
        };
        assert_eq!(parallel_map(&Context::background(), 3, names.iter().cycle().take(20), pause).unwrap().len(), 20);
        let payload =
            payload_of(|| {
                parallel_map(&Context::background(), 3, 0.., |_, n| {
                    if n == 9 { panic!("expected") } else { Ok::<_, Error>(()) }
                })
            });
        assert_eq!(text(&*payload), "expected");
    });
}

#[test]
fn channel_input_is_dropped() {
    check(|| {
        for canceled in [true, false] {
            let (ctx, cancel) = Context::background().with_cancel();
            let (tx, rx) = unbounded();
            (0..100).for_each(|n| tx.send(n).unwrap());
            let (tx, watched) = (Mutex::new(Some(tx)), rx.clone());
            let asked = AtomicUsize::new(0);
            let input = iter::from_fn(|| {
                asked.fetch_add(1, SeqCst);
                ctx.recv(&rx).ok()
            });
            let ended = parallel_map(&ctx, 4, input, |_, n| {
                if n == 99 {
                    // A slow producer: when the end comes, one worker waits in the channel, and the
                    // others wait for their turn.
                    until(|| asked.load(SeqCst) == 101);
                    if canceled {
                        cancel.cancel();
                    }
                    drop(tx.lock().unwrap().take());
                }
                Ok::<_, Error>(n)
            });
            assert!(watched.is_empty());
            // An input that ends with the context is not taken for a complete one.
            assert_eq!(ended, if canceled { Err(Error::Canceled) } else { Ok((0..100).collect()) });
        }
    });
}

#[test]
fn calls_may_produce_items() {
    check(|| {
        for limit in [1, 2, 5] {
            let (found, input) = unbounded();
            found.send(0).unwrap();
            let found = Mutex::new(Some(found));
            // There is never more than one item, so the other workers wait inside the iterator, and
            // for it.
            let links = parallel_map(&Context::background(), limit, input, |_, n| {
                let mut found = found.lock().unwrap();
                match &*found {
                    Some(next) if n < 300 => next.send(n + 1).unwrap(),
                    _ => *found = None,
                }
                Ok::<_, Error>(n)
            });
            assert_eq!(links, Ok((0..=300).collect()));
        }
    });
}

#[test]
fn iterator_is_dropped_whatever_happens() {
    check(|| {
        for fate in 0..4 {
            let (ctx, cancel) = Context::background().with_cancel();
            let (tx, rx) = unbounded();
            (0..10).for_each(|n| tx.send(n).unwrap());
            let ended = panic::catch_unwind(AssertUnwindSafe(|| {
                parallel_map(&ctx, 4, rx.into_iter().take(10), |_, n| match fate {
                    1 if n == 5 => Err(Error::DeadlineExceeded),
                    2 if n == 5 => panic!("expected"),
                    3 if n == 5 => {
                        cancel.cancel();
                        Ok(())
                    }
                    _ => Ok(()),
                })
            }));
            assert_eq!(ended.is_ok_and(|ended| ended.is_ok()), fate == 0);
            assert!(tx.is_closed());
        }
    });
}

#[test]
fn calls_nest() {
    check(|| {
        let ctx = Context::background();
        let table = parallel_map(&ctx, 3, 1..=9_u32, |ctx, row| {
            parallel_map_unordered(ctx, 3, 1..=9_u32, |_, column| {
                yield_now();
                Ok::<_, Error>(row * column)
            })
            .map(|row| row.into_iter().sum::<u32>())
        });
        assert_eq!(table, Ok((1..=9).map(|row| row * 45).collect()));
    });
}

#[test]
fn goroutines_name_the_line_of_the_call() {
    check(|| {
        let (meeting, here) = (greenthread::sync::Barrier::new(4), AtomicUsize::new(0));
        let ours = |line: u32| {
            let spawned_here =
                |info: &debug::GoroutineInfo| info.spawned_at.file() == file!() && info.spawned_at.line() == line;
            debug::goroutines().iter().filter(|info| spawned_here(info)).count()
        };
        let meet = |_: &Context, n| {
            meeting.wait();
            if n == 0 {
                here.store(ours(LINE), SeqCst);
            }
            meeting.wait();
            Ok::<_, Error>(())
        };
        const LINE: u32 = line!() + 1;
        parallel_map(&Context::background(), 4, 0..4, meet).unwrap();
        assert_eq!(here.load(SeqCst), 3);
    });
}

#[test]
fn storm_of_failures_leaves_nothing() {
    storm(|random| {
        let census = Census::default();
        let (ctx, cancel) = Context::background().with_cancel();
        let (limit, length) = (1 + random.index(6), random.index(40));
        let (wrong, what) = (random.index(50), random.below(4));
        let items = (0..length).map(|n| (n, census.value()));
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let work = |_: &Context, (n, _item)| {
                if n % 3 == 0 {
                    yield_now();
                }
                match what {
                    _ if n != wrong => {}
                    0 => return Err(Error::DeadlineExceeded),
                    1 => panic::resume_unwind(Box::new("expected")),
                    2 => cancel.cancel(),
                    _ => {}
                }
                Ok((n, census.value()))
            };
            if random.one_in(2) {
                parallel_map(&ctx, limit, items, work)
            } else {
                parallel_map_unordered(&ctx, limit, items, work)
            }
        }));
        let goes_wrong = wrong < length;
        match outcome {
            Ok(Ok(values)) => {
                assert!(!goes_wrong || what >= 2);
                assert_eq!(values.len(), length);
            }
            Ok(Err(Error::DeadlineExceeded)) => assert!(goes_wrong && what == 0),
            Ok(Err(Error::Canceled)) => assert!(goes_wrong && what == 2),
            Ok(Err(error)) => panic!("unknown error: {error}"),
            Err(payload) => assert!(goes_wrong && what == 1 && text(&*payload) == "expected"),
        }
        assert_eq!(census.alive(), 0);
    });
}
