//! The forms that may be written in `select!`, and proof that no surrounding name can interfere.

#![forbid(unsafe_code)] // The macros expand to none.
#![deny(unreachable_code, unused)] // Nor do they expand to what gets a warning.
#![allow(clippy::complexity, clippy::style, clippy::never_loop, reason = "odd ways to write things are what is tested")]

use crate::common::everywhere;
use greenthread_channels as channel;
use greenthread_channels::{
    Receiver, RecvError, SendError, Sender, bounded, never, nil, select, select_biased, unbounded,
};
use std::any::Any;
use std::convert::Infallible;
use std::fmt::Display;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Returns a receiver with one value and no sender.
fn holding<T>(value: T) -> Receiver<T> {
    let (tx, rx) = bounded(1);
    assert!(tx.send(value).is_ok());
    rx
}

#[test]
fn bodies_and_commas() {
    everywhere(|| {
        let rx = never::<i32>();
        let (tx, _) = nil::<i32>();
        let one = || 1;
        let chosen = select! {
            recv(rx) -> _ => { 1 },
            recv(rx) -> _ => { let n = 1; n },
            recv(rx) -> _ => { 1 } + { 2 },
            recv(rx) -> n => { n }.unwrap(),
            recv(rx) -> _ => -1,
            recv(rx) -> _ => [1, 2, 3][0],
            recv(rx) -> _ => (1, 2).0,
            recv(rx) -> _ => if true { 1 } else { 2 },
            recv(rx) -> n => match n { Ok(n) => n, Err(_) => 1 },
            recv(rx) -> _ => loop { break 1 },
            recv(rx) -> _ => (|| 1)(),
            recv(rx) -> _ => one(),
            recv(rx) -> _ => vec![1].remove(0),
            recv(rx) -> _ => 'label: { break 'label 1 },
            recv(rx) -> _ => {
                let n = 1;
                n + 1
            }
            send(tx, 1) -> _ => { 1 }
            send(tx, 1) -> _ => { 1 },
            send(tx, 1) -> _ => 1,
            default => { 7 }
            recv(rx) -> _ => unreachable!(),
            recv(rx) -> _ => return,
            recv(rx) -> _ => panic!("at the end, without a comma")
        };
        assert_eq!(chosen, 7);
    });
}

#[test]
fn trailing_commas() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        select! { send(tx, 1) -> _ => {} }
        select! { send(tx, 2) -> _ => {}, }
        select! { send(tx, 3,) -> _ => (), }
        select! { send(tx, 4,) -> _ => () }
        select! { recv(rx,) -> n => assert_eq!(n, Ok(1)), }
        select! { recv(rx,) -> n => assert_eq!(n, Ok(2)), default(Duration::ZERO,) => {}, }
        select! { recv(rx,) -> n => assert_eq!(n, Ok(3)), default() => {}, }
        select! { recv(rx,) -> n => { assert_eq!(n, Ok(4)) } default() => {} }
        select! { recv(rx) -> _ => unreachable!(), default(Duration::ZERO,) => {}, recv(rx) -> _ => unreachable!(), }
        select!(default => {});
        select![default => (),];
    });
}

#[test]
fn default_may_be_at_any_position() {
    everywhere(|| {
        let rx = &never::<u8>();
        let zero = Duration::ZERO;
        for _ in 0..2 {
            assert_eq!(select! { default => 1, recv(rx) -> _ => 2, recv(rx) -> _ => 3 }, 1);
            assert_eq!(select! { recv(rx) -> _ => 2, default() => 1, recv(rx) -> _ => 3 }, 1);
            assert_eq!(select! { recv(rx) -> _ => 2, recv(rx) -> _ => 3, default => 1 }, 1);
            assert_eq!(select! { default(zero) => 1, recv(rx) -> _ => 2, recv(rx) -> _ => 3 }, 1);
            assert_eq!(select! { recv(rx) -> _ => 2, default(zero) => { 1 } recv(rx) -> _ => 3 }, 1);
            assert_eq!(select_biased! { recv(rx) -> _ => 2, recv(rx) -> _ => 3, default(zero) => 1 }, 1);
            assert_eq!(select_biased! { default => 1, recv(rx) -> _ => 2 }, 1);
            assert_eq!(select_biased! { default(zero) => { 1 } recv(rx) -> _ => 2 }, 1);
        }
    });
}

