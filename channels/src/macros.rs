//! The macros `select!` and `select_biased!`.
//!
//! # Layout
//!
//! Both expand to `select_internal!`. A word after `@` selects one group of its rules:
//!
//! * `@arms` reads one arm in each step. When no tokens are left it passes all arms to `@run`.
//! * `@run` decides how to select. A single receive, alone or with a `default`, becomes a method
//!   call on the receiver. Any other select goes through `internal`.
//! * `@select` and `@receive` are the two forms of the expansion. `@finish` completes the chosen
//!   operation, and `@body` runs the body.
//! * `@wrong`, `@wrong_result` and `@wrong_body` report the error in an arm that `@arms` could not
//!   read.
//!
//! The arguments of `@arms`, in this order:
//!
//! * `true` for a biased select, otherwise `false`.
//! * `[0usize 1usize ..]`: the numbers for the remaining arms. If the numbers run out, there are
//!   too many arms.
//! * `([variable number type (operand) (message) (pattern) body] ..)`: the arms so far. The type is
//!   an arm type from `internal`.
//! * `()` or `((timeout) body)`: the `default`.
//! * The remaining tokens, with a comma after the last arm, so that all arms look alike.
//!
//! # Invariants
//!
//! * I1: each arm takes one step. The compiler allows 128 nested steps, and the macros in a body
//!   start at the depth of the surrounding macro. With two steps per arm, a select of 32 arms could
//!   not contain another select of 32 arms.
//! * I2: each step of a macro has its own hygiene. So the `_select_arm` of each arm is a different
//!   variable, and none of them is a variable of the user. Items are not hygienic, so the macros
//!   define none, and take everything that they use from `::core` or `$crate`.
//! * I3: functions are called by path, never as methods, because a trait of the user may have
//!   methods of the same name.
//! * I4: no code follows a body. So no code becomes unreachable if the body returns or breaks.
//! * I5: the operands are borrowed in the scrutinee of one `match`. They are evaluated in source
//!   order, and the values that they borrow from live until the end of the `match`. An arm has no
//!   destructor, so the borrows themselves end when the chosen arm is finished, and its body may
//!   assign to the variables that the operands came from.
//!
//! Rejected: nesting the `match` of each arm in the `match` of the previous arm, which takes a
//! second step per arm. Rejected: arms of one type in one array, which needs `unsafe` to recover
//! their types.

