//! crossbeam-channel's public interface, stated for the crate `channels`. See `../api.rs`.
//!
//! Most functions here are only compiled. A coercion to a function pointer states a signature. The
//! methods are called on a `T` without bounds, and the type parameters are named, so that neither a
//! bound nor a parameter can be added.

// Signatures are written out in full, since they are the point of this file.
#![allow(clippy::type_complexity)]

use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::channels::{IntoIter, Iter, Receiver, Select, SelectedOperation, Sender, TryIter};
use super::channels::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError, TryReadyError,
    TryRecvError, TrySelectError, TrySendError,
};
use super::channels::{after, at, bounded, never, select, select_biased, tick, unbounded};

/// A value that can only be sent.
pub(crate) struct Bare;

const _: Receiver<Bare> = never();

const _: fn() = functions::<Bare>;
const _: fn() = sender::<Bare>;
const _: fn() = receiver::<Bare>;
const _: fn() = select_methods::<Bare>;
const _: fn() = error_methods::<Bare>;
const _: fn() = handles_implement::<Bare>;
const _: fn() = iterators_implement::<Bare>;
const _: fn() = errors_implement::<Bare>;
const _: fn() = errors_implement_what_values_do::<u8>;
const _: fn(&Receiver<Bare>) = must_use;

fn functions<T>() {
    let _: fn(usize) -> (Sender<T>, Receiver<T>) = bounded::<T>;
    let _: fn() -> (Sender<T>, Receiver<T>) = unbounded::<T>;
    let _: fn() -> Receiver<T> = never::<T>;
    let _: fn(Duration) -> Receiver<Instant> = after;
    let _: fn(Instant) -> Receiver<Instant> = at;
    let _: fn(Duration) -> Receiver<Instant> = tick;
}

fn sender<T>() {
    let _: fn(&Sender<T>, T) -> Result<(), SendError<T>> = Sender::<T>::send;
    let _: fn(&Sender<T>, T) -> Result<(), TrySendError<T>> = Sender::<T>::try_send;
    let _: fn(&Sender<T>, T, Duration) -> Result<(), SendTimeoutError<T>> = Sender::<T>::send_timeout;
    let _: fn(&Sender<T>, T, Instant) -> Result<(), SendTimeoutError<T>> = Sender::<T>::send_deadline;
    let _: fn(&Sender<T>) -> bool = Sender::<T>::is_empty;
    let _: fn(&Sender<T>) -> bool = Sender::<T>::is_full;
    let _: fn(&Sender<T>) -> usize = Sender::<T>::len;
    let _: fn(&Sender<T>) -> Option<usize> = Sender::<T>::capacity;
    let _: fn(&Sender<T>, &Sender<T>) -> bool = Sender::<T>::same_channel;
}

fn receiver<T>() {
    let _: fn(&Receiver<T>) -> Result<T, RecvError> = Receiver::<T>::recv;
    let _: fn(&Receiver<T>) -> Result<T, TryRecvError> = Receiver::<T>::try_recv;
    let _: fn(&Receiver<T>, Duration) -> Result<T, RecvTimeoutError> = Receiver::<T>::recv_timeout;
    let _: fn(&Receiver<T>, Instant) -> Result<T, RecvTimeoutError> = Receiver::<T>::recv_deadline;
    let _: fn(&Receiver<T>) -> bool = Receiver::<T>::is_empty;
    let _: fn(&Receiver<T>) -> bool = Receiver::<T>::is_full;
    let _: fn(&Receiver<T>) -> usize = Receiver::<T>::len;
    let _: fn(&Receiver<T>) -> Option<usize> = Receiver::<T>::capacity;
    let _: for<'a> fn(&'a Receiver<T>) -> Iter<'a, T> = Receiver::<T>::iter;
    let _: for<'a> fn(&'a Receiver<T>) -> TryIter<'a, T> = Receiver::<T>::try_iter;
    let _: fn(&Receiver<T>, &Receiver<T>) -> bool = Receiver::<T>::same_channel;
}

