//! The behavior of `select!` and `select_biased!`: which arm is chosen, what is evaluated when, and
//! what remains when an arm is left early.

#![forbid(unsafe_code)] // The macros expand to none.

use crate::common::census::Census;
use crate::common::{everywhere, moment, panic_text, spawn, until, yield_now};
use greenthread_channels::{
    Receiver, RecvError, Select, SendError, Sender, TryRecvError, bounded, never, nil, select, select_biased, unbounded,
};
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);

/// Returns a receiver with one value and no sender.
fn holding<T>(value: T) -> Receiver<T> {
    let (tx, rx) = bounded(1);
    assert!(tx.send(value).is_ok());
    rx
}

/// Returns a sender without a receiver.
fn closed<T>() -> Sender<T> {
    bounded(0).0
}

/// Returns a channel with room for one value.
fn room<T>() -> (Sender<T>, Receiver<T>) {
    bounded(1)
}

#[test]
fn ready_arm_is_chosen_at_any_position() {
    everywhere(|| {
        for ready in 0..4 {
            let recv = |n| if ready == n { holding(n) } else { never() };
            let (to, sent) = room();
            let send = |n| if ready == n { to.clone() } else { nil().0 };
            let chosen = select! {
                recv(recv(0)) -> n => n,
                send(send(1), 10) -> result => result.map(|()| 1).map_err(|_| RecvError),
                recv(recv(2)) -> n => n,
                send(send(3), 30) -> result => result.map(|()| 3).map_err(|_| RecvError),
            };
            assert_eq!(chosen, Ok(ready));
            let message = if ready % 2 == 1 { Ok(ready * 10) } else { Err(TryRecvError::Empty) };
            assert_eq!(sent.try_recv(), message);
        }
    });
}

#[test]
fn closed_channel_is_ready() {
    everywhere(|| {
        let (tx, _) = bounded(1);
        let (_, rx) = bounded::<u8>(1);
        for _ in 0..20 {
            select! {
                recv(rx) -> n => assert_eq!(n, Err(RecvError)),
                send(tx, 1) -> result => assert_eq!(result, Err(SendError(1))),
                recv(never::<u8>()) -> _ => unreachable!(),
                default => unreachable!(),
            }
        }
        select! {
            recv(rx) -> n => assert_eq!(n, Err(RecvError)),
        }
        select! {
            recv(rx) -> n => assert_eq!(n, Err(RecvError)),
            default => unreachable!(),
        }
        select! {
            recv(rx) -> n => assert_eq!(n, Err(RecvError)),
            default(LONG) => unreachable!(),
        }
        select! {
            send(tx, 2) -> result => assert_eq!(result, Err(SendError(2))),
            default => unreachable!(),
        }
    });
}

#[test]
fn default_is_chosen_if_no_arm_is_ready() {
    everywhere(|| {
        let (tx, rx) = bounded::<u8>(1);
        let brief = Duration::from_millis(1);
        for _ in 0..3 {
            assert!(select! { recv(rx) -> _ => false, default => true });
            assert!(select! { recv(rx) -> _ => false, default(brief) => true });
            assert!(select! { recv(rx) -> _ => false, recv(rx) -> _ => false, default => true });
            assert!(select! { recv(rx) -> _ => false, recv(rx) -> _ => false, default(brief) => true });
            assert!(select_biased! { default() => true, recv(rx) -> _ => false });
        }
        tx.send(1).unwrap();
        assert!(select! { send(tx, 2) -> _ => false, default => true });
        assert!(select! { send(tx, 2) -> _ => false, default(brief) => true });
        // A ready arm takes precedence over `default`, with or without a timeout, and at any
        // position.
        assert_eq!(select_biased! { default => None, recv(rx) -> n => n.ok() }, Some(1));
        assert!(select_biased! { default(Duration::ZERO) => false, send(tx, 2) -> result => result.is_ok() });
        assert_eq!(select! { recv(rx) -> n => n.ok(), default(Duration::ZERO) => None }, Some(2));
    });
}

#[test]
fn default_alone_is_a_select() {
    everywhere(|| {
        assert_eq!(select! { default => 1 }, 1);
        assert_eq!(select_biased! { default() => 2 }, 2);
        assert_eq!(select! { default(Duration::from_millis(1)) => 3 }, 3);
    });
}

