//! `Pipeline`, its stages, and `until_done`, from the outside.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::drops::{Census, Counted};
use crate::common::{check, check_from_thread, check_on, panic_of, storm, text, until, until_alone};
use greenthread::channel::Receiver;
use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, fan_in, tee, until_done};
use greenthread::sync::Barrier;
use greenthread::{channel, debug, exit_goroutine, go, num_goroutine, select};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

/// As many as an unoptimized build can process in a moment.
const MANY: u64 = 10_000;

fn background() -> Context {
    Context::background()
}

/// Returns a pipeline of all numbers, forever.
fn endless() -> Pipeline<usize> {
    Pipeline::new(&background(), 0..)
}

#[test]
fn values_go_through_all_stages_in_order() {
    check(|| {
        let batches = Pipeline::new(&background(), 0..20)
            .map(|n| n * 2)
            .capacity(3)
            .filter(|n| n % 4 == 0)
            .filter_map(|n| (n != 8).then_some(n))
            .flat_map(|n| [n, n + 1])
            .try_map(|n| if n < 1000 { Ok(n) } else { Err("too large") })
            .take(7)
            .batch(3, LONG);
        assert_eq!(batches.collect::<Vec<_>>().unwrap(), [vec![0, 1, 4], vec![5, 12, 13], vec![16]]);
    });
}

#[test]
fn context_stops_all_stages_and_wait_reports_it() {
    check(|| {
        let (ctx, cancel) = background().with_cancel_cause();
        let census = Census::default();
        let values = {
            let census = census.clone();
            Pipeline::new(&ctx, 0..).map(move |n| (n, census.value())).filter(|_| true).capacity(5).map(|value| value)
        };
        assert_eq!(values.recv().unwrap().0, 0);
        cancel.cancel("enough");
        assert_eq!(values.wait().unwrap_err().to_string(), "enough");
        assert_eq!(census.alive(), 0);
        // A pipeline that is started under it ends before it begins.
        assert_eq!(Pipeline::new(&ctx, [1]).collect::<Vec<_>>().unwrap_err().to_string(), "enough");
    });
}

#[test]
fn context_ends_a_wait_for_input_and_for_a_batch() {
    check(|| {
        let (ctx, cancel) = background().with_cancel();
        let (tx, rx) = channel::bounded(0);
        let batches = Pipeline::from_input(&ctx, rx).batch(2, LONG);
        tx.send(1).unwrap();
        cancel.cancel();
        assert_eq!(batches.collect::<Vec<_>>().unwrap_err().to_string(), "context canceled");
        assert!(tx.is_closed());
    });
}

#[test]
fn cancel_stops_all_stages() {
    check(|| {
        let (tx, rx) = channel::bounded(0);
        let values = Pipeline::from_input(&background(), rx).map(|n: u8| n).filter(|_| true);
        tx.send(1).unwrap();
        assert_eq!(values.recv(), Ok(1));
        values.cancel();
        until_alone();
        assert!(tx.is_closed());
        assert!(values.recv().is_err());
        assert_eq!(values.wait().unwrap_err().to_string(), "context canceled");
    });
}

#[test]
fn dropped_pipeline_stops_and_drops_its_values() {
    check(|| {
        let (tx, rx) = channel::bounded(10);
        let census = Census::default();
        (0..10).for_each(|_| tx.send(census.value()).unwrap());
        let values = Pipeline::from_input(&background(), rx).capacity(2).map(|value| value).batch(3, LONG);
        let clone = values.receiver().clone();
        assert_eq!(values.recv().unwrap().len(), 3);
        drop(values);
        until(|| num_goroutine() == 1 && tx.is_closed());
        drop(clone.try_iter().collect::<Vec<_>>());
        drop(clone);
        assert_eq!(census.alive(), 0);
    });
}