/// Uses a result in all ways, both in a single arm and in one of many arms.
macro_rules! both_forms {
    ($kind:ident $arguments:tt -> $result:pat => $body:expr) => {
        select! { $kind $arguments -> $result => $body }
        select! { $kind $arguments -> $result => $body, default => unreachable!() }
        select! { $kind $arguments -> $result => $body, default(Duration::from_secs(3600)) => unreachable!() }
        select! { $kind $arguments -> $result => $body, recv(never::<u8>()) -> _ => unreachable!() }
    };
}

#[test]
fn patterns() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        both_forms!(send(tx, (1, "one")) -> Ok(()) | Err(SendError((_, _))) => {});
        both_forms!(recv(rx) -> Ok((1, _)) | Ok(_) | Err(RecvError) => {});
        both_forms!(send(tx, (1, "one")) -> _ => {});
        both_forms!(recv(rx) -> mut result => if let Ok((n, _)) = &mut result {
            *n += 1;
            assert_eq!(result, Ok((2, "one")));
        });
        both_forms!(send(tx, (1, "one")) -> ref result => assert!(result.is_ok()));
        both_forms!(recv(rx) -> result @ (Ok(_) | Err(_)) => assert_eq!(result, Ok((1, "one"))));
        // No value of an empty type is ever received.
        let (_, done) = bounded::<Infallible>(0);
        both_forms!(recv(done) -> Err(RecvError) => {});
    });
}

#[test]
fn results_have_the_types_of_the_methods() {
    everywhere(|| {
        let (tx, _) = bounded::<i32>(1);
        let (_, rx) = bounded::<i32>(1);
        both_forms!(recv(rx) -> result => { let _: Result<i32, RecvError> = result; });
        both_forms!(send(tx, 1) -> result => { let _: Result<(), SendError<i32>> = result; });
    });
}

/// A wrapper that a user may put around a handle.
struct Wrapped<H>(H);

impl<H> Deref for Wrapped<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.0
    }
}

struct Server {
    queues: [(Sender<i32>, Receiver<i32>); 2],
}

impl Server {
    fn requests(&self) -> &Receiver<i32> {
        &self.queues[0].1
    }

    fn step(&mut self, n: usize) -> i32 {
        select! {
            recv(self.queues[n].1) -> n => n.unwrap(),
            recv(self.requests()) -> n => n.unwrap(),
            send(self.queues[n].0, n as i32) -> result => result.map_or(-1, |()| -2),
        }
    }
}

#[test]
fn operands() {
    everywhere(|| {
        let (tx, rx) = &unbounded();
        both_forms!(send(tx, 1) -> _ => {});
        both_forms!(recv(rx) -> n => assert_eq!(n, Ok(1)));
        both_forms!(send(&&&&tx, 2) -> _ => {});
        both_forms!(recv(&&&&rx) -> n => assert_eq!(n, Ok(2)));
        both_forms!(send(Box::new(tx.clone()), 3) -> _ => {});
        both_forms!(recv(Box::new(Rc::new(Arc::new(rx)))) -> n => assert_eq!(n, Ok(3)));
        both_forms!(send(Wrapped(&mut Wrapped(tx)), 4) -> _ => {});
        both_forms!(recv(*Wrapped(rx)) -> n => assert_eq!(n, Ok(4)));
        both_forms!(send((|| tx.clone())(), 5) -> _ => {});
        both_forms!(recv((|| rx.clone())()) -> n => assert_eq!(n, Ok(5)));
        let switched_off = &nil().0;
        both_forms!(send(if tx.is_closed() { switched_off } else { tx }, 6) -> _ => {});
        both_forms!(recv(match rx.len() { 0 => None, _ => Some(rx) }.unwrap_or(&never())) -> n => assert_eq!(n, Ok(6)));
        both_forms!(send({ let tx = tx.clone(); tx }, 7) -> _ => {});
        both_forms!(recv([vec![rx]].concat()[0]) -> n => assert_eq!(n, Ok(7)));
        let mut server = Server { queues: [unbounded(), unbounded()] };
        assert_eq!(server.step(1), -2);
        assert_eq!(select! { recv(server.queues[1].1) -> n => n, default => unreachable!() }, Ok(1));
    });
}