#[test]
fn waits_until_an_arm_is_ready() {
    everywhere(|| {
        for cap in [0, 1] {
            let (tx, rx) = bounded(cap);
            let (full, taken) = bounded(cap);
            for n in 0..cap {
                full.send(n).unwrap();
            }
            let task = spawn({
                let (rx, full) = (rx.clone(), full.clone());
                move || {
                    let first = select! {
                        recv(rx) -> n => n.unwrap(),
                        send(full, 10) -> _ => unreachable!(),
                    };
                    let second = select! {
                        recv(rx) -> _ => unreachable!(),
                        send(full, 11) -> result => result,
                    };
                    let third = select! { recv(rx) -> n => n.unwrap() };
                    let fourth = select! { recv(rx) -> n => n.unwrap(), default(LONG) => unreachable!() };
                    let fifth = select! { send(full, 12) -> result => result, default(LONG) => unreachable!() };
                    (first, second, third, fourth, fifth)
                }
            });
            moment();
            tx.send(1).unwrap();
            moment();
            let mut messages: Vec<_> = (0..=cap).map(|_| taken.recv().unwrap()).collect();
            tx.send(3).unwrap();
            tx.send(4).unwrap();
            moment();
            messages.push(taken.recv().unwrap());
            assert_eq!(task.join(), (1, Ok(()), 3, 4, Ok(())));
            messages.extend(taken.try_iter());
            assert_eq!(messages, if cap == 0 { vec![11, 12] } else { vec![0, 11, 12] });
        }
    });
}

#[test]
fn two_selects_meet() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let task = spawn(move || {
            for n in 0..100 {
                select! {
                    send(tx, n) -> result => result.unwrap(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
            }
        });
        for expected in 0..100 {
            select! {
                recv(never::<u8>()) -> _ => unreachable!(),
                recv(rx) -> n => assert_eq!(n, Ok(expected)),
            }
        }
        assert_eq!(select! { recv(rx) -> n => n }, Err(RecvError));
        task.join();
    });
}

#[test]
fn ready_arms_are_chosen_evenly() {
    everywhere(|| {
        // The same channels appear twice: arms are distinguished, not channels.
        let (tx, rx) = unbounded();
        let mut turns = [0; 4];
        tx.send(0).unwrap();
        while turns.contains(&0) {
            tx.send(0).unwrap();
            select! {
                recv(rx) -> _ => turns[0] += 1,
                send(tx, 1) -> _ => turns[1] += 1,
                recv(rx) -> _ => turns[2] += 1,
                send(tx, 2) -> _ => turns[3] += 1,
            }
        }
        let mut turns = [0; 2];
        while turns.contains(&0) {
            tx.send(0).unwrap();
            select! {
                recv(rx) -> _ => turns[0] += 1,
                default => unreachable!(),
                recv(rx) -> _ => turns[1] += 1,
            }
        }
        let mut turns = [0; 2];
        while turns.contains(&0) {
            tx.send(0).unwrap();
            select! {
                default(LONG) => unreachable!(),
                recv(rx) -> _ => turns[0] += 1,
                recv(rx) -> _ => turns[1] += 1,
            }
        }
    });
}

#[test]
fn biased_select_chooses_the_first_ready_arm() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        for _ in 0..100 {
            tx.send(0).unwrap();
            select_biased! {
                recv(never::<u8>()) -> _ => unreachable!(),
                recv(rx) -> _ => {}
                send(tx, 1) -> _ => unreachable!(),
                recv(rx) -> _ => unreachable!(),
            }
            select_biased! {
                default => unreachable!(),
                send(tx, 1) -> _ => {}
                recv(rx) -> _ => unreachable!(),
            }
            select_biased! {
                recv(rx) -> _ => {}
                recv(rx) -> _ => unreachable!(),
                default(LONG) => unreachable!(),
            }
        }
        assert!(rx.is_empty());
    });
}

