//! `select!` and `select_biased!`.
//!
//! # Layout
//!
//! Both are a name for `select_internal!`, whose rules are told apart by a word after `@`:
//!
//! * `@arms` reads one arm in each step. When none is left it hands all of them to `@run`.
//! * `@run` decides how to select. One receive with nothing else, or with a `default`, is a method of the receiver; any
//!   other select goes through `internal`.
//! * `@select` and `@receive` are the two forms of what comes out; `@finish` completes the operation that was chosen,
//!   and `@body` runs the body.
//! * `@wrong`, `@wrong_result` and `@wrong_body` say what is wrong with an arm that `@arms` could not read.
//!
//! The state of `@arms`, in this order:
//!
//! * `true` or `false`: whether the select is biased.
//! * `[0usize 1usize ..]`: the numbers of the arms to come. There are too many arms when they run out.
//! * `([variable number type (operand) (message) (pattern) body] ..)`: the arms so far; `type` is one in `internal`.
//! * `()` or `((timeout) body)`: the `default`.
//! * The tokens to come, with a comma behind the last arm, so that this one is like any other.
//!
//! # Invariants
//!
//! * I1: one step for each arm. The compiler allows 128 steps inside of one another, and the macros in a body begin
//!   where the one around them has ended. With two steps per arm, a select of 32 arms could not stand in one of 32.
//! * I2: each step of a macro has its own hygiene. So `_select_arm` of one arm is another variable than that of the
//!   next, and none is a variable of the user. Items are not hygienic: we define none, and name all that we use from
//!   `::core` or `$crate`.
//! * I3: functions are called by their path, never as methods: a trait of the user may have methods of the same name.
//! * I4: nothing follows a body. If it returns or breaks, no code of ours is unreachable.
//! * I5: the operands are borrowed in the scrutinee of one `match`: they are evaluated in source order, and what
//!   they borrow from lives until its end. No arm has a destructor, so the borrows themselves end when the chosen
//!   arm is finished, and its body may assign to what was an operand.
//!
//! Rejected: a `match` for each arm inside that of the arm before (a second step for each arm), and arms of one type,
//! so that one array could hold them (`unsafe`, to get their types back).

