//! `fan_out`, `fan_in`, `tee` and `bridge`, from the outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::drops::{Census, Counted};
use crate::common::{check, check_from_thread, panic_of, storm, until, until_alone};
use greenthread::channel::{self, Receiver};
use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, bridge, fan_in, fan_out, tee};
use greenthread::{debug, exit_goroutine, spawn};

/// As many as an unoptimized build can process in a moment.
const MANY: usize = 10_000;

fn background() -> Context {
    Context::background()
}

fn endless() -> Pipeline<usize> {
    Pipeline::new(&background(), 0..)
}

/// Returns a pipeline that panics instead of the value 3.
fn panics() -> Pipeline<usize> {
    endless().map(|n| if n == 3 { panic!("expected") } else { n })
}

/// Returns a pipeline that fails with an error instead of the value 3.
fn fails() -> Pipeline<usize> {
    endless().try_map(|n| if n == 3 { Err("expected") } else { Ok(n) })
}

fn sorted(values: Pipeline<usize>) -> Vec<usize> {
    let mut values = values.collect::<Vec<_>>().unwrap();
    values.sort_unstable();
    values
}

fn receiver_of(values: impl IntoIterator<Item = usize>) -> Receiver<usize> {
    let (tx, rx) = channel::unbounded();
    values.into_iter().for_each(|n| tx.send(n).unwrap());
    rx
}

#[test]
fn fan_out_and_fan_in_lose_nothing() {
    check(|| {
        for (n, branches) in [(0, 3), (1, 3), (10, 1), (MANY, 3), (100, 200)] {
            let branches = fan_out(&background(), branches, Pipeline::new(&background(), 0..n), |n| n + 1);
            assert_eq!(sorted(fan_in(&background(), branches)), (1..=n).collect::<Vec<_>>());
        }
        let zero = panic_of(|| fan_out(&background(), 0, endless(), |n| n));
        assert_eq!(zero, "patterns: fan_out to 0 pipelines would lose the values; use at least 1");
    });
}

#[test]
fn dropped_branch_leaves_the_values_to_the_others() {
    check(|| {
        let (tx, rx) = channel::bounded(0);
        let mut branches = fan_out(&background(), 3, rx, |n: u32| n);
        let last = branches.pop().unwrap();
        for branch in branches {
            drop(branch);
        }
        // The goroutine of the last branch, and this one.
        until(|| greenthread::num_goroutine() == 2);
        assert!(!tx.is_closed());
        for n in 0..10 {
            tx.send(n).unwrap();
            assert_eq!(last.recv(), Ok(n));
        }
        drop(last);
        until(|| tx.is_closed());
    });
}

#[test]
fn end_of_one_branch_does_not_wait_for_the_others() {
    check(|| {
        let mut branches = fan_out(&background(), 2, endless(), |n| n);
        let first = branches.remove(0);
        assert_eq!(first.take(3).collect::<Vec<_>>().unwrap().len(), 3);
        let rest = branches.remove(0).take(3);
        assert_eq!(rest.collect::<Vec<_>>().unwrap().len(), 3);
        until_alone();
    });
}

#[test]
fn panic_ends_only_the_branch_in_which_it_happens() {
    check(|| {
        let branches = || fan_out(&background(), 2, endless(), |n| if n == 0 { panic!("expected") } else { n });
        let ends = branches()
            .into_iter()
            .map(|branch| spawn(move || branch.take(3).collect::<Vec<_>>().map_err(|error| error.to_string())).join());
        let (good, bad): (Vec<_>, Vec<_>) = ends.partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (1, 1));
        assert_eq!(good[0].as_ref().unwrap(), &Ok(vec![1, 2, 3]));
        assert_eq!(crate::common::text(&**bad[0].as_ref().unwrap_err()), "expected");

        assert_eq!(panic_of(|| fan_in(&background(), branches()).wait()), "expected");
        assert_eq!(panic_of(|| fan_in(&background(), fan_out(&background(), 3, panics(), |n| n)).wait()), "expected");
        let exits = fan_out(&background(), 2, endless(), |n| if n == 9 { exit_goroutine() } else { n });
        let error = fan_in(&background(), exits).wait().unwrap_err().to_string();
        assert_eq!(error, "patterns: a stage called exit_goroutine");
    });
}