/// The evaluated expressions, in order.
#[derive(Default)]
struct Log(RefCell<Vec<&'static str>>);

impl Log {
    fn note<T>(&self, what: &'static str, value: T) -> T {
        self.0.borrow_mut().push(what);
        value
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

#[test]
fn operands_are_evaluated_in_order_before_the_message() {
    everywhere(|| {
        let log = Log::default();
        let (to, sent) = room();
        select! {
            recv(log.note("a", never::<u8>())) -> _ => unreachable!(),
            send(log.note("b", nil().0), log.note("not this", 1)) -> _ => unreachable!(),
            default(log.note("timeout", LONG)) => unreachable!(),
            send(log.note("c", &to), log.note("message", 2)) -> _ => log.note("body", ()),
            recv(log.note("d", never::<u8>())) -> _ => unreachable!(),
        }
        assert_eq!(log.take(), ["a", "b", "c", "d", "timeout", "message", "body"]);
        assert_eq!(sent.recv(), Ok(2));
    });
}

#[test]
fn single_arm_is_evaluated_like_several() {
    everywhere(|| {
        let log = Log::default();
        let full = || log.note("operand", holding(1));
        let empty = || log.note("operand", never::<u8>());
        let zero = || log.note("timeout", Duration::ZERO);

        select! { recv(full()) -> n => assert_eq!(log.note("body", n), Ok(1)) }
        assert_eq!(log.take(), ["operand", "body"]);
        select! { recv(full()) -> n => assert_eq!(log.note("body", n), Ok(1)), default => unreachable!() }
        assert_eq!(log.take(), ["operand", "body"]);
        select! { default(zero()) => unreachable!(), recv(full()) -> n => assert_eq!(log.note("body", n), Ok(1)) }
        assert_eq!(log.take(), ["operand", "timeout", "body"]);
        select! { recv(empty()) -> _ => unreachable!(), default => log.note("default", ()) }
        assert_eq!(log.take(), ["operand", "default"]);
        select! { default(zero()) => log.note("default", ()), recv(empty()) -> _ => unreachable!() }
        assert_eq!(log.take(), ["operand", "timeout", "default"]);
        let (tx, rx) = room();
        select! { send(log.note("operand", &tx), log.note("message", 1)) -> _ => log.note("body", ()) }
        assert_eq!(log.take(), ["operand", "message", "body"]);
        select! {
            send(log.note("operand", &tx), log.note("not this", 1)) -> _ => unreachable!(),
            default => log.note("default", ()),
        }
        assert_eq!(log.take(), ["operand", "default"]);
        drop(rx);
    });
}

/// A handle that records its drop, like a lock guard around a handle.
struct Guarded<'a, H>(H, &'a Log);

impl<H> Deref for Guarded<'_, H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.0
    }
}

impl<H> Drop for Guarded<'_, H> {
    fn drop(&mut self) {
        self.1.note("drop", ());
    }
}

#[test]
fn operand_temporaries_live_until_the_end() {
    everywhere(|| {
        let log = Log::default();
        let full = || Guarded(holding(1), &log);
        let (to, sent) = unbounded();
        let to = || Guarded(to.clone(), &log);

        select! {
            recv(full()) -> _ => log.note("body", ()),
            recv(Guarded(never::<u8>(), &log).deref()) -> _ => unreachable!(),
        }
        assert_eq!(log.take(), ["body", "drop", "drop"]);
        select! { send(to(), 1) -> _ => log.note("body", ()) }
        assert_eq!(log.take(), ["body", "drop"]);
        select! { recv(full()) -> _ => log.note("body", ()) }
        assert_eq!(log.take(), ["body", "drop"]);
        select! { recv(*full()) -> _ => log.note("body", ()), default => unreachable!() }
        assert_eq!(log.take(), ["body", "drop"]);
        select! { recv(full()) -> _ => log.note("body", ()), default(LONG) => unreachable!() }
        assert_eq!(log.take(), ["body", "drop"]);
        select! { recv(Guarded(never::<u8>(), &log)) -> _ => unreachable!(), default => log.note("default", ()) }
        assert_eq!(log.take(), ["default", "drop"]);
        assert_eq!(sent.recv(), Ok(1));
    });
}

#[test]
fn timeout_temporaries_are_dropped_before_the_wait() {
    everywhere(|| {
        for alone in [true, false] {
            let (tx, rx) = bounded(1);
            let timeout = Arc::new(Mutex::new(LONG));
            let locked = Arc::new(AtomicBool::new(false));
            let task = spawn({
                let (timeout, locked) = (Arc::clone(&timeout), Arc::clone(&locked));
                move || {
                    until(|| locked.load(Ordering::Relaxed));
                    drop(timeout.lock());
                    tx.send(1).unwrap();
                }
            });
            let lock = || {
                let guard = timeout.lock().unwrap();
                locked.store(true, Ordering::Relaxed);
                guard
            };
            let received = if alone {
                select! { recv(rx) -> n => n, default(*lock()) => unreachable!() }
            } else {
                select! { recv(rx) -> n => n, default(*lock()) => unreachable!(), recv(rx) -> n => n }
            };
            assert_eq!(received, Ok(1));
            task.join();
        }
    });
}