/// The expansion of [`select!`](crate::select!) and [`select_biased!`](crate::select_biased!).
///
/// It is not part of the public interface, and may change with any version.
#[doc(hidden)]
#[macro_export]
macro_rules! select_internal {
    (@start $biased:tt) => {
        ::core::compile_error!(
            "expected an arm: write `recv(receiver) -> result => body`, `send(sender, message) -> result => body` or \
             `default => body` (to block forever, receive from `never()`)"
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

    // Nothing is left except, perhaps, the comma that `@start` has added after the user's own last
    // comma.
    (@arms $biased:tt $numbers:tt $arms:tt $default:tt $(,)?) => {
        $crate::select_internal!(@run $biased $arms $default)
    };

    // Each kind of arm has two rules, because the body is either an expression with a comma or a
    // block. The order matters, because an expression may begin with a block.
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

    // The remaining tokens are not a valid arm.
    (@arms $biased:tt $numbers:tt $arms:tt ($($default:tt)+) default $($rest:tt)*) => {
        ::core::compile_error!("expected at most one `default`: remove the others")
    };
    (@arms $biased:tt [] $arms:tt $default:tt $kind:ident ($($arguments:tt)*) -> $($rest:tt)*) => {
        ::core::compile_error!("expected at most 64 arms besides `default`: use `Select` for more")
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

    // The block around the timeout drops the temporary values in it, such as a lock guard, before
    // the wait begins.
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

    // The outcome is kept in a variable, so that a result that matches `_` lives as long as the
    // body. The body is the arm of a `match`, because braces around the value of a block cause a
    // warning.
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
            "`recv` takes one argument: expected `recv(receiver)`, found `recv(",
            ::core::stringify!($($arguments)*),
            ")`"
        ))
    };
    (@wrong recv $($rest:tt)*) => {
        ::core::compile_error!(
            "expected a receiver in parentheses after `recv`: write `recv(receiver) -> result => body`"
        )
    };
    (@wrong send($sender:expr, $message:expr $(,)?) $($rest:tt)*) => {
        $crate::select_internal!(@wrong_result (send($sender, $message)) $($rest)*)
    };
    (@wrong send($($arguments:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`send` takes two arguments: expected `send(sender, message)`, found `send(",
            ::core::stringify!($($arguments)*),
            ")`"
        ))
    };
    (@wrong send $($rest:tt)*) => {
        ::core::compile_error!(
            "expected a sender and a message in parentheses after `send`: write \
             `send(sender, message) -> result => body`"
        )
    };
    (@wrong default $(($($timeout:expr $(,)?)?))? => $($rest:tt)*) => {
        $crate::select_internal!(@wrong_body (default$(($($timeout)?))?) $($rest)*)
    };
    (@wrong default $(($($timeout:expr $(,)?)?))? -> $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `=>` after `default`, which has no result, found `->`: write `default",
            $("(", $(::core::stringify!($timeout),)? ")",)?
            " => body`"
        ))
    };
    (@wrong default($($timeout:expr $(,)?)?) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `=>` and a body after `default(",
            ::core::stringify!($($timeout)?),
            ")`: write `default(",
            ::core::stringify!($($timeout)?),
            ") => body`"
        ))
    };
    (@wrong default($($arguments:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`default` takes at most one argument: expected `default` or `default(timeout)`, found `default(",
            ::core::stringify!($($arguments)*),
            ")`"
        ))
    };
    (@wrong default $($rest:tt)*) => {
        ::core::compile_error!(
            "expected `=>` or a timeout in parentheses after `default`: write `default => body` or \
             `default(timeout) => body`"
        )
    };
    (@wrong ; $($rest:tt)*) => {
        ::core::compile_error!("expected `,` between two arms, found `;`: write `,` instead")
    };
    (@wrong , $($rest:tt)*) => {
        ::core::compile_error!("expected an arm, found `,`: remove it")
    };
    (@wrong $other:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected an arm, found `",
            ::core::stringify!($other),
            "`: write `recv(receiver) -> result => body`, `send(sender, message) -> result => body` or \
             `default => body`"
        ))
    };

    (@wrong_result ($($arm:tt)*) -> => $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected a pattern for the result after `",
            ::core::stringify!($($arm)*),
            " ->`: write `_` to ignore the result"
        ))
    };
    (@wrong_result $arm:tt -> $result:pat => $($rest:tt)*) => {
        $crate::select_internal!(@wrong_body $arm $($rest)*)
    };
    (@wrong_result ($($arm:tt)*) -> $result:pat if $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `=>` after the pattern of `",
            ::core::stringify!($($arm)*),
            "`, found `if`: to switch an arm off, give it a channel that is never ready, such as `never()`"
        ))
    };
    (@wrong_result ($($arm:tt)*) -> $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected a pattern, `=>` and a body after `",
            ::core::stringify!($($arm)*),
            " ->`: write `",
            ::core::stringify!($($arm)*),
            " -> result => body`"
        ))
    };
    (@wrong_result ($($arm:tt)*) => $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `->` and a pattern for the result after `",
            ::core::stringify!($($arm)*),
            "`, found `=>`: write `",
            ::core::stringify!($($arm)*),
            " -> result => body`"
        ))
    };
    (@wrong_result ($($arm:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `->` and a pattern for the result after `",
            ::core::stringify!($($arm)*),
            "`: write `",
            ::core::stringify!($($arm)*),
            " -> result => body`"
        ))
    };

    // The body is missing: the next arm, or the end, is in its place.
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
            "expected a body after the `=>` of `",
            ::core::stringify!($($arm)*),
            "`: write an expression or a block, such as `{}`"
        ))
    };
    (@wrong_body $arm:tt $body:expr; $($rest:tt)*) => {
        $crate::select_internal!(@wrong ;)
    };
    (@wrong_body ($($arm:tt)*) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected one expression and a `,` as the body of `",
            ::core::stringify!($($arm)*),
            "`: add the `,`, or put the statements into a block"
        ))
    };
}