#[test]
fn fan_in_of_no_inputs_and_of_thousands() {
    check(|| {
        let none: [Receiver<usize>; 0] = [];
        assert!(sorted(fan_in(&background(), none)).is_empty());
        let thousands = (0..3000).map(|n| receiver_of([n, n + 3000]));
        assert_eq!(sorted(fan_in(&background(), thousands)), (0..6000).collect::<Vec<_>>());
    });
}

#[test]
fn fan_in_does_not_wait_for_a_silent_input() {
    check(|| {
        let (tx, silent) = channel::bounded(0);
        let merged = fan_in(&background(), [silent, receiver_of(0..10)]);
        (0..10).for_each(|n| assert_eq!(merged.recv(), Ok(n)));
        tx.send(10).unwrap();
        assert_eq!(merged.recv(), Ok(10));
        drop(merged);
        until(|| tx.is_closed());
    });
}

#[test]
fn failing_input_ends_the_merge() {
    check(|| {
        let with = |input| fan_in(&background(), [endless(), input, endless()]);
        assert_eq!(panic_of(|| with(panics()).wait()), "expected");
        assert_eq!(panic_of(|| with(panics()).iter().for_each(|n| assert!(n < usize::MAX))), "expected");
        assert_eq!(with(fails()).wait().unwrap_err().to_string(), "expected");
        assert_eq!(with(fails().map(|n| n)).collect::<Vec<_>>().unwrap_err().to_string(), "expected");
        until_alone();
    });
}

#[test]
fn context_ends_every_pattern() {
    check(|| {
        let (ctx, cancel) = background().with_cancel_cause();
        let (senders, inputs): (Vec<_>, Vec<_>) = (0..4).map(|_| channel::bounded::<Receiver<usize>>(1)).unzip();
        let [a, b, c, d] = inputs.try_into().unwrap();
        let (inner, inner_rx) = channel::bounded(0);
        senders[3].send(inner_rx).unwrap();
        let outs = fan_out(&ctx, 2, a, |rx| rx);
        let merged = fan_in(&ctx, [b]);
        let (left, right) = tee(&ctx, c);
        let bridged = bridge(&ctx, d);
        inner.send(1).unwrap();
        assert_eq!(bridged.recv(), Ok(1));
        cancel.cancel("enough");
        for end in outs.into_iter().chain([merged, left, right]).map(Pipeline::wait).chain([bridged.wait()]) {
            assert_eq!(end.unwrap_err().to_string(), "enough");
        }
        assert!(senders.iter().all(channel::Sender::is_closed) && inner.is_closed());
    });
}

#[test]
fn both_sides_of_a_tee_get_every_value_in_order() {
    check(|| {
        for n in [0, 1, MANY] {
            let (left, right) = tee(&background(), Pipeline::new(&background(), 0..n));
            let other = spawn(move || left.collect::<Vec<_>>().unwrap());
            assert_eq!(right.collect::<Vec<_>>().unwrap(), (0..n).collect::<Vec<_>>());
            assert_eq!(other.join().unwrap(), (0..n).collect::<Vec<_>>());
        }
    });
}

#[test]
fn either_side_of_a_tee_may_be_first_and_the_slower_sets_the_pace() {
    check(|| {
        let (a, b) = tee(&background(), endless());
        for (n, (first, second)) in [(&a, &b), (&b, &a), (&b, &a), (&a, &b)].into_iter().enumerate() {
            assert_eq!(first.recv(), Ok(n));
            // The first reader gets nothing more before the second has the value, too.
            (0..10).for_each(|_| greenthread::yield_now());
            assert!(first.receiver().try_recv().is_err());
            assert_eq!(second.recv(), Ok(n));
        }
    });
}

#[test]
fn one_side_of_a_tee_may_be_dropped_at_any_time() {
    check(|| {
        for left_goes in [true, false] {
            for after in [0, 1, 5] {
                let (tx, rx) = channel::bounded(0);
                let (left, right) = tee(&background(), rx);
                let (goes, stays) = if left_goes { (left, right) } else { (right, left) };
                let sender = spawn(move || {
                    (0..10).for_each(|n| tx.send(n).unwrap());
                    tx
                });
                for n in 0..after {
                    assert_eq!((goes.recv(), stays.recv()), (Ok(n), Ok(n)));
                }
                drop(goes);
                assert_eq!(
                    stays.receiver().iter().take(10 - after).collect::<Vec<_>>(),
                    (after..10).collect::<Vec<_>>()
                );
                let tx = sender.join().unwrap();
                assert!(!tx.is_closed());
                drop(stays);
                until(|| tx.is_closed());
            }
        }
    });
}