/// Returns a pipeline for each of the user's functions that can run, which calls `act` instead of
/// producing a third value.
fn failing_in(act: fn() -> usize) -> Vec<(&'static str, Pipeline<usize>)> {
    let third = move |n| if n == 2 { act() } else { n };
    let three = || Pipeline::new(&background(), 0..).capacity(1);
    vec![
        ("source", Pipeline::new(&background(), (0..).map(third))),
        ("source, with stages", Pipeline::new(&background(), (0..).map(third)).map(|n| n).filter(|_| true)),
        ("map", three().map(third)),
        ("filter", three().filter(move |&n| third(n) < usize::MAX)),
        ("filter_map", three().filter_map(move |n| Some(third(n)))),
        ("flat_map", three().flat_map(move |n| [third(n)])),
        ("flat_map's iterator", three().flat_map(move |n| [n].into_iter().map(third))),
        ("try_map", three().try_map(move |n| Ok::<_, String>(third(n)))),
        ("map, with stages", three().map(third).take(100).batch(1, LONG).flat_map(|batch| batch)),
    ]
}

#[test]
fn panic_resumes_wherever_the_end_is_asked_for() {
    check(|| {
        let failing = || failing_in(|| panic!("expected"));
        for (which, values) in failing() {
            assert_eq!(panic_of(|| values.wait()), "expected", "{which}");
        }
        for (which, values) in failing() {
            assert_eq!(panic_of(|| values.collect::<Vec<_>>()), "expected", "{which}");
        }
        for (which, values) in failing() {
            let mut seen = Vec::new();
            assert_eq!(panic_of(|| values.for_each(|n| seen.push(n))), "expected", "{which}");
            assert_eq!(seen, [0, 1], "{which}");
        }
        for (which, values) in failing() {
            let mut seen = Vec::new();
            assert_eq!(panic_of(|| (&values).into_iter().for_each(|n| seen.push(n))), "expected", "{which}");
            assert_eq!(seen, [0, 1], "{which}");
            let again = values.wait().unwrap_err();
            assert_eq!(again.to_string(), "patterns: a stage panicked", "{which}");
        }
        until_alone();
    });
}

#[test]
fn exit_goroutine_in_a_stage_is_an_error() {
    check(|| {
        for (which, values) in failing_in(|| exit_goroutine()) {
            let error = values.collect::<Vec<_>>().unwrap_err();
            assert_eq!(error.to_string(), "patterns: a stage called exit_goroutine", "{which}");
        }
    });
}

#[test]
fn panic_of_the_consumer_stops_the_pipeline() {
    check(|| {
        let consume = |n| assert!(n < 3, "expected");
        assert_eq!(panic_of(|| endless().map(|n| n).for_each(consume)), "expected");
        until_alone();
    });
}

/// A payload that cannot even be dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("expected");
    }
}

#[test]
fn payload_whose_drop_panics_blocks_no_stage() {
    check(|| {
        let both = Barrier::new(2);
        let values = endless().map_parallel(2, move |_| {
            both.wait();
            panic::resume_unwind(Box::new(Bomb))
        });
        let payload = panic::catch_unwind(AssertUnwindSafe(|| values.map(drop::<()>).wait())).unwrap_err();
        assert_eq!(panic_of(|| drop(payload)), "expected");
    });
}

#[test]
fn leaving_a_loop_stops_the_pipeline() {
    check(|| {
        let mut seen = Vec::new();
        for n in endless().map(|n| n) {
            seen.push(n);
            if n == 2 {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2]);
        until_alone();
        let failing = endless().map(|n| if n == 2 { panic!("expected") } else { n });
        assert_eq!(panic_of(|| failing.into_iter().count()), "expected");
        until_alone();
    });
}

#[test]
fn error_stops_the_stages_before_and_after() {
    check(|| {
        let (tx, rx) = channel::bounded(0);
        let values = Pipeline::from_input(&background(), rx)
            .try_map(|n: i32| u8::try_from(n))
            .map(|n| n + 1)
            .batch(1, LONG)
            .flat_map(|batch| batch);
        tx.send(1).unwrap();
        assert_eq!(values.recv(), Ok(2));
        tx.send(-1).unwrap();
        until(|| tx.is_closed());
        assert!(values.recv().is_err());
        let error = values.wait().unwrap_err();
        assert!(error.is::<std::num::TryFromIntError>(), "{error}");
    });
}