/// What [`select!`](crate::select!) and [`select_biased!`](crate::select_biased!) expand to. Not part of the interface:
/// it may change with any version.
#[doc(hidden)]
#[macro_export]
macro_rules! select_internal {
    (@start $biased:tt) => {
        ::core::compile_error!(
            "a select needs an arm: `recv(receiver) -> result => body`, `send(sender, message) -> result => body` or \
             `default => body` (to block for ever, receive from `never()`)"
        )
    };
    (@start $biased:tt $($tokens:tt)+) => {
        $crate::select_internal!(
            @arms
            $biased
            [
                0usize 1usize 2usize 3usize 4usize 5usize 6usize 7usize
                8usize 9usize 10usize 11usize 12usize 13usize 14usize 15usize
                16usize 17usize 18usize 19usize 20usize 21usize 22usize 23usize
                24usize 25usize 26usize 27usize 28usize 29usize 30usize 31usize
                32usize 33usize 34usize 35usize 36usize 37usize 38usize 39usize
                40usize 41usize 42usize 43usize 44usize 45usize 46usize 47usize
                48usize 49usize 50usize 51usize 52usize 53usize 54usize 55usize
                56usize 57usize 58usize 59usize 60usize 61usize 62usize 63usize
            ]
            ()
            ()
            $($tokens)+,
        )
    };

    // Nothing is left, or the comma from `@start` behind one of the user's.
    (@arms $biased:tt $numbers:tt $arms:tt $default:tt $(,)?) => {
        $crate::select_internal!(@run $biased $arms $default)
    };

    // Each kind of arm has two rules: the body is an expression and a comma, or it is a block. In this order, since an
    // expression may begin with a block.
    (
        @arms $biased:tt [$number:tt $($numbers:tt)*] ($($arms:tt)*) $default:tt
        recv($receiver:expr $(,)?) -> $result:pat => $body:expr, $($rest:tt)*
    ) => {
        $crate::select_internal!(
            @arms
            $biased
            [$($numbers)*]
            ($($arms)* [_select_arm $number RecvArm ($receiver) () ($result) $body])
            $default
            $($rest)*
        )
    };
    (
        @arms $biased:tt [$number:tt $($numbers:tt)*] ($($arms:tt)*) $default:tt
        recv($receiver:expr $(,)?) -> $result:pat => { $($body:tt)* } $($rest:tt)*
    ) => {
        $crate::select_internal!(
            @arms
            $biased
            [$($numbers)*]
            ($($arms)* [_select_arm $number RecvArm ($receiver) () ($result) { $($body)* }])
            $default
            $($rest)*
        )
    };
    (
        @arms $biased:tt [$number:tt $($numbers:tt)*] ($($arms:tt)*) $default:tt
        send($sender:expr, $message:expr $(,)?) -> $result:pat => $body:expr, $($rest:tt)*
    ) => {
        $crate::select_internal!(
            @arms
            $biased
            [$($numbers)*]
            ($($arms)* [_select_arm $number SendArm ($sender) ($message) ($result) $body])
            $default
            $($rest)*
        )
    };
    (
        @arms $biased:tt [$number:tt $($numbers:tt)*] ($($arms:tt)*) $default:tt
        send($sender:expr, $message:expr $(,)?) -> $result:pat => { $($body:tt)* } $($rest:tt)*
    ) => {
        $crate::select_internal!(
            @arms
            $biased
            [$($numbers)*]
            ($($arms)* [_select_arm $number SendArm ($sender) ($message) ($result) { $($body)* }])
            $default
            $($rest)*
        )
    };
    (@arms $biased:tt $numbers:tt $arms:tt () default => $($rest:tt)*) => {
        $crate::select_internal!(@arms $biased $numbers $arms () default() => $($rest)*)
    };
    (
        @arms $biased:tt $numbers:tt $arms:tt ()
        default($($timeout:expr $(,)?)?) => $body:expr, $($rest:tt)*
    ) => {
        $crate::select_internal!(@arms $biased $numbers $arms (($($timeout)?) $body) $($rest)*)
    };
    (
        @arms $biased:tt $numbers:tt $arms:tt ()
        default($($timeout:expr $(,)?)?) => { $($body:tt)* } $($rest:tt)*
    ) => {
        $crate::select_internal!(@arms $biased $numbers $arms (($($timeout)?) { $($body)* }) $($rest)*)
    };

    // What cannot be read is wrong.
    (@arms $biased:tt $numbers:tt $arms:tt ($($default:tt)+) default $($rest:tt)*) => {
        ::core::compile_error!("a select has at most one `default`")
    };
    (@arms $biased:tt [] $arms:tt $default:tt $kind:ident ($($arguments:tt)*) -> $($rest:tt)*) => {
        ::core::compile_error!("a select has at most 64 arms besides `default`: use `Select` for more")
    };
    (@arms $biased:tt $numbers:tt $arms:tt $default:tt $($rest:tt)*) => {
        $crate::select_internal!(@wrong $($rest)*)
    };

    (@run $biased:tt ([$variable:ident $number:tt RecvArm ($operand:expr) () ($result:pat) $body:tt]) ()) => {
        match &$operand {
            $variable => {
                $crate::select_internal!(@body ($crate::Receiver::recv($variable)) ($result) $body)
            }
        }
    };
    (@run $biased:tt ([$variable:ident $number:tt RecvArm $($arm:tt)*]) (() $default:tt)) => {
        $crate::select_internal!(@receive $variable $($arm)* try_recv() TryRecvError::Empty => $default)
    };
    (@run $biased:tt ([$variable:ident $number:tt RecvArm $($arm:tt)*]) (($timeout:expr) $default:tt)) => {
        $crate::select_internal!(
            @receive $variable $($arm)* recv_timeout($timeout) RecvTimeoutError::Timeout => $default
        )
    };
    (@run $biased:tt $arms:tt ()) => {
        $crate::select_internal!(@select $biased $arms (::core::option::Option::Some) select() ())
    };
    (@run $biased:tt $arms:tt (() $default:tt)) => {
        $crate::select_internal!(@select $biased $arms () try_select() ($default))
    };
    (@run $biased:tt $arms:tt (($timeout:expr) $default:tt)) => {
        $crate::select_internal!(
            @select $biased $arms () select_timeout($timeout) ($default)
        )
    };

    // The block around a timeout ends the temporaries in it, say a lock guard, before the wait begins.
    (
        @receive $variable:ident ($operand:expr) () ($result:pat) $body:tt
        $receive:ident($($timeout:expr)?) $error:ident::$nothing:ident => $default:tt
    ) => {
        match &$operand {
            $variable => match $crate::Receiver::$receive($variable $(, { $timeout })?) {
                ::core::result::Result::Err($crate::$error::$nothing) => $default,
                _select_outcome => $crate::select_internal!(
                    @body (::core::result::Result::map_err(_select_outcome, |_| $crate::RecvError)) ($result) $body
                ),
            },
        }
    };
    (
        @select
        $biased:tt
        ($([$variable:ident $number:tt $arm:ident ($operand:expr) $message:tt ($result:pat) $body:tt])*)
        ($($some:tt)*)
        $select:ident($($timeout:expr)?)
        ($($default:tt)?)
    ) => {
        match ($(&$operand,)*) {
            ($($variable,)*) => {
                $(let mut $variable = $crate::internal::$arm::new($variable);)*
                let _select_chosen = $($some)*($crate::internal::$select(
                    &mut [$($crate::internal::$arm::case(&mut $variable)),*],
                    $({ $timeout },)?
                    $biased,
                ));
                match _select_chosen {
                    $(::core::option::Option::Some($number) => $crate::select_internal!(
                        @body ($crate::select_internal!(@finish $arm $variable $message)) ($result) $body
                    ),)*
                    $(::core::option::Option::None => $default,)?
                    _ => ::core::unreachable!("a select chose an arm that it does not have"),
                }
            }
        }
    };
    (@finish RecvArm $variable:ident ()) => {
        $crate::internal::RecvArm::finish($variable)
    };
    (@finish SendArm $variable:ident ($message:expr)) => {
        $crate::internal::Permit::send($crate::internal::SendArm::permit($variable), $message)
    };

    // In a variable, so that a result for which the pattern is `_` lives as long as the body. The body is the arm of a
    // `match`, since braces around the value of a block get a warning.
    (@body ($outcome:expr) ($result:pat) $body:tt) => {{
        let _select_outcome = $outcome;
        let ($result) = _select_outcome;
        match () {
            () => $body
        }
    }};

    (@wrong recv($receiver:expr $(,)?) $($rest:tt)*) => {
        $crate::select_internal!(@wrong_result (recv($receiver)) $($rest)*)
    };
    (@wrong recv($($arguments:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`recv` takes one argument, the receiver; found `recv(", ::core::stringify!($($arguments)*), ")`"
        ))
    };
    (@wrong recv $($rest:tt)*) => {
        ::core::compile_error!("`recv` takes a receiver in parentheses: `recv(receiver) -> result => body`")
    };
    (@wrong send($sender:expr, $message:expr $(,)?) $($rest:tt)*) => {
        $crate::select_internal!(@wrong_result (send($sender, $message)) $($rest)*)
    };
    (@wrong send($($arguments:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`send` takes two arguments, the sender and the message; found `send(",
            ::core::stringify!($($arguments)*),
            ")`"
        ))
    };
    (@wrong send $($rest:tt)*) => {
        ::core::compile_error!(
            "`send` takes a sender and a message in parentheses: `send(sender, message) -> result => body`"
        )
    };
    (@wrong default $(($($timeout:expr $(,)?)?))? => $($rest:tt)*) => {
        $crate::select_internal!(@wrong_body (default$(($($timeout)?))?) $($rest)*)
    };
    (@wrong default $(($($timeout:expr $(,)?)?))? -> $($rest:tt)*) => {
        ::core::compile_error!("`default` has no result: expected `=>`, found `->`")
    };
    (@wrong default($($timeout:expr $(,)?)?) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `=>` and a body after `default(", ::core::stringify!($($timeout)?), ")`"
        ))
    };
    (@wrong default($($arguments:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`default` takes at most one argument, the timeout; found `default(",
            ::core::stringify!($($arguments)*),
            ")`"
        ))
    };
    (@wrong default $($rest:tt)*) => {
        ::core::compile_error!("expected `=>` and a body, or a timeout in parentheses, after `default`")
    };
    (@wrong ; $($rest:tt)*) => {
        ::core::compile_error!("arms are separated by `,`, not by `;`")
    };
    (@wrong $other:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `recv`, `send` or `default`, found `", ::core::stringify!($other), "`"
        ))
    };

    (@wrong_result ($($arm:tt)*) -> => $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected a pattern for the result after `", ::core::stringify!($($arm)*), " ->`"
        ))
    };
    (@wrong_result $arm:tt -> $result:pat => $($rest:tt)*) => {
        $crate::select_internal!(@wrong_body $arm $($rest)*)
    };
    (@wrong_result $arm:tt -> $result:pat if $($rest:tt)*) => {
        ::core::compile_error!("an arm has no `if`: give it a channel that is never ready, as `never()`, instead")
    };
    (@wrong_result ($($arm:tt)*) -> $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected a pattern, `=>` and a body after `", ::core::stringify!($($arm)*), " ->`"
        ))
    };
    (@wrong_result ($($arm:tt)*) => $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `->` and a pattern for the result after `", ::core::stringify!($($arm)*), "`, found `=>`"
        ))
    };
    (@wrong_result ($($arm:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `-> result => body` after `", ::core::stringify!($($arm)*), "`"
        ))
    };

    // The next arm, or nothing, where the body should be.
    (@wrong_body $arm:tt recv($($arguments:tt)*) -> $($rest:tt)*) => {
        $crate::select_internal!(@wrong_body $arm,)
    };
    (@wrong_body $arm:tt send($($arguments:tt)*) -> $($rest:tt)*) => {
        $crate::select_internal!(@wrong_body $arm,)
    };
    (@wrong_body $arm:tt default $(($($arguments:tt)*))? => $($rest:tt)*) => {
        $crate::select_internal!(@wrong_body $arm,)
    };
    (@wrong_body ($($arm:tt)*) , $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($($arm)*), "` has no body: expected an expression after `=>`"
        ))
    };
    (@wrong_body $arm:tt $body:expr; $($rest:tt)*) => {
        $crate::select_internal!(@wrong ;)
    };
    (@wrong_body ($($arm:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "the body of `",
            ::core::stringify!($($arm)*),
            "` must be one expression, and a `,` behind it unless it is a block"
        ))
    };
}