/// Leaves a select from inside a message, in each possible way.
fn leave(way: usize, tx: &Sender<u8>) -> Result<u8, RecvError> {
    let absent = || Err::<u8, RecvError>(RecvError);
    'rounds: for again in [false, true] {
        if again {
            return Ok(1);
        }
        'block: {
            select! {
                recv(never::<u8>()) -> _ => unreachable!(),
                send(tx, match way {
                    0 => continue 'rounds,
                    1 => break 'rounds,
                    2 => break 'block,
                    3 => return Ok(3),
                    4 => absent()?,
                    _ => panic!("no message"),
                }) -> _ => unreachable!(),
            }
        }
    }
    Ok(2)
}

#[test]
fn abandoned_message_leaves_nothing_behind() {
    everywhere(|| {
        for cap in [1, 2] {
            let (tx, rx) = bounded(cap);
            for (way, end) in [Ok(1), Ok(2), Ok(1), Ok(3), Err(RecvError)].into_iter().enumerate() {
                assert_eq!(leave(way, &tx), end);
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            }
            assert_eq!(panic_text(AssertUnwindSafe(|| assert!(leave(5, &tx).is_ok()))), "no message");
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            // The reservation for the message has been released: all room is available, and no call
            // waits for it.
            for n in 0..cap {
                select! {
                    send(tx, n as u8) -> result => result.unwrap(),
                    default => unreachable!(),
                }
            }
            assert_eq!(rx.try_iter().count(), cap);
            let task = spawn({
                let rx = rx.clone();
                move || rx.recv()
            });
            moment();
            assert_eq!(leave(3, &tx), Ok(3));
            tx.send(7).unwrap();
            assert_eq!(task.join(), Ok(7));
        }
    });
}

#[test]
fn panicking_operand_performs_no_operation() {
    everywhere(|| {
        let (tx, rx) = room();
        let full = holding(1);
        let absent = || None::<Receiver<u8>>;
        let left = catch_unwind(AssertUnwindSafe(|| {
            select! {
                recv(full) -> _ => unreachable!(),
                send(tx, 1) -> _ => unreachable!(),
                recv(absent().expect("an operand")) -> _ => unreachable!(),
            }
        }));
        assert!(left.is_err());
        assert_eq!((full.len(), rx.len()), (1, 0));
    });
}

/// Leaves a select from inside a body, and counts the code that runs afterwards.
fn leave_from_body(way: usize, after: &Cell<usize>) -> Option<usize> {
    let value = loop {
        if after.get() == 1 {
            return Some(10);
        }
        let value: usize = select! {
            recv(holding(way)) -> n => match n.unwrap() {
                0 => break 0,
                1 => { after.set(1); continue }
                2 => return Some(2),
                3 => None::<usize>?,
                n => n,
            },
            recv(never::<u8>()) -> _ => unreachable!(),
        };
        break value + 1;
    };
    after.set(2);
    Some(value)
}

#[test]
fn body_can_be_left_early() {
    everywhere(|| {
        for (way, (end, after)) in
            [(Some(0), 2), (Some(10), 1), (Some(2), 0), (None, 0), (Some(5), 2)].into_iter().enumerate()
        {
            let cell = Cell::new(0);
            assert_eq!((leave_from_body(way, &cell), cell.get()), (end, after), "{way}");
        }
        // Go's `break` leaves a select. Here it leaves the loop around it.
        let rx = holding(1);
        let mut rounds = 0;
        loop {
            rounds += 1;
            select! {
                recv(rx) -> n => if n.is_err() { break },
                default => unreachable!(),
            }
        }
        assert_eq!(rounds, 2);
    });
}

#[test]
fn values_are_dropped_once() {
    everywhere(|| {
        let census = Census::default();
        let (tx, rx) = unbounded();
        let value = || census.value(0);
        for _ in 0..10 {
            select! { send(tx, value()) -> result => assert!(result.is_ok()), default => unreachable!() }
            select! { recv(rx) -> _ => {} }
            tx.send(value()).unwrap();
            select! { recv(rx) -> _ => {} recv(rx) -> _ => {} }
            tx.send(value()).unwrap();
            select! { recv(rx) -> n => drop(n), default => unreachable!() }
            tx.send(value()).unwrap();
            select! { recv(rx) -> ref _n => {} default(LONG) => unreachable!() }
            select! { send(tx, value()) -> _ => {} recv(rx) -> _ => unreachable!() }
            select! { recv(rx) -> _n => {} recv(never::<u8>()) -> _ => {} }
            select! { send(closed(), value()) -> result => drop(result.unwrap_err().into_inner()) }
        }
        assert_eq!((census.made(), census.dropped()), (60, 60));
    });
}