/// Returns a pipeline whose first stage has failed at the second value, and whose second stage
/// calls `then` for the first value after that.
fn two_failures(then: fn() -> Result<i32, String>) -> Pipeline<i32> {
    Pipeline::new(&background(), [1, 2]).try_map(|n| if n == 2 { Err("the upper".to_owned()) } else { Ok(n) }).try_map(
        move |_| {
            // The consumer, and this goroutine.
            until(|| num_goroutine() == 2);
            then()
        },
    )
}

#[test]
fn panic_takes_precedence_over_errors_and_upstream_errors_over_later_ones() {
    check(|| {
        let error = two_failures(|| Err("the lower".to_owned())).wait().unwrap_err();
        assert_eq!(error.to_string(), "the upper");
        assert_eq!(panic_of(|| two_failures(|| panic!("the lower")).wait()), "the lower");
    });
}

#[test]
fn error_after_the_last_taken_value_is_ignored() {
    check(|| {
        let fail = |n| if n > 3 { Err("unwanted") } else { Ok(n) };
        assert_eq!(endless().try_map(fail).take(3).collect::<Vec<_>>().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn slow_consumer_holds_up_every_stage() {
    check(|| {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let count = (0..1000).inspect(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let values = Pipeline::new(&background(), count).map(|n| n).capacity(4).map(|n| n);
        for n in 0..20 {
            // Until all stages wait: each of the three goroutines has one value, and the last
            // channel has four.
            until(|| made.load(Ordering::Relaxed) == n + 7);
            greenthread::yield_now();
            assert_eq!(values.recv(), Ok(n));
        }
        until(|| made.load(Ordering::Relaxed) == 27);
        assert_eq!(values.for_each(|_| ()).map_err(|error| error.to_string()), Ok(()));
        assert_eq!(made.load(Ordering::Relaxed), 1000);
    });
}

#[test]
fn take_stops_blocked_stages_before_it() {
    check(|| {
        for n in 0..3 {
            let (tx, rx) = channel::bounded(n);
            (0..n).for_each(|n| tx.send(n).unwrap());
            let first = Pipeline::from_input(&background(), rx).map(|n| n).take(n);
            assert_eq!(first.collect::<Vec<_>>().unwrap(), (0..n).collect::<Vec<_>>());
            assert!(tx.is_closed(), "collect has waited for the goroutines");
        }
    });
}

#[test]
fn collect_takes_no_more_than_the_collection() {
    check(|| {
        let few = endless().map(|n| if n < 3 { Ok(n) } else { Err(n) });
        assert_eq!(few.collect::<Result<Vec<_>, _>>().unwrap(), Err(3));
        until_alone();
        let few = endless().map(|n| (n < 3).then_some(n));
        assert_eq!(few.collect::<Option<Vec<_>>>().unwrap(), None);
        let all = Pipeline::new(&background(), 0..3).map(Some);
        assert_eq!(all.collect::<Option<Vec<_>>>().unwrap(), Some(vec![0, 1, 2]));
    });
}

#[test]
fn batch_is_sent_after_its_timeout() {
    check(|| {
        let (tx, rx) = channel::bounded(0);
        let batches = Pipeline::from_input(&background(), rx).batch(3, Duration::from_millis(2));
        tx.send(1).unwrap();
        assert_eq!(batches.recv(), Ok(vec![1]));
        // No empty batch comes, however long it takes.
        let waited = batches.receiver().recv_timeout(Duration::from_millis(10));
        assert!(waited.is_err(), "{waited:?}");
        tx.send(2).unwrap();
        tx.close();
        assert_eq!(batches.collect::<Vec<_>>().unwrap(), [[2]]);
        assert_eq!(
            panic_of(|| endless().batch(0, LONG)),
            "patterns: a batch of 0 values would never be sent; use a size of at least 1"
        );
    });
}

#[test]
fn no_values_and_many_values() {
    check(|| {
        let all = |n: u64| Pipeline::new(&background(), 0..n).map(|n| n + 1).capacity(64).filter(|n| n % 2 == 0);
        for n in [0, 1, MANY] {
            let (mut count, mut sum) = (0, 0);
            all(n).for_each(|n| (count, sum) = (count + 1, sum + n)).unwrap();
            assert_eq!((count, sum), (n / 2, n / 2 * (n / 2 + 1)));
        }
        let batches = Pipeline::from_input(&background(), all(0)).batch(5, LONG);
        assert!(batches.collect::<Vec<_>>().unwrap().is_empty());
    });
}

/// Returns a chain in which each stage adds one.
fn chain(input: &Receiver<usize>, stages: usize) -> Pipeline<usize> {
    (0..stages).fold(Pipeline::from_input(&background(), input.clone()), |chain, _| chain.map(|n| n + 1))
}

#[test]
fn chain_may_be_long() {
    check(|| {
        // Only a few values, as the chain would take many before the first one comes out.
        let (tx, rx) = channel::bounded(2);
        (0..2).for_each(|n| tx.send(n).unwrap());
        assert_eq!(chain(&rx, 500).take(2).collect::<Vec<_>>().unwrap(), [500, 501]);
        until_alone();
    });
}

#[test]
fn very_long_chain_is_dropped_without_recursion() {
    check_on(2, || {
        let (tx, rx) = channel::bounded(0);
        let chain = chain(&rx, 20_000);
        drop(rx);
        tx.send(0).unwrap();
        assert_eq!(chain.recv(), Ok(20_000));
        drop(chain);
        until(|| tx.is_closed());
    });
}

#[test]
fn diamond_of_tee_and_fan_in_is_complete() {
    check(|| {
        let diamond = |source| {
            let (left, right) = tee(&background(), source);
            fan_in(&background(), [left.map(|n| n), right.map(|n| n * 1000)])
        };
        let mut all = diamond(Pipeline::new(&background(), 1..=3)).collect::<Vec<_>>().unwrap();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 1000, 2000, 3000]);

        let taken = diamond(endless()).take(10);
        assert_eq!(taken.collect::<Vec<_>>().unwrap().len(), 10);
        until_alone();

        // A failure that both sides see comes out once, unchanged.
        let panics = || endless().map(|n| if n == 2 { panic!("expected") } else { n });
        assert_eq!(panic_of(|| diamond(panics()).wait()), "expected");
        let fails = endless().try_map(|n| if n == 2 { Err("expected") } else { Ok(n) });
        assert_eq!(diamond(fails).wait().unwrap_err().to_string(), "expected");
    });
}

#[test]
fn threads_use_pipelines_too() {
    check_from_thread(|| {
        let (tx, rx) = channel::bounded(0);
        let sender = thread::spawn(move || (1..=100).for_each(|n| tx.send(n).unwrap()));
        let squares = Pipeline::from_input(&background(), rx).map(|n: u32| n * n);
        let values = squares.receiver().clone();
        let other = thread::spawn(move || values.iter().sum::<u32>());
        let sum = squares.iter().sum::<u32>() + other.join().unwrap();
        squares.wait().unwrap();
        assert_eq!(sum, 338_350);
        sender.join().unwrap();
        assert_eq!(
            panic_of(|| endless().map(|n| assert_eq!(n, 0, "unequal")).wait()).lines().next(),
            Some("assertion `left == right` failed: unequal")
        );
        drop(endless());
    });
}

#[test]
fn goroutines_name_the_line_of_the_call() {
    check(|| {
        let here = line!() + 1;
        let values = Pipeline::new(&background(), 0..).map(|n: u64| n);
        let ours = || {
            let sites = debug::goroutines().into_iter().map(|goroutine| goroutine.spawned_at);
            sites.filter(|site| site.file() == file!() && site.line() == here).count()
        };
        // Goroutines that have not begun are not in the list.
        until(|| ours() == 2);
        drop(values);
    });
}

#[test]
fn pipeline_works_in_a_select() {
    check(|| {
        let (slow, fast) = (Pipeline::from_input(&background(), channel::never::<usize>()), endless());
        for n in 0..10 {
            select! {
                recv(slow.receiver()) -> value => panic!("{value:?} from nowhere"),
                recv(fast.receiver()) -> value => assert_eq!(value, Ok(n)),
            }
        }
    });
}

#[test]
fn until_done_ends_with_the_values_or_with_the_context() {
    check(|| {
        let (ctx, cancel) = background().with_cancel();
        assert_eq!(until_done(&ctx, Pipeline::new(&background(), 0..MANY)).sum::<u64>(), MANY * (MANY - 1) / 2);
        assert_eq!(until_done(&ctx, Pipeline::new(&ctx, [0; 0])).next(), None);

        let (tx, rx) = channel::bounded(3);
        (0..3).for_each(|n| tx.send(n).unwrap());
        let mut values = until_done(&ctx, rx);
        assert_eq!(values.next(), Some(0));
        go!(move || cancel.cancel());
        assert!(values.by_ref().count() <= 2, "there are no more");
        assert_eq!(values.next(), None, "the context has ended");
        drop(values);
        assert!(tx.is_closed());
    });
}

#[test]
fn until_done_stops_a_pipeline_and_resumes_its_panic() {
    check(|| {
        let mut values = until_done(&background(), endless());
        assert_eq!(values.by_ref().take(3).collect::<Vec<_>>(), [0, 1, 2]);
        drop(values);
        until_alone();
        let panics = endless().map(|n| if n == 2 { panic!("expected") } else { n });
        let mut seen = Vec::new();
        assert_eq!(panic_of(|| until_done(&background(), panics).for_each(|n| seen.push(n))), "expected");
        assert_eq!(seen, [0, 1]);
    });
}

/// Returns one of several kinds of stages, which send on every value; but a [`LOSSY`] one may lose
/// the first.
fn stage_of(kind: u64, ctx: &Context, values: Pipeline<Counted>, capacity: usize) -> Pipeline<Counted> {
    let values = values.capacity(capacity);
    match kind {
        0 => values.map(|value| value),
        1 => values.batch(3, Duration::from_micros(50)).flat_map(|batch| batch),
        2 => values.try_map(Ok::<_, String>),
        3 => values.map_parallel(3, |value| value),
        4 => values.map_ordered(3, |value| value),
        LOSSY => {
            // While the dropped side still has a clone, the value cannot be taken out.
            let (left, right) = tee(ctx, values.map(Arc::new));
            drop(left);
            right.filter_map(Arc::into_inner)
        }
        _ => Pipeline::from_input(ctx, values),
    }
}

const LOSSY: u64 = 5;

#[test]
fn stress_any_end_leaves_nothing() {
    storm(|random| {
        let census = Census::default();
        let (ctx, cancel) = background().with_cancel();
        let (values, fatal) = (census.clone(), random.index(60));
        let source =
            (0..50).map(move |n| if n == fatal { panic::resume_unwind(Box::new("expected")) } else { values.value() });
        let mut values = Pipeline::new(&ctx, source);
        let mut may_be_lost = 0;
        for _ in 0..random.below(6) {
            let kind = random.below(7);
            may_be_lost += usize::from(kind == LOSSY);
            values = stage_of(kind, &ctx, values, random.index(3));
        }
        let some = random.index(60);
        let seen = values.receiver().iter().take(some).count();
        if fatal < 50 {
            assert!(seen <= fatal, "a value from behind the panic");
        } else {
            assert!(seen + may_be_lost >= some.min(50), "{seen} values of {some}");
        }
        match random.below(4) {
            0 => drop(values),
            1 => {
                cancel.cancel();
                until_alone();
                drop(values);
            }
            2 => {
                values.cancel();
                until_alone();
                drop(values);
            }
            _ => match panic::catch_unwind(AssertUnwindSafe(|| values.wait())) {
                Ok(end) => end.unwrap(),
                Err(payload) => assert_eq!(text(&*payload), "expected"),
            },
        }
        until(|| num_goroutine() == 1 && census.alive() == 0);
    });
}