/// Waits for several channel operations at once and does the first that does not block (Go's `select`).
///
/// ```
/// use greenthread::channel::{bounded, select};
///
/// let (jobs, queue) = bounded::<u32>(0);
/// let (results, done) = bounded(1);
/// std::thread::spawn(move || jobs.send(6));
/// select! {
///     recv(queue) -> job => results.send(job.unwrap() * 7).unwrap(),
///     recv(done) -> _ => unreachable!("there is no result before there is a job"),
/// }
/// assert_eq!(done.recv(), Ok(42));
/// ```
///
/// # Arms
///
/// | arm | the result is |
/// | --- | --- |
/// | `recv(receiver) -> pattern => body` | of [`Receiver::recv`](crate::Receiver::recv), `Result<T, RecvError>` |
/// | `send(sender, message) -> pattern => body` | of [`Sender::send`](crate::Sender::send), `Result<(), SendError<T>>` |
/// | `default => body`, `default() => body` | none |
/// | `default(timeout) => body` | none |
///
/// * There are up to 64 arms that receive or send, and at most one `default`, which may stand anywhere. More arms, or
///   a number of them that is known only when the program runs, are for [`Select`](crate::Select).
/// * A receiver or sender is any expression whose value is one, or a reference, a `Box` or an `Arc` of one, or whatever
///   else dereferences to it. It is not moved.
/// * The pattern has to match every result: a name, `_`, `Ok(()) | Err(_)`.
/// * Arms are separated by commas. After a body that is a block the comma may be left out.
/// * The macro is an expression. All bodies have one type, and the value is that of the body that ran.
///
/// # What is chosen
///
/// An operation is *ready* if it would not block. On a closed channel it is ready, and its result is an error as soon
/// as nothing is left to receive. On a [`nil`](crate::nil) channel it never is.
///
/// * If several operations are ready, one of them is chosen at random, each with the same probability.
///   [`select_biased!`](crate::select_biased!) chooses the first instead.
/// * If none is ready, the macro blocks until one is; the goroutine parks, and its thread runs others.
/// * With `default` it does not block. `default` is chosen only if there was an instant at which none was ready.
/// * With `default(timeout)`, a [`Duration`](std::time::Duration), it blocks for no longer than that. `default` is
///   chosen only if none became ready in that time.
///
/// Exactly one operation is done. The others leave no trace: they take no value and give none away. The same channel
/// may be in several arms, and in arms of both directions.
///
/// # What is evaluated
///
/// 1. The receivers and senders of all arms, once, in the order in which they are written. Temporary values in them,
///    say a lock guard, live until the end of the select.
/// 2. The timeout. Temporary values in it do not live on.
/// 3. If a send was chosen, its message, and no other. Its place in the channel is reserved meanwhile, and a receiver
///    whose turn it is waits for it, whatever its own limit or `default`: compute what takes long before the select.
///    If the message does not come, because it panics or leaves by `?`, `return`, `break` or `continue`, the place is
///    given back and nothing was sent.
/// 4. The body of the chosen arm. Receivers and senders are no longer borrowed, so it may assign to the variables they
///    came from.
///
/// `break` and `continue` in a body belong to the loop around the select, and `return` and `?` to the function.
///
/// # Panics
///
/// If an expression in it does. The choice itself does not.
///
/// # For those who know Go
///
/// | Go | here |
/// | --- | --- |
/// | `case v := <-ch:`, `case v, ok := <-ch:` | `recv(rx) -> v => ..` |
/// | `case <-ch:` | `recv(rx) -> _ => ..` |
/// | `case ch <- v:` | `send(tx, v) -> result => ..`, and look at the result |
/// | `default:` | `default => ..` |
/// | `case <-time.After(d):` | `default(d) => ..`, or `recv(after(d)) -> _ => ..` with [`after`](crate::after) |
/// | an arm with a nil channel | an arm with [`never()`](crate::never) or [`nil()`](crate::nil) |
/// | `select {}` | `select! { recv(never::<()>()) -> _ => {} }` |
/// | a send on a closed channel panics | it is ready, and its result is `Err(SendError(v))` |
/// | the messages of all arms are evaluated | only that of the chosen arm is, after the choice |
/// | `break` leaves the `select` | `break` leaves the loop around it |
///
/// # Examples
///
/// Look whether there is something to do, and do not wait for it:
///
/// ```
/// use greenthread::channel::{select, unbounded};
///
/// let (tx, rx) = unbounded();
/// let mut poll = || select! {
///     recv(rx) -> n => n.ok(),
///     default => None,
/// };
/// assert_eq!(poll(), None);
/// tx.send(1).unwrap();
/// assert_eq!(poll(), Some(1));
/// ```
///
/// Wait, but not for ever:
///
/// ```
/// use greenthread::channel::{bounded, select};
/// use std::time::Duration;
///
/// let (tx, rx) = bounded::<&str>(0);
/// let said = select! {
///     recv(rx) -> word => word.unwrap(),
///     send(tx, "nobody listens") -> _ => "heard",
///     default(Duration::from_millis(5)) => "silence",
/// };
/// assert_eq!(said, "silence");
/// ```
///
/// Produce until told to stop:
///
/// ```
/// use greenthread::channel::{bounded, select};
/// use std::thread;
///
/// let (numbers, rx) = bounded(0);
/// let (quit, quitted) = bounded::<()>(0);
/// let producer = thread::spawn(move || {
///     let (mut a, mut b) = (0, 1);
///     loop {
///         select! {
///             send(numbers, a) -> _ => (a, b) = (b, a + b),
///             recv(quitted) -> _ => break a,
///         }
///     }
/// });
/// assert_eq!(rx.iter().take(10).collect::<Vec<_>>(), [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]);
/// drop(quit);
/// assert_eq!(producer.join().unwrap(), 55);
/// ```
///
/// Merge two channels until both are closed: a closed one would be ready for ever, so its arm is switched off.
///
/// ```
/// use greenthread::channel::{Receiver, never, select};
///
/// fn merge(mut a: Receiver<u32>, mut b: Receiver<u32>, mut each: impl FnMut(u32)) {
///     let mut open = 2;
///     while open > 0 {
///         select! {
///             recv(a) -> n => match n {
///                 Ok(n) => each(n),
///                 Err(_) => (a, open) = (never(), open - 1),
///             },
///             recv(b) -> n => match n {
///                 Ok(n) => each(n),
///                 Err(_) => (b, open) = (never(), open - 1),
///             },
///         }
///     }
/// }
/// # let (tx, a) = greenthread::channel::unbounded();
/// # let (ty, b) = greenthread::channel::unbounded();
/// # tx.send(1).unwrap();
/// # ty.send(2).unwrap();
/// # tx.send(4).unwrap();
/// # drop((tx, ty));
/// # let mut sum = 0;
/// # merge(a, b, |n| sum += n);
/// # assert_eq!(sum, 7);
/// ```
///
/// Leave from within an arm:
///
/// ```
/// use greenthread::channel::{Receiver, RecvError, never, select, unbounded};
/// use std::convert::Infallible;
///
/// fn sum(numbers: &Receiver<u32>, done: &Receiver<Infallible>) -> Result<u32, RecvError> {
///     let mut sum = 0;
///     loop {
///         select! {
///             recv(numbers) -> n => sum += n?,
///             recv(done) -> _ => return Ok(sum),
///         }
///     }
/// }
///
/// let (tx, rx) = unbounded();
/// tx.send(1).unwrap();
/// drop(tx);
/// assert_eq!(sum(&rx, &never()), Err(RecvError));
/// ```
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => {{
        $crate::select_internal!(@start false $($tokens)*)
    }};
}

/// As [`select!`](crate::select!), but of several operations that are ready the first is chosen, in the order in which
/// they are written.
///
/// All else is as there. An arm that is always ready keeps those behind it from ever being chosen. Go has no such
/// statement: there, one selects from the first with a `default`, and in it from the next.
///
/// ```
/// use greenthread::channel::{select_biased, unbounded};
///
/// let (urgent, urgent_rx) = unbounded();
/// let (other, other_rx) = unbounded();
/// other.send("sweep the floor").unwrap();
/// urgent.send("put out the fire").unwrap();
/// let mut next = || select_biased! {
///     recv(urgent_rx) -> task => task.unwrap(),
///     recv(other_rx) -> task => task.unwrap(),
///     default => "rest",
/// };
/// assert_eq!([next(), next(), next()], ["put out the fire", "sweep the floor", "rest"]);
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => {{
        $crate::select_internal!(@start true $($tokens)*)
    }};
}