/// Waits on several channel operations and performs the first one that does not block (Go's
/// `select`).
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
/// | arm | type of the result |
/// | --- | --- |
/// | `recv(receiver) -> pattern => body` | `Result<T, RecvError>` |
/// | `send(sender, message) -> pattern => body` | `Result<(), SendError<T>>` |
/// | `default => body`, `default() => body` | none |
/// | `default(timeout) => body` | none |
///
/// * A select has up to 64 arms that receive or send, and at most one `default`, at any position.
///   [`Select`](crate::Select) handles more arms, or a number of arms that is known only at run
///   time.
/// * A receiver or sender may be any expression whose value is a receiver or sender or dereferences
///   to one, such as a reference, a `Box` or an `Arc`. The value is not moved.
/// * The result is the same as from [`Receiver::recv`](crate::Receiver::recv) or
///   [`Sender::send`](crate::Sender::send). The pattern has to match every result, such as a name,
///   `_` or `Ok(()) | Err(_)`.
/// * Arms are separated by commas. The comma may be omitted after a body that is a block.
/// * The macro is an expression. All bodies have the same type, and the value of the macro is the
///   value of the body that ran.
///
/// # What is chosen
///
/// An operation is *ready* if it would not block. An operation on a closed channel is ready, and
/// results in an error once nothing is left to receive. An operation on a [`nil`](crate::nil)
/// channel is never ready.
///
/// * If several operations are ready, one of them is chosen at random, with equal probability for
///   each. [`select_biased!`](crate::select_biased!) chooses the first one instead.
/// * If no operation is ready, the macro blocks until one becomes ready. The goroutine parks, and
///   its thread runs other goroutines.
/// * With `default` the macro does not block. `default` is chosen only if there was an instant at
///   which no operation was ready.
/// * With `default(timeout)`, which takes a [`Duration`](std::time::Duration), the macro blocks for
///   at most that long. `default` is chosen only if no operation became ready in that time.
///
/// Unless `default` is chosen, exactly one operation is performed. The others have no effect: they
/// neither receive nor send a value. The same channel may appear in several arms, and in arms of
/// both directions.
///
/// # What is evaluated
///
/// 1. The receivers and senders of all arms, once each, in source order. Temporary values in them,
///    such as a lock guard, live until the end of the select.
/// 2. The timeout. Temporary values in it are dropped before the wait.
/// 3. If a send was chosen, its message, and no other message. During the evaluation, a place in
///    the channel stays reserved for the message. A receiver that is already paired with this send
///    waits for the message, even past its own timeout or `default`. So compute slow messages
///    before the select. If the message panics or leaves by `?`, `return`, `break` or `continue`,
///    the place is released and nothing is sent.
/// 4. The body of the chosen arm. The receivers and senders are no longer borrowed, so the body may
///    assign to the variables that they came from.
///
/// `break` and `continue` in a body belong to the loop around the select. `return` and `?` belong
/// to the function.
///
/// # Panics
///
/// If an expression in the macro panics. The choice itself does not panic.
///
/// # Coming from Go
///
/// | Go | here |
/// | --- | --- |
/// | `case v := <-ch:`, `case v, ok := <-ch:` | `recv(rx) -> v => ..` |
/// | `case <-ch:` | `recv(rx) -> _ => ..` |
/// | `case ch <- v:` | `send(tx, v) -> result => ..`; check the result |
/// | `default:` | `default => ..` |
/// | `case <-time.After(d):` | `default(d) => ..`, or `recv(after(d)) -> _ => ..` |
/// | an arm with a nil channel | an arm with [`never()`](crate::never) or [`nil()`](crate::nil) |
/// | `select {}` | `select! { recv(never::<()>()) -> _ => {} }` |
/// | a send on a closed channel panics | it is ready, and results in `Err(SendError(v))` |
/// | the messages of all arms are evaluated | only the chosen arm's message is, after the choice |
/// | `break` leaves the `select` | `break` leaves the loop around it |
///
/// # Examples
///
/// Check for work without waiting:
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
/// Wait with a limit:
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
/// Merge two channels until both are closed. A closed channel would always be ready, so its arm is
/// switched off.
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

/// Selects like [`select!`](crate::select!), but prefers operations in the order in which their
/// arms are written.
///
/// If several operations are ready, the first one is chosen. In all other respects it is the same
/// as `select!`. An arm that is always ready starves the arms after it. Go has no such statement.
/// Go programs select from the first channel with a `default`, and from the next channel inside
/// that `default`.
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
