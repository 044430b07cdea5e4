//! The properties that Go's own tests demand of select, written independently (Go:
//! `runtime/chan_test.go`, `test/chan/`).

use crate::common::{everywhere, moment, spawn, until, yield_now};
use greenthread_channels::{Receiver, Select, Sender, TryRecvError, bounded, never, select};
use greenthread_scheduler as scheduler;
use std::hint::black_box;

/// Go's TestNonblockSelectRace: a value enters the second channel before the value in the first is
/// taken, so there is a value at all times.
///
/// A `default` that checks one channel after the other can miss both.
#[test]
fn nonblock_select_race() {
    everywhere(|| {
        for _ in 0..3000 {
            let (tx1, rx1) = bounded(1);
            let (tx2, rx2) = bounded(1);
            tx1.send(1).unwrap();
            let (first, second) = (rx1.clone(), rx2.clone());
            let task = spawn(move || {
                select! {
                    recv(first) -> value => value.is_ok(),
                    recv(second) -> value => value.is_ok(),
                    default => false,
                }
            });
            tx2.send(1).unwrap();
            let mine = rx1.try_recv();
            assert!(task.join(), "no channel was ready; mine = {mine:?}");
        }
    });
}

/// Go's TestNonblockSelectRace2: like the first race, but the second channel is closed.
#[test]
fn nonblock_select_race_2() {
    everywhere(|| {
        for _ in 0..3000 {
            let (tx1, rx1) = bounded(1);
            let (tx2, rx2) = bounded::<i32>(0);
            tx1.send(1).unwrap();
            let first = rx1.clone();
            let task = spawn(move || {
                select! {
                    recv(first) -> value => value.is_ok(),
                    recv(rx2) -> end => end.is_err(),
                    default => false,
                }
            });
            tx2.close();
            let mine = rx1.try_recv();
            assert!(task.join(), "no channel was ready; mine = {mine:?}");
        }
    });
}

/// Repeats the race with sends: room appears in the second channel before the room in the first is
/// taken.
#[test]
fn nonblock_select_race_of_sends() {
    everywhere(|| {
        for _ in 0..3000 {
            let (tx1, rx1) = bounded(1);
            let (tx2, rx2) = bounded(1);
            tx2.send(0).unwrap();
            let (first, second) = (tx1.clone(), tx2.clone());
            let task = spawn(move || {
                select! {
                    send(first, 1) -> sent => sent.is_ok(),
                    send(second, 1) -> sent => sent.is_ok(),
                    default => false,
                }
            });
            rx2.recv().unwrap();
            let mine = tx1.try_send(2);
            assert!(task.join(), "no channel had room; mine = {mine:?}");
            drop((rx1, tx2));
        }
    });
}

/// Repeats the race many times, without a close: a value moves back and forth between two channels,
/// and enters one before it leaves the other.
///
/// A polling select must always see it.
#[test]
fn value_between_two_channels_is_always_seen() {
    everywhere(|| {
        let [(tx1, rx1), (tx2, rx2)] = [bounded(1), bounded(1)];
        tx1.send(0).unwrap();
        let [first, second] = [rx1.clone(), rx2.clone()];
        let mover = spawn(move || {
            for n in 0..20_000u32 {
                tx2.send(n).unwrap();
                first.recv().unwrap();
                tx1.send(n).unwrap();
                second.recv().unwrap();
                if n.is_multiple_of(64) {
                    yield_now();
                }
            }
            // There is a value until the end.
            tx1
        });
        let mut list = Select::new();
        list.recv(&rx1);
        list.recv(&rx2);
        let mut looks = 0u64;
        while !mover.is_finished() {
            assert!(list.try_ready().is_ok(), "nothing was ready at look {looks}");
            looks += 1;
            if looks.is_multiple_of(64) {
                yield_now();
            }
        }
        drop(mover.join());
    });
}

