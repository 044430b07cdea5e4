//! `patterns::or` from the outside.

use std::convert::Infallible;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use crate::common::drops::{Census, OnDrop};
use crate::common::{check, check_from_thread, parked, storm, text, until};
use greenthread::channel::{Receiver, Sender, bounded, never, unbounded};
use greenthread::ctx::Context;
use greenthread::patterns::or;
use greenthread::{debug, go, num_goroutine, select, spawn, yield_now};

fn is_open(signal: &Receiver<Infallible>) -> bool {
    signal.try_recv().is_err_and(|error| error.is_empty())
}

/// Yields long enough for a fault to show most of the time.
fn yield_often() {
    (0..50).for_each(|_| yield_now());
}

#[test]
fn or_closes_with_first_input() {
    check(|| {
        for chosen in 0..4 {
            let (mut senders, receivers): (Vec<Sender<u32>>, Vec<_>) = (0..4).map(|_| bounded(1)).unzip();
            let first = or(&Context::background(), receivers);
            yield_often();
            assert!(is_open(&first));
            drop(senders.remove(chosen));
            assert!(first.recv().is_err());
            assert!(senders.iter().all(Sender::is_closed), "`or` has kept receivers");
        }
    });
}

#[test]
fn value_closes_it_and_stays() {
    check(|| {
        let (tx, rx) = bounded(1);
        let (_quiet, other) = bounded(0);
        let first = or(&Context::background(), [other, rx.clone()]);
        yield_often();
        assert!(is_open(&first));
        tx.send(7).unwrap();
        assert!(first.recv().is_err());
        assert_eq!(rx.try_recv(), Ok(7));
    });
}

#[test]
fn waiting_sender_closes_it_and_waits_on() {
    check(|| {
        let (tx, rx) = bounded(0);
        let first = or(&Context::background(), [rx.clone()]);
        let sender = spawn(move || tx.send(7));
        assert!(first.recv().is_err());
        yield_often();
        assert!(!sender.is_finished());
        assert_eq!(rx.recv(), Ok(7));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn or_closes_with_the_context() {
    check(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = bounded::<()>(0);
        let first = or(&ctx, [rx]);
        yield_often();
        assert!(is_open(&first));
        cancel.cancel();
        assert!(first.recv().is_err());
        assert!(tx.is_closed());

        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(2));
        let (tx, rx) = bounded::<()>(0);
        assert!(or(&ctx, [rx]).recv().is_err());
        assert!(tx.is_closed());
    });
}

#[test]
fn without_receivers_only_the_context_closes_it() {
    check(|| {
        let before = num_goroutine();
        let (ctx, cancel) = Context::background().with_cancel();
        let first = or::<u32>(&ctx, []);
        assert_eq!(num_goroutine(), before);
        assert!(is_open(&first));
        cancel.cancel();
        assert!(first.recv().is_err());
        assert!(is_open(&or::<u32>(&Context::background(), [])), "it never ends");
    });
}

#[test]
fn answer_known_at_once_takes_no_goroutine() {
    check(|| {
        let before = num_goroutine();
        let (tx, rx) = unbounded();
        tx.send(1).unwrap();
        let first = or(&Context::background(), [never(), rx.clone()]);
        assert!(!is_open(&first));
        assert_eq!(rx.try_recv(), Ok(1));

        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let first = or(&ctx, [rx, never()]);
        assert!(!is_open(&first));
        assert!(tx.is_closed());
        assert_eq!(num_goroutine(), before);
    });
}

#[test]
fn goroutine_ends_when_the_channel_is_dropped() {
    check(|| {
        let (tx, rx) = bounded::<()>(0);
        let first = or(&Context::background(), [rx]);
        let second = first.clone();
        drop(first);
        yield_often();
        assert!(!tx.is_closed());
        drop(second);
        until(|| tx.is_closed());
    });
}

#[test]
fn waiting_for_the_channel_does_not_close_it() {
    check(|| {
        let (tx, rx) = bounded::<()>(0);
        let first = or(&Context::background(), [rx]);
        let waits = spawn({
            let first = first.clone();
            move || first.recv()
        });
        let (_quiet, other) = bounded::<()>(0);
        let selects = spawn(move || {
            select! {
                recv(first) -> end => end.is_err(),
                recv(other) -> _ => unreachable!(),
            }
        });
        until(|| parked("chan receive") == 1 && parked("select") == 2);
        yield_often();
        assert!(!waits.is_finished() && !selects.is_finished() && !tx.is_closed());
        drop(tx);
        assert!(waits.join().unwrap().is_err() && selects.join().unwrap());
    });
}

#[test]
fn or_of_thousands_takes_one_goroutine() {
    check(|| {
        let before = num_goroutine();
        let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..3000).map(|_| bounded::<Infallible>(0)).unzip();
        let first = or(&Context::background(), receivers);
        assert_eq!(num_goroutine(), before + 1);
        yield_often();
        assert!(is_open(&first));
        senders.swap_remove(1234);
        assert!(first.recv().is_err());
        assert!(senders.iter().all(Sender::is_closed));
    });
}