/// Panics when it is cloned for the `.0`th time.
struct Fragile(usize, Arc<AtomicUsize>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.1.fetch_add(1, Ordering::Relaxed) + 1 < self.0, "expected");
        Self(self.0, Arc::clone(&self.1))
    }
}

#[test]
fn failure_ends_both_sides_of_a_tee() {
    check(|| {
        let clones = Arc::new(AtomicUsize::new(0));
        let (left, right) = tee(&background(), endless().map(move |_| Fragile(3, Arc::clone(&clones))));
        let other = spawn(move || right.iter().count());
        assert_eq!(left.receiver().iter().count(), 2);
        let first = other.join().map_err(|payload| crate::common::text(&*payload).to_owned());
        assert_eq!(first, Err("expected".to_owned()));
        assert_eq!(left.wait().unwrap_err().to_string(), "patterns: a stage panicked");

        let (left, right) = tee(&background(), fails());
        let other = spawn(move || right.wait().unwrap_err().to_string());
        assert_eq!(left.wait().unwrap_err().to_string(), "expected");
        assert_eq!(other.join().unwrap(), "expected");

        let (left, right) = tee(&background(), endless());
        left.cancel();
        assert_eq!(right.wait().unwrap_err().to_string(), "context canceled");
        drop(left);
        until_alone();
    });
}

#[test]
fn abandoning_one_side_does_not_wait_for_the_other() {
    check(|| {
        let (left, right) = tee(&background(), endless().map(|n| (n < 2).then_some(n)));
        let (stop, stopped) = channel::bounded::<()>(0);
        let other = spawn(move || {
            let seen: Vec<_> = right.receiver().iter().take(4).collect();
            assert!(stopped.recv().is_err());
            seen
        });
        assert_eq!(left.collect::<Option<Vec<_>>>().unwrap(), None);
        drop(stop);
        assert_eq!(other.join().unwrap(), [Some(0), Some(1), None, None]);
    });
}

#[test]
fn bridge_reads_one_input_after_the_other() {
    check(|| {
        let none = Pipeline::new(&background(), std::iter::empty::<Receiver<usize>>());
        assert!(bridge(&background(), none).collect::<Vec<_>>().unwrap().is_empty());

        let channels = (0..5).map(|n| receiver_of(n * 10..n * 10 + n));
        let bridged = bridge(&background(), Pipeline::new(&background(), channels));
        assert_eq!(bridged.collect::<Vec<_>>().unwrap(), [10, 20, 21, 30, 31, 32, 40, 41, 42, 43]);

        let many = endless().take(MANY / 100).map(|n| Pipeline::new(&background(), n * 100..(n + 1) * 100));
        assert_eq!(bridge(&background(), many).collect::<Vec<_>>().unwrap(), (0..MANY).collect::<Vec<_>>());

        // An inner pipeline that stops the stages before it.
        let taken = endless().take(3).map(|_| endless().map(|n| n).take(2));
        assert_eq!(bridge(&background(), taken).collect::<Vec<_>>().unwrap(), [0, 1, 0, 1, 0, 1]);
        until_alone();
    });
}

#[test]
fn failing_inner_or_outer_pipeline_ends_the_bridge() {
    check(|| {
        let with = |inner: fn() -> Pipeline<usize>| {
            let inner = endless().map(move |n| if n == 2 { inner() } else { endless().take(2) });
            bridge(&background(), inner)
        };
        assert_eq!(panic_of(|| with(panics).wait()), "expected");
        let (mut seen, bridged) = (Vec::new(), with(|| panics().map(|n| n)));
        assert_eq!(panic_of(|| bridged.iter().for_each(|n| seen.push(n))), "expected");
        assert_eq!(seen, [0, 1, 0, 1, 0, 1, 2]);
        assert_eq!(with(fails).collect::<Vec<_>>().unwrap_err().to_string(), "expected");

        let outer = panics().map(|_| endless().take(1));
        assert_eq!(panic_of(|| bridge(&background(), outer).wait()), "expected");
        let outer = fails().map(|_| endless().take(1));
        assert_eq!(bridge(&background(), outer).wait().unwrap_err().to_string(), "expected");
        until_alone();
    });
}