/// Go's TestSelfSelect: two tasks each offer a send and a receive on the same channel.
///
/// Without a buffer, each task gets the other's value and never its own.
#[test]
fn self_select() {
    fn one_side(me: usize, tx: &Sender<usize>, rx: &Receiver<usize>, buffered: bool) {
        let check = |value: usize| assert!(buffered || value != me, "{me} has met itself");
        for n in 0..1000 {
            if (me + n).is_multiple_of(2) {
                select! {
                    send(tx, me) -> sent => sent.unwrap(),
                    recv(rx) -> value => check(value.unwrap()),
                }
            } else {
                select! {
                    recv(rx) -> value => check(value.unwrap()),
                    send(tx, me) -> sent => sent.unwrap(),
                }
            }
        }
    }
    everywhere(|| {
        for cap in [0, 10] {
            let (tx, rx) = bounded(cap);
            let tasks = [0, 1].map(|me| {
                let (tx, rx) = (tx.clone(), rx.clone());
                spawn(move || one_side(me, &tx, &rx, cap > 0))
            });
            tasks.into_iter().for_each(crate::common::Task::join);
            assert!(cap > 0 || rx.try_recv() == Err(TryRecvError::Empty));
        }
    });
}

/// Go's TestSelectFairness: a select waits on two channels that are always ready and two that are
/// never ready.
///
/// Each of the ready channels is chosen half of the time.
#[test]
fn select_fairness() {
    everywhere(|| {
        const TRIALS: usize = 10_000;
        let [one, two] = [1, 2].map(|number| {
            let (tx, rx) = bounded(TRIALS + 1);
            (0..=TRIALS).for_each(|_| tx.send(number).unwrap());
            rx
        });
        let (_tx3, three) = bounded::<usize>(0);
        let four = never::<usize>();
        let (out, results) = bounded(0);
        let (done, is_done) = bounded::<()>(0);
        let task = spawn(move || {
            loop {
                let number = select! {
                    recv(three) -> number => number.unwrap(),
                    recv(four) -> number => number.unwrap(),
                    recv(one) -> number => number.unwrap(),
                    recv(two) -> number => number.unwrap(),
                };
                select! {
                    send(out, number) -> sent => sent.unwrap(),
                    recv(is_done) -> _ => break,
                }
            }
        });
        let ones = (0..TRIALS).filter(|_| results.recv().unwrap() == 1).count();
        drop(done);
        task.join();
        // Seven standard deviations of a fair coin: it fails less than once in 10^11 runs.
        assert!(ones.abs_diff(TRIALS / 2) < 350, "{ones} of {TRIALS}");
    });
}

/// Checks the same for waiting selects: each of four channels is fed only now and then, and none is
/// starved.
#[test]
fn waiting_select_starves_no_channel() {
    everywhere(|| {
        const EACH: usize = 500;
        let (feeds, channels): (Vec<_>, Vec<_>) = (0..4).map(|n| bounded(n % 2)).unzip();
        let tasks: Vec<_> = feeds
            .into_iter()
            .enumerate()
            .map(|(id, tx)| spawn(move || (0..EACH).for_each(|n| tx.send(id * EACH + n).unwrap())))
            .collect();
        let mut next = [0; 4];
        for _ in 0..4 * EACH {
            let value = select! {
                recv(channels[0]) -> value => value,
                recv(channels[1]) -> value => value,
                recv(channels[2]) -> value => value,
                recv(channels[3]) -> value => value,
            };
            // A drained channel is ready, because it reports its end.
            let Ok(value) = value else { continue };
            assert_eq!(value % EACH, next[value / EACH], "out of order");
            next[value / EACH] += 1;
        }
        // Receives the remaining values, because ends may have been chosen instead of values.
        for (id, rx) in channels.iter().enumerate() {
            rx.iter().for_each(|value| {
                assert_eq!(value, id * EACH + next[id]);
                next[id] += 1;
            });
        }
        assert_eq!(next, [EACH; 4]);
        tasks.into_iter().for_each(crate::common::Task::join);
    });
}

/// Go's TestMultiConsumer: workers receive from either of two queues and send to either of two
/// other queues.
///
/// No value is lost or received twice.
#[test]
fn multi_consumer() {
    everywhere(|| {
        const WORKERS: usize = 6;
        const ITEMS: usize = 3000;
        let (jobs, queues): (Vec<_>, Vec<_>) = [0, 3].map(bounded::<usize>).into_iter().unzip();
        let (results, done): (Vec<_>, Vec<_>) = [0, WORKERS].map(bounded::<usize>).into_iter().unzip();
        for id in 0..WORKERS {
            let (queues, results) = (queues.clone(), results.clone());
            spawn(move || {
                let mut open = queues;
                while open.len() == 2 {
                    let (from, job) = select! {
                        recv(open[0]) -> job => (0, job),
                        recv(open[1]) -> job => (1, job),
                    };
                    match job {
                        Ok(job) => put(&results, id, job),
                        Err(_) => drop(open.remove(from)),
                    }
                }
                open[0].iter().for_each(|job| put(&results, id, job));
            });
        }
        drop(results);
        let feeder = spawn(move || {
            for n in 0..ITEMS {
                select! {
                    send(jobs[0], n) -> sent => sent.unwrap(),
                    send(jobs[1], n) -> sent => sent.unwrap(),
                }
            }
        });
        let mut seen = vec![false; ITEMS];
        let mut note = |n: usize| assert!(!std::mem::replace(&mut seen[n], true), "{n} came twice");
        loop {
            let result = select! {
                recv(done[0]) -> n => n,
                recv(done[1]) -> n => n,
            };
            match result {
                Ok(n) => note(n),
                Err(_) => break,
            }
        }
        done.iter().flatten().for_each(&mut note);
        assert!(seen.into_iter().all(|seen| seen));
        feeder.join();
    });
}