#[test]
fn or_of_ors() {
    check(|| {
        let ctx = Context::background();
        let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..9).map(|_| bounded::<Infallible>(0)).unzip();
        let first = or(&ctx, receivers.chunks(3).map(|three| or(&ctx, three.iter().cloned())));
        drop(receivers);
        drop(senders.remove(5));
        assert!(first.recv().is_err());
        until(|| senders.iter().all(Sender::is_closed));
    });
}

#[test]
fn works_from_a_thread() {
    check_from_thread(|| {
        let (tx, rx) = bounded(0);
        let first = or(&Context::background(), [rx]);
        go!(move || tx.send(1));
        assert!(first.recv().is_err());
    });
}

#[test]
fn panicking_iterator_leaves_nothing() {
    check(|| {
        let (tx, rx) = bounded::<()>(0);
        let receivers = (0..3).map(|n| if n < 2 { rx.clone() } else { panic!("expected") });
        let payload = panic::catch_unwind(AssertUnwindSafe(|| or(&Context::background(), receivers))).unwrap_err();
        assert_eq!(text(&*payload), "expected");
        drop(rx);
        assert!(tx.is_closed());
    });
}

#[test]
fn value_whose_drop_panics_closes_it_too() {
    check(|| {
        let (tx, rx) = bounded(1);
        let first = or(&Context::background(), [rx]);
        tx.send(OnDrop::new(|| panic!("expected"))).unwrap();
        assert!(first.recv().is_err());
    });
}

#[test]
fn goroutine_names_the_line_of_the_call() {
    check(|| {
        let (tx, rx) = bounded::<()>(0);
        let (line, _first) = (line!(), or(&Context::background(), [rx]));
        let spawned_here =
            |info: &debug::GoroutineInfo| info.spawned_at.file() == file!() && info.spawned_at.line() == line;
        until(|| debug::goroutines().iter().any(spawned_here));
        drop(tx);
    });
}

#[test]
fn storm_of_signals_in_any_order() {
    storm(|random| {
        let census = Census::default();
        let (ctx, cancel) = Context::background().with_cancel();
        let number = 1 + random.index(5);
        let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..number).map(|_| bounded(random.index(2))).unzip();
        let keeps = random.one_in(2).then(|| receivers.clone());
        let first = or(&ctx, receivers);
        if random.one_in(2) {
            yield_now();
        }
        let tx = senders.swap_remove(random.index(number));
        match random.below(4) {
            0 => go!({
                let value = census.value();
                move || tx.send_deadline(value, Instant::now() + Duration::from_millis(1))
            }),
            1 => drop(tx),
            2 => go!(move || drop(tx)),
            _ => cancel.cancel(),
        }
        if random.one_in(4) {
            drop(first);
        } else {
            assert!(first.recv().is_err());
        }
        drop(keeps);
        until(|| senders.iter().all(Sender::is_closed));
        until(|| census.alive() == 0);
    });
}
