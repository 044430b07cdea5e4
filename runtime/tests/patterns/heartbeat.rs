//! `patterns::heartbeat` from the outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::drops::Census;
use crate::common::{check, check_from_thread, parked, storm, text, until};
use greenthread::ctx::{Context, Error, RecvError};
use greenthread::patterns::{Heartbeat, Pulse, heartbeat};
use greenthread::sync::Mutex;
use greenthread::{Exited, channel, debug, exit_goroutine, scope, select, spawn, time};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Never beats, and ends with its context.
fn idle(pulse: &Pulse) -> Option<Error> {
    assert!(pulse.ctx().done().recv().is_err());
    pulse.ctx().err()
}

#[test]
fn one_beat_for_each_piece_of_work() {
    check_from_thread(|| {
        let body = || {
            let (jobs, queue) = channel::bounded(0);
            let worker = heartbeat(&Context::background(), Duration::ZERO, move |pulse| {
                let mut sum = 0;
                for job in queue {
                    pulse.beat();
                    sum += job;
                }
                sum
            });
            for job in 1..=100 {
                jobs.send(job).unwrap();
                worker.beats().recv().unwrap();
            }
            assert!(worker.beats().is_empty());
            drop(jobs);
            assert!(worker.beats().recv().is_err(), "it has ended");
            assert_eq!(worker.join().unwrap(), 5050);
        };
        body();
        spawn(body).join().unwrap();
    });
}

#[test]
fn recv_beats_while_it_waits() {
    check(|| {
        let (jobs, queue) = channel::bounded(0);
        let worker = heartbeat(&Context::background(), ms(1), move |pulse| {
            let mut jobs = Vec::new();
            loop {
                match pulse.recv(&queue) {
                    Ok(job) => jobs.push(job),
                    Err(error) => return (jobs, error),
                }
            }
        });
        let beats: Vec<Instant> = worker.beats().iter().take(10).collect();
        assert!(beats.windows(2).all(|pair| pair[1] - pair[0] >= ms(1)), "at most one a period");
        for job in 0..1000 {
            jobs.send(job).unwrap();
        }
        worker.beats().recv().unwrap();
        drop(jobs);
        assert_eq!(worker.join().unwrap(), ((0..1000).collect(), RecvError::Disconnected));
    });
}

#[test]
fn recv_without_a_period_does_not_beat_while_it_waits() {
    check(|| {
        for period in [Duration::ZERO, HOUR, Duration::MAX] {
            let (jobs, queue) = channel::bounded(0);
            let worker = heartbeat(&Context::background(), period, move |pulse| {
                pulse.recv(&queue).unwrap();
                pulse.due().is_empty()
            });
            worker.beats().recv().unwrap();
            until(|| parked("select") == 1);
            jobs.send(()).unwrap();
            assert!(worker.beats().recv().is_err());
            assert!(worker.join().unwrap(), "the next beat is not due");
        }
    });
}

#[test]
fn due_fires_in_a_select() {
    check(|| {
        let (stop, stopped) = channel::bounded::<()>(0);
        let worker = heartbeat(&Context::background(), ms(1), move |pulse| {
            let mut beats = 0;
            loop {
                select! {
                    recv(stopped) -> _ => return beats,
                    recv(pulse.due()) -> due => {
                        assert!(due.unwrap() <= Instant::now());
                        pulse.beat();
                        beats += 1;
                    }
                }
            }
        });
        assert_eq!(worker.beats().iter().take(5).count(), 5);
        drop(stop);
        assert!(worker.join().unwrap() >= 5);
    });
}

#[test]
fn unread_beats_are_dropped() {
    check(|| {
        let begin = Instant::now();
        let worker = heartbeat(&Context::background(), Duration::ZERO, |pulse| {
            pulse.beat();
            let first = Instant::now();
            (0..100_000).for_each(|_| pulse.beat());
            first
        });
        worker.done().recv().unwrap_err();
        assert_eq!(worker.beats().len(), 1);
        let beat = worker.beats().recv().unwrap();
        assert!(worker.beats().recv().is_err());
        assert!((begin..=worker.join().unwrap()).contains(&beat), "it is the first");
    });
}

#[test]
fn at_most_one_beat_per_period() {
    check(|| {
        let worker = heartbeat(&Context::background(), HOUR, |pulse| {
            scope(|s| {
                for _ in 0..10 {
                    s.spawn(|| (0..10_000).for_each(|_| pulse.beat()));
                }
            });
        });
        assert_eq!(worker.beats().iter().count(), 1);
        worker.join().unwrap();

        let worker = heartbeat(&Context::background(), ms(1), |pulse| {
            while pulse.ctx().err().is_none() {
                pulse.beat();
            }
        });
        let beats: Vec<Instant> = worker.beats().iter().take(10).collect();
        assert!(beats.windows(2).all(|pair| pair[1] - pair[0] >= ms(1)));
    });
}