fn put(results: &[Sender<usize>], id: usize, job: usize) {
    if (id + job).is_multiple_of(7) {
        yield_now();
    }
    select! {
        send(results[0], job) -> sent => sent.unwrap(),
        send(results[1], job) -> sent => sent.unwrap(),
    }
}

/// Go's TestSelectDuplicateChannel: a select waits twice on one channel and is woken through
/// another channel.
///
/// It must leave both places. The task that waited behind it is served next.
#[test]
fn select_duplicate_channel() {
    everywhere(|| {
        for _ in 0..20 {
            let (tx, rx) = bounded(0);
            let (other_tx, other) = bounded(0);
            let twice = rx.clone();
            let a = spawn(move || {
                select! {
                    recv(twice) -> _ => 0,
                    recv(twice) -> _ => 1,
                    recv(other) -> value => value.unwrap(),
                }
            });
            // The checks below hold even if the tasks are not waiting yet, but the test is about
            // their waiting.
            moment();
            let b = spawn(move || rx.recv());
            moment();
            other_tx.send(7).unwrap();
            assert_eq!(a.join(), 7);
            tx.send(8).unwrap();
            assert_eq!(b.join(), Ok(8));
        }
    });
}

/// Fills a frame of a few KiB, calls `f` at the given depth, and checks that all frames are intact.
#[inline(never)]
fn deep<T>(depth: usize, f: &mut dyn FnMut() -> T) -> T {
    let frame = black_box([depth as u64; 200]);
    let result = if depth == 0 { f() } else { deep(depth - 1, f) };
    assert!(black_box(&frame).iter().all(|&word| word == depth as u64), "a frame was overwritten");
    result
}

/// A large value.
///
/// Every word identifies the value.
type Large = [u64; 200];

fn check(value: &Large, number: u64) {
    assert!(value.iter().all(|&word| word == number), "a value was torn");
}

/// Follows the idea of Go's TestSelectStackAdjust: selects wait with large frames on the stack, and
/// those frames receive the values.
///
/// Here they also do so on a stack that was grown for the call.
#[test]
fn large_frames_under_a_waiting_select() {
    fn wait(rounds: u64, from: &Receiver<Large>, to: &Sender<Large>, never: &Receiver<Large>) {
        for n in 0..rounds {
            select! {
                recv(from) -> value => check(&value.unwrap(), n),
                recv(never) -> _ => panic!("nobody sends there"),
            }
            select! {
                send(to, [n; 200]) -> sent => sent.unwrap(),
                recv(never) -> _ => panic!("nobody sends there"),
            }
        }
    }
    everywhere(|| {
        const ROUNDS: u64 = 100;
        let tasks: Vec<_> = (0..6)
            .map(|id| {
                let (tx, from) = bounded(0);
                let (to, rx) = bounded(id % 2);
                let (_keep, never) = bounded(0);
                let task = spawn(move || {
                    let _keep = _keep;
                    let mut body = || wait(ROUNDS, &from, &to, &never);
                    match id % 3 {
                        0 => scheduler::grow(1 << 20, 1 << 20, || deep(100, &mut body)).unwrap(),
                        _ => deep(4 * id, &mut body),
                    }
                });
                (task, tx, rx)
            })
            .collect();
        for n in 0..ROUNDS {
            for (_, tx, _) in &tasks {
                tx.send([n; 200]).unwrap();
            }
            for (_, _, rx) in &tasks {
                check(&rx.recv().unwrap(), n);
            }
        }
        tasks.into_iter().for_each(|(task, ..)| task.join());
    });
}