#[test]
fn messages_are_coerced_like_arguments() {
    everywhere(|| {
        let (tx, rx) = unbounded::<Box<dyn Any + Send>>();
        both_forms!(send(tx, Box::new(1)) -> result => assert!(result.is_ok()));
        both_forms!(recv(rx) -> any => assert!(any.unwrap().is::<i32>()));
        let (tx, rx) = unbounded::<&dyn Display>();
        both_forms!(send(tx, &"text") -> _ => {});
        both_forms!(recv(rx) -> text => assert_eq!(text.unwrap().to_string(), "text"));
    });
}

#[test]
fn types_are_inferred_from_later_code() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        select! { recv(rx) -> _ => {} default => {} }
        select! { recv(rx) -> _ => {} recv(rx) -> _ => {} default => {} }
        tx.send(1_u8).unwrap();
        let (tx, rx) = unbounded();
        select! { send(tx, 1) -> _ => {} }
        let _: Result<u64, RecvError> = rx.recv();
    });
}

#[test]
fn value_has_the_common_type_of_the_arms() {
    everywhere(|| {
        let rx = &holding(1);
        let text = select! {
            recv(rx) -> _ => "received".into(),
            default => String::from("default"),
        };
        assert_eq!(text, "received");
        let slice: &[u8] = select! {
            recv(rx) -> _ => &[],
            default => &[1, 2],
            send(nil().0, 1) -> _ => &[1],
        };
        assert_eq!(slice, []);
        let boxed: Box<dyn Fn() -> i32> = select! { recv(rx) -> n => Box::new(move || n.map_or(1, |n: i32| n)) };
        assert_eq!(boxed(), 1);
        let none = select! { recv(rx) -> n => n.ok(), default => None };
        assert_eq!(none, None);
        // As an operand, and followed by a method call.
        assert_eq!(1 + select! { default => 1 } * 2, 3);
        assert_eq!(select! { recv(holding(1)) -> n => n }.unwrap(), 1);
    });
}

fn always_returns(rx: &Receiver<i32>) -> Result<i32, RecvError> {
    select! {
        recv(rx) -> n => return n,
        recv(rx) -> n => return Ok(n?),
    }
}

fn never_returns(rx: &Receiver<i32>) -> ! {
    loop {
        select! {
            recv(rx) -> n => panic!("received {n:?}"),
            default(Duration::from_secs(3600)) => continue,
        }
    }
}

#[test]
fn all_arms_may_diverge() {
    everywhere(|| {
        assert_eq!(always_returns(&holding(1)), Ok(1));
        assert_eq!(crate::common::panic_text(|| never_returns(&holding(1))), "received Ok(1)");
        let n: i32 = loop {
            select! { recv(holding(1)) -> n => break n.unwrap() }
        };
        assert_eq!(n, 1);
    });
}