fn select_methods<'a, T: 'a>() {
    let _: fn() -> Select<'a> = Select::<'a>::new;
    let _: fn() -> Select<'a> = Select::<'a>::new_biased;
    let _: fn(&mut Select<'a>, &'a Sender<T>) -> usize = Select::<'a>::send::<T>;
    let _: fn(&mut Select<'a>, &'a Receiver<T>) -> usize = Select::<'a>::recv::<T>;
    let _: fn(&mut Select<'a>, usize) = Select::<'a>::remove;
    let _: fn(&mut Select<'a>) -> Result<SelectedOperation<'a>, TrySelectError> = Select::<'a>::try_select;
    let _: fn(&mut Select<'a>) -> SelectedOperation<'a> = Select::<'a>::select;
    let _: fn(&mut Select<'a>, Duration) -> Result<SelectedOperation<'a>, SelectTimeoutError> =
        Select::<'a>::select_timeout;
    let _: fn(&mut Select<'a>, Instant) -> Result<SelectedOperation<'a>, SelectTimeoutError> =
        Select::<'a>::select_deadline;
    let _: fn(&mut Select<'a>) -> Result<usize, TryReadyError> = Select::<'a>::try_ready;
    let _: fn(&mut Select<'a>) -> usize = Select::<'a>::ready;
    let _: fn(&mut Select<'a>, Duration) -> Result<usize, ReadyTimeoutError> = Select::<'a>::ready_timeout;
    let _: fn(&mut Select<'a>, Instant) -> Result<usize, ReadyTimeoutError> = Select::<'a>::ready_deadline;

    let _: fn(&SelectedOperation<'a>) -> usize = SelectedOperation::<'a>::index;
    let _: fn(SelectedOperation<'a>, &Sender<T>, T) -> Result<(), SendError<T>> = SelectedOperation::<'a>::send::<T>;
    let _: fn(SelectedOperation<'a>, &Receiver<T>) -> Result<T, RecvError> = SelectedOperation::<'a>::recv::<T>;

    /// Checks that a select over long-lived handles can serve as one over shorter-lived handles.
    fn shorten<'a>(
        long: Select<'static>,
        operation: SelectedOperation<'static>,
    ) -> (Select<'a>, SelectedOperation<'a>) {
        (long, operation)
    }
    let _ = shorten;
}

fn error_methods<T>() {
    let _: fn(T) -> SendError<T> = SendError::<T>;
    let _: fn(SendError<T>) -> T = |SendError(value)| value;
    let _: fn(SendError<T>) -> T = SendError::<T>::into_inner;

    let _: fn(TrySendError<T>) -> T = TrySendError::<T>::into_inner;
    let _: fn(&TrySendError<T>) -> bool = TrySendError::<T>::is_full;
    let _: fn(&TrySendError<T>) -> bool = TrySendError::<T>::is_disconnected;

    let _: fn(SendTimeoutError<T>) -> T = SendTimeoutError::<T>::into_inner;
    let _: fn(&SendTimeoutError<T>) -> bool = SendTimeoutError::<T>::is_timeout;
    let _: fn(&SendTimeoutError<T>) -> bool = SendTimeoutError::<T>::is_disconnected;

    let _: fn(&TryRecvError) -> bool = TryRecvError::is_empty;
    let _: fn(&TryRecvError) -> bool = TryRecvError::is_disconnected;

    let _: fn(&RecvTimeoutError) -> bool = RecvTimeoutError::is_timeout;
    let _: fn(&RecvTimeoutError) -> bool = RecvTimeoutError::is_disconnected;

    // These are all of the variants, and a match may rely on that.
    let _: fn(TrySendError<T>) -> T = |error| match error {
        TrySendError::Full(value) | TrySendError::Disconnected(value) => value,
    };
    let _: fn(SendTimeoutError<T>) -> T = |error| match error {
        SendTimeoutError::Timeout(value) | SendTimeoutError::Disconnected(value) => value,
    };
    let _: fn(TryRecvError) = |error| match error {
        TryRecvError::Empty | TryRecvError::Disconnected => (),
    };
    let _: fn(RecvTimeoutError) = |error| match error {
        RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => (),
    };
    // Structs without fields serve both as values and as patterns.
    let RecvError = RecvError;
    let TrySelectError = TrySelectError;
    let SelectTimeoutError = SelectTimeoutError;
    let TryReadyError = TryReadyError;
    let ReadyTimeoutError = ReadyTimeoutError;
    // A constant may be a pattern, which requires a derived `PartialEq`.
    const FULL: TrySendError<u8> = TrySendError::Full(1);
    const LATE: SendTimeoutError<u8> = SendTimeoutError::Timeout(1);
    const EMPTY: TryRecvError = TryRecvError::Empty;
    const SLOW: RecvTimeoutError = RecvTimeoutError::Timeout;
    let _: fn(TrySendError<u8>) -> bool = |error| matches!(error, FULL);
    let _: fn(SendTimeoutError<u8>) -> bool = |error| matches!(error, LATE);
    let _: fn(TryRecvError) -> bool = |error| matches!(error, EMPTY);
    let _: fn(RecvTimeoutError) -> bool = |error| matches!(error, SLOW);
}

fn handles_implement<T: Send + 'static>() {
    fn one<H: Send + Sync + UnwindSafe + RefUnwindSafe + Clone + Debug + 'static>() {}
    one::<Sender<T>>();
    one::<Receiver<T>>();

    fn shared<S: Send + Sync + Clone + Default + Debug>() {}
    shared::<Select<'_>>();
    fn operation<S: Debug>() {}
    operation::<SelectedOperation<'_>>();
}

fn iterators_implement<T>() {
    fn all<T, I: Iterator<Item = T> + Debug>() {}
    all::<T, Iter<'_, T>>();
    all::<T, TryIter<'_, T>>();
    all::<T, IntoIter<T>>();

    fn fused<I: FusedIterator>() {}
    fused::<Iter<'_, T>>();
    fused::<IntoIter<T>>();

    fn into<'a, T: 'a, R>()
    where
        R: IntoIterator<Item = T, IntoIter = IntoIter<T>> + 'a,
        &'a R: IntoIterator<Item = T, IntoIter = Iter<'a, T>>,
    {
    }
    into::<T, Receiver<T>>();
}

fn errors_implement<T: Send>() {
    fn error<E: Error + Debug + Display>() {}
    error::<SendError<T>>();
    error::<TrySendError<T>>();
    error::<SendTimeoutError<T>>();
    error::<RecvError>();
    error::<TryRecvError>();
    error::<RecvTimeoutError>();
    error::<TrySelectError>();
    error::<SelectTimeoutError>();

    fn from<S, E: From<S>>() {}
    from::<SendError<T>, TrySendError<T>>();
    from::<SendError<T>, SendTimeoutError<T>>();
    from::<RecvError, TryRecvError>();
    from::<RecvError, RecvTimeoutError>();
}

fn errors_implement_what_values_do<T: Copy + Eq>() {
    fn plain<E: Copy + Eq + Debug>() {}
    plain::<SendError<T>>();
    plain::<TrySendError<T>>();
    plain::<SendTimeoutError<T>>();
    plain::<RecvError>();
    plain::<TryRecvError>();
    plain::<RecvTimeoutError>();
    plain::<TrySelectError>();
    plain::<SelectTimeoutError>();
    plain::<TryReadyError>();
    plain::<ReadyTimeoutError>();
}

/// Expects warnings: an unmet expectation is a warning, which is an error here.
#[deny(unfulfilled_lint_expectations)]
fn must_use(receiver: &Receiver<Bare>) {
    #[expect(unused_must_use)]
    Select::new().select();
    // Nothing else is marked `must_use`, so code that compiled without a warning still does.
    #[deny(unused_must_use)]
    {
        Select::new().ready();
        receiver.iter().next();
        receiver.iter();
        receiver.try_iter();
        receiver.len();
        never::<Bare>();
        Select::new();
    }
}

/// The answer for a type without the trait.
trait Absent {
    const IMPLEMENTS: bool = false;
}

impl<T: ?Sized> Absent for T {}

/// Computes whether a type implements a trait.
///
/// The type's own constant, if it has one, hides the constant of [`Absent`].
macro_rules! implements {
    ($type:ty, $trait:path) => {{
        struct Probe<T: ?Sized>(PhantomData<T>);
        // Used where the bound holds.
        #[allow(dead_code)]
        impl<T: ?Sized + $trait> Probe<T> {
            const IMPLEMENTS: bool = true;
        }
        (concat!(stringify!($type), ": ", stringify!($trait)), <Probe<$type>>::IMPLEMENTS)
    }};
}

macro_rules! table {
    ($($type:ty),+ $(,)?) => {
        &[$(
            implements!($type, Send),
            implements!($type, Sync),
            implements!($type, Unpin),
            implements!($type, UnwindSafe),
            implements!($type, RefUnwindSafe),
            implements!($type, Clone),
            implements!($type, Copy),
            implements!($type, Default),
            implements!($type, Debug),
            implements!($type, Display),
            implements!($type, Error),
            implements!($type, PartialEq),
            implements!($type, Eq),
            implements!($type, PartialOrd),
            implements!($type, Hash),
            implements!($type, Iterator),
            implements!($type, FusedIterator),
            implements!($type, DoubleEndedIterator),
            implements!($type, ExactSizeIterator),
            implements!($type, IntoIterator),
        )+]
    };
}

/// Each type, with values that can do everything, that can do nothing, and that cannot even be
/// sent, and whether it implements each trait.
pub(crate) const TRAITS: &[(&str, bool)] = table![
    Sender<u8>,
    Sender<Bare>,
    Sender<Rc<u8>>,
    Receiver<u8>,
    Receiver<Bare>,
    Receiver<Rc<u8>>,
    &'static Receiver<Bare>,
    Iter<'static, u8>,
    Iter<'static, Bare>,
    Iter<'static, Rc<u8>>,
    TryIter<'static, u8>,
    TryIter<'static, Bare>,
    TryIter<'static, Rc<u8>>,
    IntoIter<u8>,
    IntoIter<Bare>,
    IntoIter<Rc<u8>>,
    Select<'static>,
    SelectedOperation<'static>,
    SendError<u8>,
    SendError<Bare>,
    SendError<Rc<u8>>,
    TrySendError<u8>,
    TrySendError<Bare>,
    TrySendError<Rc<u8>>,
    SendTimeoutError<u8>,
    SendTimeoutError<Bare>,
    SendTimeoutError<Rc<u8>>,
    RecvError,
    TryRecvError,
    RecvTimeoutError,
    TrySelectError,
    SelectTimeoutError,
    TryReadyError,
    ReadyTimeoutError,
];

/// Returns every text along with its name.
pub(crate) fn texts() -> Vec<String> {
    fn debug(texts: &mut Vec<String>, name: &str, value: &dyn Debug) {
        texts.push(format!("{name} Debug [{value:?}]"));
        texts.push(format!("{name} Debug alternate [{value:#?}]"));
        texts.push(format!("{name} Debug padded [{value:>60?}]"));
    }
    fn error(texts: &mut Vec<String>, name: &str, value: &dyn Error) {
        debug(texts, name, &value);
        texts.push(format!("{name} Display [{value}]"));
        texts.push(format!("{name} Display padded [{value:>60}]"));
        texts.push(format!("{name} Display cut [{value:.5}]"));
        texts.push(format!("{name} source [{:?}]", value.source().map(ToString::to_string)));
    }
    let mut texts = Vec::new();
    let t = &mut texts;

    error(t, "SendError", &SendError(Bare));
    error(t, "TrySendError::Full", &TrySendError::Full(Bare));
    error(t, "TrySendError::Disconnected", &TrySendError::Disconnected(Bare));
    error(t, "SendTimeoutError::Timeout", &SendTimeoutError::Timeout(Bare));
    error(t, "SendTimeoutError::Disconnected", &SendTimeoutError::Disconnected(Bare));
    error(t, "RecvError", &RecvError);
    error(t, "TryRecvError::Empty", &TryRecvError::Empty);
    error(t, "TryRecvError::Disconnected", &TryRecvError::Disconnected);
    error(t, "RecvTimeoutError::Timeout", &RecvTimeoutError::Timeout);
    error(t, "RecvTimeoutError::Disconnected", &RecvTimeoutError::Disconnected);
    error(t, "TrySelectError", &TrySelectError);
    error(t, "SelectTimeoutError", &SelectTimeoutError);
    debug(t, "TryReadyError", &TryReadyError);
    debug(t, "ReadyTimeoutError", &ReadyTimeoutError);

    let (tx, rx) = bounded::<u8>(1);
    for (name, receiver) in [("", rx.clone()), ("never", never()), ("unbounded", unbounded().1)] {
        debug(t, &format!("Receiver {name}"), &receiver);
    }
    for (name, receiver) in [("after", after(Duration::MAX)), ("at", at(Instant::now())), ("tick", tick(Duration::MAX))]
    {
        debug(t, &format!("Receiver {name}"), &receiver);
    }
    debug(t, "Sender", &tx);
    debug(t, "Iter", &rx.iter());
    debug(t, "TryIter", &rx.try_iter());
    let mut select = Select::new();
    debug(t, "Select", &select);
    select.send(&tx);
    debug(t, "Select", &select);
    let operation = select.select();
    debug(t, "SelectedOperation", &operation);
    operation.send(&tx, 1).expect("there is a receiver");
    debug(t, "IntoIter", &rx.into_iter());
    texts
}

/// Checks what errors convert to, and what they report about themselves.
pub(crate) fn conversions() {
    assert_eq!(TrySendError::from(SendError(1)), TrySendError::Disconnected(1));
    assert_eq!(SendTimeoutError::from(SendError(1)), SendTimeoutError::Disconnected(1));
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Disconnected);

    assert_eq!(SendError(1).into_inner(), 1);
    let told = |e: TrySendError<u8>| (e.is_full(), e.is_disconnected(), e.into_inner());
    assert_eq!(told(TrySendError::Full(1)), (true, false, 1));
    assert_eq!(told(TrySendError::Disconnected(2)), (false, true, 2));
    let told = |e: SendTimeoutError<u8>| (e.is_timeout(), e.is_disconnected(), e.into_inner());
    assert_eq!(told(SendTimeoutError::Timeout(1)), (true, false, 1));
    assert_eq!(told(SendTimeoutError::Disconnected(2)), (false, true, 2));
    let told = |e: TryRecvError| (e.is_empty(), e.is_disconnected());
    assert_eq!(told(TryRecvError::Empty), (true, false));
    assert_eq!(told(TryRecvError::Disconnected), (false, true));
    let told = |e: RecvTimeoutError| (e.is_timeout(), e.is_disconnected());
    assert_eq!(told(RecvTimeoutError::Timeout), (true, false));
    assert_eq!(told(RecvTimeoutError::Disconnected), (false, true));
}

/// Uses every form that the macros accept. Never blocks.
pub(crate) fn macros() {
    let (tx, rx) = bounded::<u8>(1);
    let other = never::<String>();
    let mut seen = Vec::new();
    for _ in 0..2 {
        // Handles by value and by reference, arms with braces and with commas, patterns.
        select! {
            recv(rx) -> _ => unreachable!(),
            recv(&other) -> mut _message => unreachable!(),
            send(tx, 7) -> sent => {
                sent.unwrap();
            }
            default => unreachable!(),
        }
        select_biased! {
            recv(&other) -> _message => {}
            recv(rx) -> message => seen.push(message),
            send(&tx, { 3 + 5 }) -> ref _sent => {}
            default() => unreachable!()
        }
    }
    assert_eq!(seen, [Ok(7), Ok(7)]);

    // An expression of the arms' common type, and arms that leave the expression.
    let value: &str = select! {
        recv(other,) -> _ => return,
        default(Duration::ZERO) => "default",
    };
    assert_eq!(value, "default");
    let value = loop {
        select_biased! {
            recv(rx) -> _ => continue,
            default => break 5,
        }
    };
    assert_eq!(value, 5);

    // The handles live as long as the statement.
    assert!(select_biased!(recv(after(Duration::ZERO)) -> now => now.is_ok(), recv(rx) -> _ => false));
    let handles = [&rx];
    let sent = select! {
        send(Some(&tx).cloned().unwrap(), 9) -> sent => sent.is_ok(),
        recv(handles.first().copied().unwrap_or(&never())) -> _ => false,
    };
    assert!(sent);

    // The value is created only if its arm is chosen.
    let (full, _rx) = bounded::<u8>(0);
    let mut made = false;
    let mut make = || {
        made = true;
        1
    };
    select! {
        send(full, make(),) -> _ => {}
        default => {}
    }
    assert!(!made);
    select! {
        recv(rx) -> last => assert_eq!(last, Ok(9)),
    }
    select_biased!(default => {});
}