#[test]
fn received_value_lives_as_long_as_the_body() {
    everywhere(|| {
        let log = Log::default();
        let full = || holding(Guarded((), &log));
        select! { recv(full()) -> _ => log.note("body", ()) }
        assert_eq!(log.take(), ["body", "drop"]);
        select! { recv(full()) -> _ => log.note("body", ()), default => {} }
        assert_eq!(log.take(), ["body", "drop"]);
        select! { recv(full()) -> _ => log.note("body", ()), recv(never::<u8>()) -> _ => {} }
        assert_eq!(log.take(), ["body", "drop"]);
    });
}

#[test]
fn selects_nest() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        let sum = select! {
            // Inside the operand, the message, the timeout and the body.
            send(select! { recv(holding(&tx)) -> tx => tx.unwrap() }, select! { default => 1 }) -> result => {
                result.unwrap();
                select! {
                    recv(rx) -> n => select_biased! {
                        recv(holding(10)) -> m => n.unwrap() + select! { recv(holding(m)) -> m => m.unwrap().unwrap() },
                        default => unreachable!(),
                    },
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
            }
            recv(select! { default => never::<u8>() }) -> _ => unreachable!(),
            default(select! { default => LONG }) => unreachable!(),
        };
        assert_eq!(sum, 11);
    });
}

#[test]
fn operands_can_be_assigned_and_moved_in_a_body() {
    everywhere(|| {
        let (tx, mut rx) = unbounded();
        tx.send(1).unwrap();
        let mut seen = Vec::new();
        loop {
            select! {
                recv(rx) -> n => match n {
                    Ok(n) => {
                        seen.push(n);
                        if n < 3 {
                            rx = holding(n + 1);
                        }
                    }
                    Err(_) if seen.len() < 5 => rx = holding(9),
                    Err(_) => {
                        drop(rx);
                        break;
                    }
                },
                default => unreachable!(),
                send(nil().0, 1) -> _ => unreachable!(),
            }
        }
        assert_eq!(seen, [1, 2, 3, 9, 9]);

        let mut rx = holding(1);
        rx = select! { recv(rx) -> n => { rx = holding(n.unwrap() + 1); rx } };
        rx = select! { recv(rx) -> n => holding(n.unwrap() + 1), default => rx };
        rx = select! { recv(rx) -> n => holding(n.unwrap() + 1), default(LONG) => rx };
        assert_eq!(rx.recv(), Ok(4));
    });
}

#[test]
fn arms_may_move_the_same_value() {
    everywhere(|| {
        let once = String::from("once");
        let said = select! {
            recv(never::<u8>()) -> _ => once,
            send(nil().0, once) -> result => result.unwrap_err().into_inner(),
            default(Duration::ZERO) => once,
            recv(holding(1)) -> _ => once + " more",
        };
        assert_eq!(said, "once more");
    });
}

#[test]
fn receiver_waits_for_a_message_past_its_deadline() {
    const SHORT: Duration = Duration::from_millis(1);
    type Receive = fn(&Receiver<u8>) -> Option<u8>;
    let receives: [Receive; 6] = [
        |rx| rx.try_recv().ok(),
        |rx| rx.try_iter().next(),
        |rx| rx.recv_timeout(SHORT).ok(),
        |rx| select! { recv(rx) -> value => value.ok(), default => None },
        |rx| select! { recv(rx) -> value => value.ok(), default(SHORT) => None },
        |rx| {
            Some(Select::new()).and_then(|mut select| {
                select.recv(rx);
                select.select_timeout(SHORT).ok()?.recv(rx).ok()
            })
        },
    ];
    everywhere(move || {
        for receive in receives {
            let (tx, rx) = bounded(0);
            let begun = Arc::new(AtomicBool::new(false));
            let sender = spawn({
                let begun = Arc::clone(&begun);
                move || {
                    let message = || {
                        begun.store(true, Ordering::SeqCst);
                        moment();
                        7
                    };
                    select! { send(tx, message()) -> sent => sent }
                }
            });
            // The message is evaluated only for the receive that gets it.
            let value = loop {
                if let Some(value) = receive(&rx) {
                    break value;
                }
                assert!(!begun.load(Ordering::SeqCst), "the receive has left");
                yield_now();
            };
            assert_eq!((value, sender.join()), (7, Ok(())));
        }
    });
}