#[test]
fn bridge_waits_for_the_stages_above_an_inner_pipeline() {
    check(|| {
        for dropped in [false, true] {
            let (computing, computes) = channel::bounded(1);
            let (gate, closed_gate) = channel::bounded::<()>(0);
            let first = endless().map(move |n| {
                if n == 2 {
                    computing.send(()).unwrap();
                    closed_gate.recv().unwrap_err();
                    panic!("expected");
                }
                n
            });
            let bridged = bridge(&background(), Pipeline::new(&background(), [first.take(2), endless().take(1)]));
            // No value has been taken yet, so the first inner pipeline cannot end before this.
            computes.recv().unwrap();
            assert_eq!(bridged.recv(), Ok(0));
            if dropped {
                bridged.cancel();
            } else {
                assert_eq!(bridged.recv(), Ok(1));
                assert!(bridged.receiver().recv_timeout(std::time::Duration::from_millis(3)).is_err());
            }
            drop(gate);
            assert_eq!(panic_of(|| bridged.wait()), "expected");
            until_alone();
        }
    });
}

#[test]
fn dropped_bridge_stops_current_and_queued_inner_pipelines() {
    check(|| {
        let census = Census::default();
        let (tx, rx) = channel::bounded::<Pipeline<Counted>>(10);
        for _ in 0..5 {
            let census = census.clone();
            tx.send(endless().map(move |_| census.value())).unwrap();
        }
        let bridged = bridge(&background(), rx);
        drop(bridged.recv().unwrap());
        drop(bridged);
        until_alone();
        assert_eq!((tx.is_closed(), census.alive()), (true, 0));
    });
}

#[test]
fn goroutines_name_the_line_of_the_call() {
    check(|| {
        let never = channel::never::<usize>;
        let here = line!() + 1;
        let all = (
            fan_out(&background(), 2, never(), |n| n),
            fan_in(&background(), [never(), never()]),
            tee(&background(), never()),
        );
        let ours = || {
            let sites = debug::goroutines().into_iter().map(|goroutine| goroutine.spawned_at);
            sites.filter(|site| site.file() == file!() && (here..here + 5).contains(&site.line())).count()
        };
        until(|| ours() == 5);
        drop(all);
    });
}

#[test]
fn threads_use_the_patterns_too() {
    check_from_thread(|| {
        let branches = fan_out(&background(), 3, receiver_of(0..100), |n| n);
        let threads: Vec<_> =
            branches.into_iter().map(|branch| thread::spawn(move || branch.iter().sum::<usize>())).collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), 4950);
        let (left, right) = tee(&background(), receiver_of(0..100));
        let other = thread::spawn(move || left.iter().sum::<usize>());
        assert_eq!((right.iter().sum::<usize>(), other.join().unwrap()), (4950, 4950));
    });
}

#[test]
fn stress_pipelines_dropped_at_any_time() {
    storm(|random| {
        let census = Census::default();
        let values = census.clone();
        let source = Pipeline::new(&background(), 0..60).map(move |_| Arc::new(values.value()));
        let (left, right) = tee(&background(), source);
        let inner =
            right.batch(4, std::time::Duration::from_micros(20)).map(|batch| Pipeline::new(&background(), batch));
        let branches = fan_out(&background(), 1 + random.index(4), left, |value| value);
        let mut all: Vec<_> = branches.into_iter().chain([bridge(&background(), inner)]).collect();
        let complete = !random.one_in(3);
        if !complete {
            drop(all.remove(random.index(all.len())));
        }
        let merged = fan_in(&background(), all);
        let some = random.index(150);
        let seen = merged.receiver().iter().take(some).count();
        if complete {
            assert_eq!(seen, some.min(120), "each of the 60 values comes through both sides of the tee");
        }
        drop(merged);
        until_alone();
        assert_eq!(census.alive(), 0);
    });
}
