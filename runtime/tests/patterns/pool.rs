//! Worker pools, fixed and dynamic, and the parallel stages, from the outside.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::drops::Census;
use crate::common::{check, check_from_thread, panic_of, storm, until, until_alone};
use greenthread::channel::{self, Receiver};
use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, dynamic_worker_pool, worker_pool};
use greenthread::{debug, exit_goroutine, num_goroutine, yield_now};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

/// As many as an unoptimized build can process in a moment.
const MANY: usize = 10_000;

fn background() -> Context {
    Context::background()
}

fn endless() -> Pipeline<usize> {
    Pipeline::new(&background(), 0..)
}

/// A pattern that passes each value to one of several workers.
type Pool = (&'static str, fn(&Context, Pipeline<usize>, fn(usize) -> usize) -> Pipeline<usize>);

/// Each kind of pool, with at most four workers.
const POOLS: [Pool; 6] = [
    ("worker_pool", |ctx, jobs, f| worker_pool(ctx, 4, jobs, move |_, n| f(n))),
    ("dynamic_worker_pool", |ctx, jobs, f| dynamic_worker_pool(ctx, 0..=4, Duration::ZERO, jobs, move |_, n| f(n))),
    ("map_parallel", |ctx, jobs, f| Pipeline::from_input(ctx, jobs).map_parallel(4, f)),
    ("map_ordered", |ctx, jobs, f| Pipeline::from_input(ctx, jobs).map_ordered(4, f)),
    ("try_map_parallel", |ctx, jobs, f| {
        Pipeline::from_input(ctx, jobs).try_map_parallel(4, move |n| Ok::<_, String>(f(n)))
    }),
    ("try_map_ordered", |ctx, jobs, f| {
        Pipeline::from_input(ctx, jobs).try_map_ordered(4, move |n| Ok::<_, String>(f(n)))
    }),
];

#[test]
fn each_job_is_done_once() {
    check(|| {
        for (which, pool) in POOLS {
            for n in [0, 1, 5, MANY / 4] {
                let results = pool(&background(), Pipeline::new(&background(), 0..n), |n| n + 1);
                let results = results.collect::<Vec<_>>().unwrap();
                assert_eq!(results.len(), n, "{which}");
                assert_eq!(results.into_iter().collect::<HashSet<_>>(), (1..=n).collect(), "{which}");
            }
        }
    });
}

#[test]
fn pools_canceled_in_the_middle_end() {
    check(|| {
        for (which, pool) in POOLS {
            let (ctx, cancel) = background().with_cancel_cause();
            let results = pool(&ctx, endless(), |n| n);
            assert_eq!(results.receiver().iter().take(10).count(), 10);
            cancel.cancel("enough");
            assert_eq!(results.wait().unwrap_err().to_string(), "enough", "{which}");

            let results = pool(&background(), endless(), |n| n);
            assert!(results.recv().is_ok());
            results.cancel();
            until_alone();
            assert_eq!(results.wait().unwrap_err().to_string(), "context canceled", "{which}");

            let results = pool(&background(), endless(), |n| n);
            assert!(results.recv().is_ok());
            drop(results);
            until_alone();
        }
    });
}

#[test]
fn pools_canceled_while_they_wait_for_jobs_end() {
    check(|| {
        type Start = fn(&Context, Receiver<u8>) -> Pipeline<u8>;
        let pools: [Start; 3] = [
            |ctx, jobs| worker_pool(ctx, 3, jobs, |_, n| n),
            |ctx, jobs| dynamic_worker_pool(ctx, 2..=3, LONG, jobs, |_, n| n),
            |ctx, jobs| Pipeline::from_input(ctx, jobs).map_ordered(3, |n| n),
        ];
        for pool in pools {
            let (ctx, cancel) = background().with_cancel();
            let (tx, jobs) = channel::bounded(0);
            let results = pool(&ctx, jobs);
            tx.send(1).unwrap();
            assert_eq!(results.recv(), Ok(1));
            cancel.cancel();
            until(|| tx.is_closed());
            assert_eq!(results.collect::<Vec<_>>().unwrap_err().to_string(), "context canceled");
        }
    });
}

#[test]
fn panic_stops_the_pool_and_resumes() {
    check(|| {
        for (which, pool) in POOLS {
            let panics = || pool(&background(), endless(), |n| if n == 20 { panic!("expected") } else { n });
            assert_eq!(panic_of(|| panics().wait()), "expected", "{which}");
            assert_eq!(panic_of(|| panics().collect::<Vec<_>>()), "expected", "{which}");
            assert_eq!(panic_of(|| panics().iter().for_each(drop)), "expected", "{which}");
            let exits = pool(&background(), endless(), |n| if n == 20 { exit_goroutine() } else { n });
            let error = exits.wait().unwrap_err().to_string();
            assert_eq!(error, "patterns: a stage called exit_goroutine", "{which}");
            let source = Pipeline::new(&background(), (0..).map(|n| if n == 20 { panic!("expected") } else { n }));
            assert_eq!(panic_of(|| pool(&background(), source, |n| n).wait()), "expected", "{which}");
            until_alone();
        }
    });
}

#[test]
fn panic_takes_precedence_over_its_effects_on_other_jobs() {
    check(|| {
        // The other job ends when the pool is stopped, and so does its worker.
        let (tx, jobs) = channel::bounded(2);
        (0..2).for_each(|n| tx.send(n).unwrap());
        let pool = worker_pool(&background(), 2, jobs, |ctx, n| match n {
            0 => panic!("expected"),
            _ => assert!(ctx.done().recv().is_err()),
        });
        assert_eq!(panic_of(|| pool.wait()), "expected");

        // The context ends first, and the panic is a result of that.
        let (ctx, cancel) = background().with_cancel();
        let (tx, jobs) = channel::bounded(2);
        let pool = worker_pool(&ctx, 2, jobs, |ctx, ()| {
            assert!(ctx.done().recv().is_err());
            // Until the other worker has ended.
            until(|| num_goroutine() == 2);
            panic!("expected");
        });
        tx.send(()).unwrap();
        until(|| tx.is_empty());
        cancel.cancel();
        assert_eq!(panic_of(|| pool.wait()), "expected");
    });
}

#[test]
fn jobs_get_a_context_that_ends_with_the_pool() {
    check(|| {
        let (started, starts) = channel::bounded(10);
        let (tx, ends) = channel::bounded(10);
        let ctx = background().with_value("of the caller");
        let pool = dynamic_worker_pool(&ctx, 2..=4, LONG, Pipeline::new(&ctx, 0..4), move |ctx, _| {
            started.send(ctx.value::<&str>().copied()).unwrap();
            // Stopped with the job, and not mistaken for complete.
            let end = Pipeline::new(ctx, 0u64..).filter(|_| false).collect::<Vec<_>>();
            tx.send(end.unwrap_err().to_string()).unwrap();
        });
        (0..4).for_each(|_| assert_eq!(starts.recv(), Ok(Some("of the caller"))));
        drop(pool);
        assert_eq!(ends.iter().collect::<Vec<_>>(), ["patterns: the output was dropped"; 4]);
    });
}

#[test]
fn as_many_jobs_run_at_once_as_workers() {
    check(|| {
        for (which, pool) in POOLS {
            static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
            static MOST: AtomicUsize = AtomicUsize::new(0);
            MOST.store(0, Ordering::Relaxed);
            let results = pool(&background(), Pipeline::new(&background(), 0..200), |n| {
                MOST.fetch_max(AT_ONCE.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                // The first jobs wait for each other: four must run at once.
                until(|| MOST.load(Ordering::Relaxed) >= 4);
                yield_now();
                AT_ONCE.fetch_sub(1, Ordering::Relaxed);
                n
            });
            assert_eq!(results.collect::<Vec<_>>().unwrap().len(), 200);
            assert_eq!(MOST.load(Ordering::Relaxed), 4, "{which}");
        }
    });
}

#[test]
fn slow_consumer_holds_up_the_workers() {
    check(|| {
        for (which, pool) in POOLS {
            static DONE: AtomicUsize = AtomicUsize::new(0);
            DONE.store(0, Ordering::Relaxed);
            let results = pool(&background(), endless(), |_| DONE.fetch_add(1, Ordering::Relaxed));
            for n in 0..20 {
                until(|| DONE.load(Ordering::Relaxed) >= n + 4);
                yield_now();
                assert!(DONE.load(Ordering::Relaxed) <= n + 4, "{which}: more than the workers hold");
                assert!(results.recv().is_ok());
            }
            drop(results);
            until_alone();
        }
    });
}

#[test]
fn hanging_job_does_not_hold_up_the_others() {
    check(|| {
        type Start = fn(&Context, Receiver<u32>, Receiver<()>) -> Pipeline<u32>;
        let pools: [Start; 2] = [
            |ctx, jobs, gate| worker_pool(ctx, 2, jobs, move |_, n| work(n, &gate)),
            |ctx, jobs, gate| dynamic_worker_pool(ctx, 1..=2, LONG, jobs, move |_, n| work(n, &gate)),
        ];
        fn work(n: u32, gate: &Receiver<()>) -> u32 {
            if n == 0 {
                assert!(gate.recv().is_err());
            }
            n
        }
        for pool in pools {
            let ((tx, jobs), (open, gate)) = (channel::bounded(100), channel::bounded(0));
            (0..100).for_each(|n| tx.send(n).unwrap());
            drop(tx);
            let results = pool(&background(), jobs, gate);
            assert_eq!(results.receiver().iter().take(99).sum::<u32>(), 4950);
            drop(open);
            assert_eq!(results.collect::<Vec<_>>().unwrap(), [0]);
        }
    });
}

#[test]
fn results_keep_the_order_of_the_values() {
    check(|| {
        for workers in [1, 2, 7, 100] {
            let results = Pipeline::new(&background(), 0..500).capacity(workers % 3).map_ordered(workers, |n: u32| {
                (0..n % 5).for_each(|_| yield_now());
                n
            });
            assert_eq!(results.collect::<Vec<_>>().unwrap(), (0..500).collect::<Vec<_>>());
        }
        let taken = endless().map_ordered(3, |n| n).take(MANY / 10);
        assert_eq!(taken.collect::<Vec<_>>().unwrap(), (0..MANY / 10).collect::<Vec<_>>());
    });
}

/// Checks that a failure later in the order, though earlier in time, is not seen.
#[test]
fn ordered_stage_fails_where_a_single_goroutine_would() {
    check(|| {
        for workers in [1, 2, 7, 100] {
            for first_to_fail in [0, 1, 50, 499] {
                let fails = move |n: usize| {
                    (0..(n * 3) % 7).for_each(|_| yield_now());
                    if n < first_to_fail { Ok(n) } else { Err(format!("{n} is too much")) }
                };
                let results = endless().capacity(workers % 3).try_map_ordered(workers, fails);
                let expected: Vec<_> = (0..first_to_fail).collect();
                assert_eq!(results.iter().collect::<Vec<_>>(), expected, "{workers} workers");
                assert_eq!(results.wait().unwrap_err().to_string(), format!("{first_to_fail} is too much"));
            }
        }
    });
}

#[test]
fn error_stops_the_other_workers() {
    check(|| {
        for workers in [1, 2, 7, 100] {
            let census = Census::default();
            let values = census.clone();
            let fails = move |n: usize| if n == 500 { Err("expected") } else { Ok((n, values.value())) };
            let results = endless().try_map_parallel(workers, fails);
            let all: HashSet<_> = results.iter().map(|(n, _)| n).collect();
            assert!(!all.contains(&500) && all.len() > 500 - workers, "{workers} workers: {}", all.len());
            assert_eq!(results.wait().unwrap_err().to_string(), "expected");
            until_alone();
            assert_eq!(census.alive(), 0);
        }
    });
}

#[test]
fn panic_takes_precedence_over_the_error_of_another_worker() {
    type Stage = fn(Pipeline<usize>, Box<Fails>) -> Pipeline<usize>;
    type Fails = dyn Fn(usize) -> Result<usize, &'static str> + Send + Sync;
    let stages: [Stage; 2] = [|values, f| values.try_map_parallel(2, f), |values, f| values.try_map_ordered(2, f)];
    check(move || {
        for stage in stages {
            let ((open, gate), (both, begun)) = (channel::bounded::<()>(0), channel::bounded(0));
            let fails = move |n| {
                if n == 0 {
                    begun.recv().unwrap();
                    return Err("the error");
                }
                both.send(()).unwrap();
                assert!(gate.recv().is_err());
                panic!("the panic");
            };
            let results = stage(Pipeline::new(&background(), 0..2), Box::new(fails));
            // Only the second goroutine is left, which panics when the error has stopped the stage.
            until(|| num_goroutine() == 2);
            drop(open);
            assert_eq!(panic_of(|| results.wait()), "the panic");
        }
    });
}

#[test]
fn slow_first_value_holds_up_at_most_all_workers() {
    check(|| {
        let begun = Arc::new(AtomicUsize::new(0));
        let (open, gate) = channel::bounded::<()>(0);
        let (census, count) = (Census::default(), Arc::clone(&begun));
        let values = census.clone();
        let results = endless().map_ordered(5, move |n| {
            count.fetch_add(1, Ordering::Relaxed);
            if n == 0 {
                assert!(gate.recv().is_err());
            }
            (n, values.value())
        });
        until(|| begun.load(Ordering::Relaxed) == 5 && census.alive() == 4);
        (0..10).for_each(|_| yield_now());
        assert_eq!(begun.load(Ordering::Relaxed), 5);
        drop(open);
        (0..20).for_each(|n| assert_eq!(results.recv().unwrap().0, n));
        drop(results);
        until(|| num_goroutine() == 1 && census.alive() == 0);
    });
}

/// A dynamic pool whose jobs wait until they are released one by one.
struct Held {
    jobs: channel::Sender<()>,
    release: channel::Sender<()>,
    results: Pipeline<()>,
    at_work: Arc<AtomicUsize>,
}

impl Held {
    fn new(workers: std::ops::RangeInclusive<usize>, idle: Duration) -> Self {
        let ((jobs, rx), (release, gate)) = (channel::bounded(0), channel::bounded(0));
        let at_work = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&at_work);
        let results = dynamic_worker_pool(&background(), workers, idle, rx, move |_, ()| {
            count.fetch_add(1, Ordering::Relaxed);
            gate.recv().unwrap();
            count.fetch_sub(1, Ordering::Relaxed);
        });
        Self { jobs, release, results, at_work }
    }

    fn at_work(&self) -> usize {
        self.at_work.load(Ordering::Relaxed)
    }

    /// Releases a job, and takes its result.
    fn finish_one(&self) {
        self.release.send(()).unwrap();
        self.results.recv().unwrap();
    }
}

#[test]
fn dynamic_pool_grows_with_jobs_and_shrinks_without() {
    check(|| {
        // This goroutine counts as one.
        let pool = Held::new(2..=5, Duration::from_millis(5));
        assert_eq!(num_goroutine(), 1 + 2);
        for n in 1..=5 {
            pool.jobs.send(()).unwrap();
            until(|| pool.at_work() == n);
            // One worker waits for the next job, up to the maximum.
            until(|| num_goroutine() == 1 + (n + 1).clamp(2, 5));
        }
        let refused = pool.jobs.try_send(());
        assert!(refused.is_err(), "there is no sixth worker");
        (0..5).for_each(|_| pool.finish_one());
        until(|| num_goroutine() == 1 + 2);
        // The pool grows again, and shrinks to the busy workers and one that waits.
        (0..5).for_each(|_| pool.jobs.send(()).unwrap());
        (0..2).for_each(|_| pool.finish_one());
        until(|| num_goroutine() == 1 + 4);
        (0..2).for_each(|_| pool.finish_one());
        until(|| num_goroutine() == 1 + 2);
        pool.finish_one();
        until(|| num_goroutine() == 1 + 2 && debug::stats().timers == 0);
        let Held { jobs, results, .. } = pool;
        jobs.close();
        results.wait().unwrap();
    });
}

#[test]
fn dynamic_pool_takes_jobs_while_it_shrinks() {
    check(|| {
        let pool = Held::new(0..=8, Duration::ZERO);
        for round in 0..50 {
            (0..1 + round % 8).for_each(|_| pool.jobs.send(()).unwrap());
            (0..1 + round % 8).for_each(|_| pool.finish_one());
            assert_eq!(pool.at_work(), 0);
        }
        until(|| num_goroutine() == 1 + 1);
        drop(pool);
    });
}

#[test]
fn workers_name_the_line_of_the_call() {
    check(|| {
        let (tx, jobs) = channel::bounded(3);
        (0..3).for_each(|_| tx.send(()).unwrap());
        let here = line!() + 1;
        let pool = dynamic_worker_pool(&background(), 1..=3, LONG, jobs, |ctx, ()| assert!(ctx.done().recv().is_err()));
        let ours = || {
            let sites = debug::goroutines().into_iter().map(|goroutine| goroutine.spawned_at);
            sites.filter(|site| site.file() == file!() && site.line() == here).count()
        };
        until(|| ours() == 3);
        drop(pool);
    });
}

#[test]
fn threads_use_pools_too() {
    check_from_thread(|| {
        for (which, pool) in POOLS {
            let results = pool(&background(), Pipeline::new(&background(), 1..=100), |n| n);
            assert_eq!(results.iter().sum::<usize>(), 5050, "{which}");
            drop(pool(&background(), endless(), |n| n));
        }
    });
}

#[test]
fn invalid_numbers_of_workers_are_refused() {
    let (ctx, none) = (background(), channel::never::<()>);
    let zero = "patterns: a pool of 0 workers would never run a job; use at least 1";
    assert_eq!(panic_of(|| worker_pool(&ctx, 0, none(), |_, ()| ())), zero);
    assert_eq!(panic_of(|| dynamic_worker_pool(&ctx, 0..=0, LONG, none(), |_, ()| ())), zero);
    assert_eq!(panic_of(|| Pipeline::from_input(&ctx, none()).map_parallel(0, drop)), zero);
    assert_eq!(panic_of(|| Pipeline::from_input(&ctx, none()).map_ordered(0, drop)), zero);
    #[allow(clippy::reversed_empty_ranges)]
    let empty = panic_of(|| dynamic_worker_pool(&ctx, 3..=2, LONG, none(), |_, ()| ()));
    assert_eq!(empty, "patterns: the worker range 3..=2 is empty; put the smaller number first");
}

#[test]
fn stress_dynamic_pools() {
    storm(|random| {
        let (min, more) = (random.index(4), 1 + random.index(6));
        let idle = Duration::from_micros(random.below(100));
        let census = Census::default();
        let values = census.clone();
        let jobs = Pipeline::new(&background(), 0..100).map(move |n| (n, values.value()));
        let (pause, end) = (random.below(4), random.index(200));
        let pool = dynamic_worker_pool(&background(), min..=min + more, idle, jobs, move |ctx, (n, value)| {
            if n % 7 < pause {
                let _ = ctx.sleep(Duration::from_micros(20 * n % 90));
            }
            value
        });
        let seen = pool.receiver().iter().take(end).count();
        assert_eq!(seen, end.min(100));
        drop(pool);
        until(|| num_goroutine() == 1 && census.alive() == 0);
    });
}
