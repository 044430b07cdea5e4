//! `select!` and `select_biased!`.
//!
//! # Layout
//!
//! Both are a name for `select_internal!`, whose rules are told apart by a word after `@`:
//!
//! * `@arms` reads one arm in each step. When none is left it hands all of them to `@run`.
//! * `@run` decides how to select. One receive with nothing else, or with a `default`, is a method of the receiver; any
//!   other select goes through `internal`.
//! * `@select` and `@receive` are the two forms of what comes out; `@finish` completes the operation that was chosen.
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
//! * I1: one step for each arm. The compiler allows 128 steps inside of one another, and the macros in a body begin where
//!   the one around them has ended. With two steps per arm, a select of 32 arms could not stand in one of 32.
//! * I2: each step of a macro has its own hygiene. So `_select_arm` of one arm is another variable than that of the next,
//!   and none is a variable of the user. Items are not hygienic: we define none, and name all that we use from `::core`
//!   or `$crate`.
//! * I3: functions are called by their path, never as methods: a trait of the user may have methods of the same name.
//! * I4: nothing follows a body. If it returns or breaks, no code of ours is unreachable.
//! * I5: the operands are borrowed in the scrutinee of one `match`: they are evaluated in source order, and what
//!   they borrow from lives until its end. No arm has a destructor, so the borrows themselves end when the chosen
//!   arm is finished, and its body may assign to what was an operand.
//!
//! Rejected: a `match` for each arm inside that of the arm before (a second step for each arm), and arms of one type, so
//! that one array could hold them (`unsafe`, to get their types back).

/// What [`select!`](crate::select!) and [`select_biased!`](crate::select_biased!) expand to. Not part of the interface:
/// it may change with any version.
#[doc(hidden)]
#[macro_export]
macro_rules! select_internal {
    (@start $biased:tt) => {
        ::core::compile_error!(
            "a select needs an arm: `recv(receiver) -> result => body`, `send(sender, message) -> result => body` or `default => body`"
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
                let _select_outcome = $crate::Receiver::recv($variable);
                match _select_outcome {
                    $result => $body
                }
            }
        }
    };
    (@run $biased:tt ([$variable:ident $number:tt RecvArm $($arm:tt)*]) (() $default:tt)) => {
        $crate::select_internal!(@receive $variable $($arm)* try_recv() TryRecvError::Empty => $default)
    };
    (@run $biased:tt ([$variable:ident $number:tt RecvArm $($arm:tt)*]) (($timeout:expr) $default:tt)) => {
        $crate::select_internal!(@receive $variable $($arm)* recv_timeout($timeout) RecvTimeoutError::Timeout => $default)
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
                _select_outcome => {
                    let _select_outcome = ::core::result::Result::map_err(_select_outcome, |_| $crate::RecvError);
                    match _select_outcome {
                        $result => $body
                    }
                }
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
                    $(::core::option::Option::Some($number) => {
                        let _select_outcome = $crate::select_internal!(@finish $arm $variable $message);
                        match _select_outcome {
                            $result => $body
                        }
                    })*
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
        $crate::internal::Promise::send($crate::internal::SendArm::promise($variable), $message)
    };

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
        ::core::compile_error!("an arm cannot have an `if`: give it a channel that is never ready, as `never()`, instead")
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

/// Waits.
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => {{ $crate::select_internal!(@start false $($tokens)*) }};
}

/// Waits.
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => {{ $crate::select_internal!(@start true $($tokens)*) }};
}