/// Requires nothing of `T`: it need not be `Send`, `Sync`, `Clone`, `Debug` or `'static`.
fn first<'a, T, U>(rxs: &'a [Receiver<T>; 2], tx: &Sender<U>, message: U) -> Result<(&'a Receiver<T>, T), SendError<U>>
where
    T: 'a,
{
    select! {
        recv(&rxs[0]) -> value => Ok((&rxs[0], value.ok().ok_or(()).map_err(|()| SendError(message))?)),
        recv(&rxs[1]) -> value => match value {
            Ok(value) => Ok((&rxs[1], value)),
            Err(RecvError) => Err(SendError(message)),
        },
        send(tx, message) -> result => Err(result.expect_err("it has no receiver")),
    }
}

fn try_first<T>(rx: &Receiver<T>) -> Option<T> {
    select! { recv(rx) -> value => value.ok(), default => None }
}

fn first_for<T, const MILLIS: u64>(rx: impl Deref<Target = Receiver<T>>) -> Option<T> {
    select! { recv(rx) -> value => value.ok(), default(Duration::from_millis(MILLIS)) => None }
}

#[test]
fn works_in_generic_code() {
    everywhere(|| {
        let local = String::from("local");
        let value = || Rc::new(&local);
        let rxs = [never(), holding(value())];
        let (rx, received) = first(&rxs, &nil().0, value()).unwrap_or_else(|_| unreachable!());
        assert_eq!(*received, "local");
        assert!(rx.same_channel(&rxs[1]));
        let (closed, _) = bounded(0);
        assert_eq!(*first(&[never::<u8>(), never()], &closed, value()).unwrap_err().into_inner(), "local");
        assert_eq!(try_first(&holding(value())).as_deref(), Some(&&local));
        assert_eq!(first_for::<_, 1>(&holding(value())).as_deref(), Some(&&local));
        assert_eq!(first_for::<u8, 1>(&never()), None);
    });
}

#[test]
fn works_in_closures() {
    everywhere(|| {
        let (tx, rx) = unbounded();
        let mut sum = 0;
        let mut step = |n| {
            select! {
                recv(rx) -> n => sum += n.unwrap_or(0),
                default => tx.send(n).unwrap(),
            }
        };
        (1..=4).for_each(&mut step);
        assert_eq!(sum, 1 + 3);
        let once = move || select! { recv(rx) -> n => drop((rx, n)), default => drop(tx) };
        once();
    });
}

#[test]
fn renamed_macros() {
    everywhere(|| {
        use channel::select as choose;
        let rx = &holding(1);
        assert_eq!(channel::select! { recv(rx) -> n => n, default => Ok(0) }, Ok(1));
        assert_eq!(greenthread_channels::select_biased! { recv(rx) -> n => n, default => Ok(0) }, Err(RecvError));
        assert_eq!(choose! { recv(rx) -> n => choose! { default => n } }, Err(RecvError));
    });
}

/// A user's macro that supplies the parts of the arms.
macro_rules! parts {
    ($rx:expr, $tx:expr, $message:expr, $result:pat, $body:expr, $block:block, $name:ident, $timeout:expr) => {
        select! {
            recv($rx) -> $result => $body,
            recv($rx) -> _ => $block,
            send($tx, $message) -> $name => $name.map_or(0, |()| 0),
            default($timeout) => $block,
        }
    };
}

#[test]
fn works_in_macros() {
    everywhere(|| {
        let n = parts!(&never::<u8>(), nil().0, 1, Ok(_) | Err(_), 1 + 1, { 3 }, result, Duration::ZERO);
        assert_eq!(n, 3);
    });
}

/// A select with one arm per number, whose bodies never run, and a default.
macro_rules! wide {
    ([$($n:literal)*] $default:expr) => {
        select! {
            $(recv(never::<[u8; $n]>()) -> _ => {
                unreachable!()
            })*
            default => $default
        }
    };
}

#[test]
fn many_arms() {
    everywhere(|| {
        let rxs: [Receiver<usize>; 64] = std::array::from_fn(|n| if n == 63 { holding(n) } else { never() });
        macro_rules! widest {
            ($($n:literal)*) => { select! { $(recv(rxs[$n]) -> n => n.map_or(0, |m| m * 100 + $n),)* } };
        }
        let chosen = widest!(
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        );
        assert_eq!(chosen, 6363);
        // One select inside another, with the compiler's default recursion limit.
        let chosen = wide!([
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        ] wide!([
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        ] wide!([
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        ] 7)));
        assert_eq!(chosen, 7);
    });
}

#[test]
fn variables_of_any_name_are_visible() {
    everywhere(|| {
        // Names that the macros also use internally.
        let (_select_arm, rx) = unbounded();
        let (_select_chosen, _select_outcome) = (1, 2);
        let variable = |tx: &Sender<i32>| tx.clone();
        for _ in 0..4 {
            both_forms!(send(_select_arm, _select_chosen) -> _r => assert_eq!((_r, _select_outcome), (Ok(()), 2)));
            both_forms!(recv(rx) -> _select_arm => assert_eq!((_select_arm, _select_chosen), (Ok(1), 1)));
            both_forms!(send(variable(&_select_arm), 1) -> _select_outcome => assert_eq!(_select_outcome, Ok(())));
            both_forms!(recv(rx) -> _select_chosen => assert_eq!((_select_chosen, _select_outcome), (Ok(1), 2)));
        }
        let rx = holding(1);
        both_forms!(recv(rx) -> rx => assert!(rx.is_ok() || rx == Err(RecvError)));
    });
}

/// A place where every name means something else.
mod elsewhere {
    #![no_implicit_prelude]
    #![allow(dead_code, non_camel_case_types, unused_macros)]

    pub(super) struct Some;
    pub(super) struct None;
    pub(super) struct Ok;
    pub(super) struct Err;
    pub(super) struct Option;
    pub(super) struct Result;
    pub(super) struct Vec;
    pub(super) struct Box;
    pub(super) struct Receiver;
    pub(super) struct Sender;
    pub(super) struct RecvError;
    pub(super) struct TryRecvError;
    pub(super) struct RecvArm;
    pub(super) struct SendArm;
    pub(super) struct Permit;
    pub(super) struct usize;
    pub(super) struct bool;
    pub(super) struct _r;
    pub(super) struct _s;
    pub(super) struct _res;
    pub(super) struct res;
    pub(super) mod core {}
    pub(super) mod std {}
    pub(super) mod internal {}
    pub(super) mod greenthread_channels {}
    pub(super) fn recv() {}
    pub(super) fn send() {}
    pub(super) fn default() {}
    pub(super) fn select() {}
    pub(super) fn try_select() {}
    pub(super) fn select_timeout() {}

    macro_rules! none {
        ($($name:ident)*) => { $(macro_rules! $name { () => {} })* };
    }
    none! { compile_error concat matches panic select select_biased select_internal stringify unreachable }

    /// Methods on every type, which take precedence over methods that borrow.
    pub(super) trait Methods: ::core::marker::Sized {
        fn case(self) {}
        fn finish(self) {}
        fn permit(self) {}
        fn recv(self) {}
        fn try_recv(self) {}
        fn recv_timeout(self) {}
        fn send(self) {}
        fn map_err(self) {}
    }
    impl<T> Methods for T {}

    pub(super) fn all(
        rx: &::greenthread_channels::Receiver<i32>,
        tx: &::greenthread_channels::Sender<i32>,
        timeout: ::core::time::Duration,
    ) -> [i32; 8] {
        [
            ::greenthread_channels::select! { recv(rx) -> n => n.unwrap_or(-1) },
            ::greenthread_channels::select! { recv(rx) -> n => n.unwrap_or(-1), default => -2 },
            ::greenthread_channels::select! { recv(rx) -> n => n.unwrap_or(-1), default(timeout) => -2 },
            ::greenthread_channels::select! { send(tx, 4) -> sent => sent.map_or(-1, |()| 4) },
            ::greenthread_channels::select! { send(tx, 5) -> sent => sent.map_or(-1, |()| 5), default => -2 },
            ::greenthread_channels::select! { send(tx, 6) -> sent => sent.map_or(-1, |()| 6), default(timeout) => -2 },
            ::greenthread_channels::select_biased! {
                recv(rx) -> n => n.unwrap_or(-1),
                send(tx, 7) -> _ => -3,
            },
            ::greenthread_channels::select! { default => 8 },
        ]
    }
}

#[test]
fn items_of_any_name_do_not_interfere() {
    everywhere(|| {
        let (to, rx) = unbounded();
        let (tx, sent) = unbounded();
        for n in [1, 2, 3, 7] {
            to.send(n).unwrap();
        }
        assert_eq!(elsewhere::all(&rx, &tx, Duration::ZERO), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(sent.try_iter().collect::<Vec<_>>(), [4, 5, 6]);
    });
}