#[test]
fn silence_is_reported_and_ends_with_a_beat() {
    check(|| {
        let ctx = Context::background();
        let (say, said) = channel::bounded::<()>(0);
        let worker = heartbeat(&ctx, HOUR, move |pulse| {
            for () in said {
                pulse.beat();
            }
        });
        for _ in 0..3 {
            assert_eq!(worker.wait_quiet(&ctx, ms(3)), Ok(true));
            assert!(worker.quiet_for() >= ms(3));
            assert_eq!(worker.wait_quiet(&ctx, Duration::ZERO), Ok(true));
            // The period keeps the beat from the channel, but not from counting.
            let before = Instant::now();
            say.send(()).unwrap();
            until(|| worker.quiet_for() <= before.elapsed());
        }
        assert_eq!(worker.beats().len(), 1);
        drop(say);
        assert_eq!(worker.wait_quiet(&ctx, Duration::MAX), Ok(false));
        assert_eq!(worker.wait_quiet(&ctx, HOUR), Ok(false));
        worker.join().unwrap();
    });
}

#[test]
fn no_silence_is_reported_while_it_beats() {
    check(|| {
        let (limit, begin) = (ms(5), Instant::now());
        let worker = heartbeat(&Context::background(), Duration::ZERO, move |pulse| {
            let (mut longest, mut last) = (Duration::ZERO, begin);
            for _ in 0..60 {
                time::sleep(ms(1));
                let before = Instant::now();
                pulse.beat();
                longest = longest.max(last.elapsed());
                last = before;
            }
            (longest, last)
        });
        let mut told = 0;
        while worker.wait_quiet(&Context::background(), limit).unwrap() {
            told += 1;
            greenthread::yield_now();
        }
        // On a busy machine, there may really have been a silence.
        let (longest, last) = worker.join().unwrap();
        assert!(told == 0 || longest.max(last.elapsed()) >= limit, "told {told} times, {longest:?}");
    });
}

#[test]
fn context_of_the_watcher_ends_the_watch() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let worker = Arc::new(heartbeat(&Context::background(), HOUR, idle));
        let watcher = spawn({
            let worker = Arc::clone(&worker);
            move || worker.wait_quiet(&ctx, HOUR)
        });
        until(|| parked("select") == 1);
        cancel.cancel();
        assert_eq!(watcher.join().unwrap(), Err(Error::Canceled));
        let (late, _cancel) = Context::background().with_deadline(Instant::now());
        assert_eq!(worker.wait_quiet(&late, Duration::ZERO), Err(Error::DeadlineExceeded));
        assert!(worker.beats().is_empty(), "the worker goes on");
        worker.cancel();
        until(|| worker.done().try_recv().is_err_and(|error| error.is_disconnected()));
    });
}

#[test]
fn worker_ends_with_its_context() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = channel::bounded::<()>(0);
        let worker = heartbeat(&ctx, ms(1), move |pulse| pulse.recv(&rx));
        worker.beats().recv().unwrap();
        cancel.cancel();
        assert_eq!(worker.join().unwrap(), Err(RecvError::Ended(Error::Canceled)));
        assert!(tx.is_closed());
        // A context that has ended before is noticed at once.
        let (tx, rx) = channel::bounded(1);
        tx.send(()).unwrap();
        let worker = heartbeat(&ctx, ms(1), move |pulse| pulse.recv(&rx));
        assert_eq!(worker.join().unwrap(), Err(RecvError::Ended(Error::Canceled)));
        let (ctx, _cancel) = Context::background().with_timeout(ms(2));
        assert_eq!(heartbeat(&ctx, HOUR, idle).join().unwrap(), Some(Error::DeadlineExceeded));
    });
}

#[test]
fn dropping_the_handle_cancels_the_worker() {
    check(|| {
        let (census, (tx, rx)) = (Census::default(), channel::bounded::<()>(0));
        let (keep, result) = (census.value(), census.clone());
        let worker = heartbeat(&Context::background(), ms(1), move |pulse| {
            let _keep = keep;
            assert_eq!(pulse.recv(&rx), Err(RecvError::Ended(Error::Canceled)));
            result.value()
        });
        worker.beats().recv().unwrap();
        drop(worker);
        until(|| tx.is_closed() && census.made() == 2 && census.alive() == 0);

        let worker = heartbeat(&Context::background(), ms(1), idle);
        worker.cancel();
        assert_eq!(worker.join().unwrap(), Some(Error::Canceled));
    });
}