/// Follows the idea of Go's TestShrinkStackDuringBlockedSend: a task that was deep in its stack
/// waits further up.
///
/// The unused part of the stack may be released, while the value to be sent lies in a frame that
/// stays.
#[test]
fn stack_may_shrink_under_a_waiting_send() {
    everywhere(|| {
        const TASKS: u64 = 20;
        let (_keep, never) = bounded::<()>(0);
        let tasks: Vec<_> = (0..TASKS)
            .map(|id| {
                let (tx, rx) = bounded(0);
                let never = never.clone();
                let task = spawn(move || {
                    for n in 0..5 {
                        deep(25, &mut || ());
                        if n % 2 == 0 {
                            tx.send([id + n; 200]).unwrap();
                        } else {
                            select! {
                                send(tx, [id + n; 200]) -> sent => sent.unwrap(),
                                recv(never) -> _ => panic!("nobody sends there"),
                            }
                        }
                    }
                });
                (id, task, rx)
            })
            .collect();
        for n in 0..5 {
            moment();
            tasks.iter().for_each(|(id, _, rx)| check(&rx.recv().unwrap(), id + n));
        }
        tasks.into_iter().for_each(|(_, task, _)| task.join());
    });
}

/// Go's `test/chan/select3.go`: which operations block on nil, full, empty and closed channels.
#[test]
fn readiness_of_each_kind_of_channel() {
    everywhere(|| {
        let (nil_tx, nil_rx) = greenthread_channels::nil::<i32>();
        let (full_tx, full_rx) = bounded(1);
        full_tx.send(1).unwrap();
        let (empty_tx, empty_rx) = bounded::<i32>(1);
        let (closed_tx, closed_rx) = bounded::<i32>(1);
        closed_tx.close();
        let tried = |select: &dyn Fn() -> Option<&'static str>| select();
        assert_eq!(tried(&|| select! { recv(nil_rx) -> _ => Some("nil"), default => None }), None);
        assert_eq!(tried(&|| select! { send(nil_tx, 1) -> _ => Some("nil"), default => None }), None);
        assert_eq!(tried(&|| select! { send(full_tx, 1) -> _ => Some("full"), default => None }), None);
        assert_eq!(tried(&|| select! { recv(empty_rx) -> _ => Some("empty"), default => None }), None);
        let ended = tried(&|| {
            select! {
                recv(nil_rx) -> _ => Some("nil"),
                recv(empty_rx) -> _ => Some("empty"),
                recv(closed_rx) -> end => end.is_err().then_some("closed"),
                default => None,
            }
        });
        assert_eq!(ended, Some("closed"));
        let failed = tried(
            &|| select! { send(closed_tx, 9) -> sent => (sent.unwrap_err().0 == 9).then_some("back"), default => None },
        );
        assert_eq!(failed, Some("back"));
        let sent = tried(&|| select! { send(empty_tx, 1) -> sent => sent.ok().map(|()| "sent"), default => None });
        assert_eq!((sent, empty_rx.len()), (Some("sent"), 1));
        let received = tried(&|| select! { recv(full_rx) -> value => value.ok().map(|_| "received"), default => None });
        assert_eq!((received, full_tx.len()), (Some("received"), 0));
    });
}

/// Go's `test/chan/doubleselect.go`: two consumers select over the same channels, and exactly one
/// of them gets each value.
#[test]
fn double_select() {
    everywhere(|| {
        const ITEMS: usize = 2000;
        let (feeds, channels): (Vec<_>, Vec<_>) = (0..4).map(|_| bounded(0)).unzip();
        let sender = spawn(move || {
            for n in 0..ITEMS {
                select! {
                    send(feeds[0], n) -> sent => sent.unwrap(),
                    send(feeds[1], n) -> sent => sent.unwrap(),
                    send(feeds[2], n) -> sent => sent.unwrap(),
                    send(feeds[3], n) -> sent => sent.unwrap(),
                }
            }
        });
        let consumers = [0, 1].map(|_| {
            let channels = channels.clone();
            spawn(move || {
                let mut seen = Vec::new();
                loop {
                    let value = select! {
                        recv(channels[0]) -> value => value,
                        recv(channels[1]) -> value => value,
                        recv(channels[2]) -> value => value,
                        recv(channels[3]) -> value => value,
                    };
                    match value {
                        Ok(value) => seen.push(value),
                        Err(_) => return seen,
                    }
                }
            })
        });
        let mut seen = consumers.map(crate::common::Task::join).concat();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..ITEMS));
        until(|| sender.is_finished());
        sender.join();
    });
}