#[test]
fn join_does_not_cancel() {
    check(|| {
        let (go_on, gate) = channel::bounded::<()>(0);
        let worker = heartbeat(&Context::background(), HOUR, move |pulse| {
            assert!(gate.recv().is_err());
            pulse.ctx().err()
        });
        let joiner = spawn(move || worker.join().unwrap());
        until(|| parked("join") == 1 && parked("chan receive") == 1);
        drop(go_on);
        assert_eq!(joiner.join().unwrap(), None);
    });
}

#[test]
fn join_returns_the_panic() {
    check(|| {
        let (census, ctx) = (Census::default(), Context::background());
        let keep = census.value();
        let worker: Heartbeat<()> = heartbeat(&ctx, Duration::ZERO, move |pulse| {
            let _keep = keep;
            pulse.beat();
            panic!("expected");
        });
        assert_eq!(worker.wait_quiet(&ctx, HOUR), Ok(false));
        assert_eq!((worker.beats().iter().count(), census.alive()), (1, 0));
        assert_eq!(text(&*worker.join().unwrap_err()), "expected");
        let worker: Heartbeat<()> = heartbeat(&ctx, Duration::ZERO, |_| exit_goroutine());
        assert!(worker.beats().recv().is_err());
        assert!(worker.join().unwrap_err().is::<Exited>());
    });
}

#[test]
fn dumps_name_the_line_of_the_call() {
    check(|| {
        let worker = heartbeat(&Context::background(), HOUR, idle);
        let line = line!() - 1;
        until(|| parked("chan receive") == 1);
        let places: Vec<_> = debug::goroutines().iter().map(|goroutine| goroutine.spawned_at).collect();
        assert!(places.iter().any(|place| (place.file(), place.line()) == (file!(), line)), "{line}: {places:?}");
        drop(worker);
    });
}

#[test]
fn hanging_goroutine_can_be_replaced() {
    check(|| {
        let ctx = Context::background();
        let done = Arc::new(Mutex::new(Vec::new()));
        let (jobs, queue) = channel::bounded(20);
        (0..20).for_each(|job| jobs.send(job).unwrap());
        drop(jobs);
        let mut replaced = 0;
        loop {
            let (queue, done) = (queue.clone(), Arc::clone(&done));
            let worker = heartbeat(&ctx, Duration::ZERO, move |pulse| {
                while let Ok(job) = pulse.recv(&queue) {
                    if job % 10 == 3 {
                        idle(pulse);
                        return;
                    }
                    done.lock().push(job);
                }
            });
            if !worker.wait_quiet(&ctx, ms(20)).unwrap() {
                worker.join().unwrap();
                break;
            }
            replaced += 1;
        }
        assert!(replaced >= 2);
        assert_eq!(done.lock().len(), 18);
    });
}

#[test]
fn two_thousand_heartbeats() {
    check(|| {
        let ctx = Context::background();
        let (tx, rx) = channel::bounded::<()>(0);
        let mut crowd = Vec::new();
        for _ in 0..2000 {
            let rx = rx.clone();
            crowd.push(heartbeat(&ctx, HOUR, move |pulse| pulse.recv(&rx)));
        }
        assert!(crowd.iter().all(|worker| worker.beats().recv().is_ok()));
        drop((crowd, rx));
        until(|| tx.is_closed());
    });
}

#[test]
fn storm_of_workers_and_watchers() {
    storm(|random| {
        let (ctx, cancel) = Context::background().with_cancel();
        let census = Census::default();
        let mut watchers = Vec::new();
        for _ in 0..1 + random.below(6) {
            let (tx, rx) = channel::bounded(random.index(3));
            let (sends, values, context) = (census.clone(), census.clone(), ctx.clone());
            let count = random.below(20);
            let period = Duration::from_micros(random.below(200));
            let worker = heartbeat(&ctx, period, move |pulse| {
                let mut all = vec![values.value()];
                while let Ok(value) = pulse.recv(&rx) {
                    all.push(value);
                }
                all
            });
            let mut random = random.fork();
            watchers.push(spawn(move || {
                let mut sent = 0;
                for _ in 0..count {
                    sent += usize::from(tx.send_timeout(sends.value(), Duration::from_micros(500)).is_ok());
                    if random.one_in(4) {
                        // A worker that beats more often than that is never quiet.
                        let (watched, _cancel) = context.with_timeout(Duration::from_millis(1));
                        let _ = worker.wait_quiet(&watched, Duration::from_micros(random.below(300)));
                    }
                }
                if random.one_in(2) {
                    drop(tx);
                    // The worker adds one value of its own.
                    let received = worker.join().unwrap().len() - 1;
                    let complete = received == sent || (received < sent && context.err().is_some());
                    assert!(complete, "received {received} of {sent}");
                }
            }));
        }
        if random.one_in(2) {
            cancel.cancel();
        }
        watchers.into_iter().for_each(|watcher| watcher.join().unwrap());
        until(|| census.alive() == 0);
    });
}
