//! The procedural macros of greenthread: `#[greenthread::main]`, `#[greenthread::test]`, and the
//! parser behind `greenthread::go!`.
//!
//! Users reach them through the package `greenthread`, which documents them. This package makes no
//! promises to anyone else.
//!
//! # What the attributes expand to
//! Both attributes keep the function, under its name, inside a new function that passes it to the
//! facade:
//!
//! ```text
//! #[greenthread::main]                   fn main() -> ::std::process::ExitCode {
//! fn main() -> R { body }         =>         fn main() -> R { body }
//!                                            ::greenthread::__private::run_main(main)
//!                                        }
//!
//! #[greenthread::test(procs = [1, 2])]   #[::core::prelude::v1::test]
//! #[should_panic]                        #[should_panic]
//! fn t() { body }                 =>     fn t() {
//!                                            fn t() { body }
//!                                            ::greenthread::__private::run_test("t", &[1, 2], t);
//!                                        }
//! ```
//!
//! A test that returns a value expands to a test that returns an `ExitCode`, as `main` does. A test
//! that returns nothing still returns nothing, since `#[should_panic]` requires it.
//!
//! # What `go!` expands to
//! `go!` is a `macro_rules!` macro that passes its tokens to this package, since only such a macro
//! knows the path of its own crate. The parser here finds the callee. `__go_call!` separates the
//! arguments, since only the compiler knows which commas are separators.
//!
//! ```text
//! go!(move || body)     =>   go(move || body)
//! go!(f::<T>(a, b))     =>   { let x = a; let y = b; go(move || f::<T>(x, y)) }
//! go!(o.field.m(a))     =>   { let x = a; go(move || o.field.m(x)) }
//! go!(make(o).m(a))     =>   { let mut callee = make(o); let x = a; go(move || callee.m(x)) }
//! go!(anything else)    =>   go_value(anything else)
//! ```
//!
//! A path, or a field of a path, moves into the closure as it is, since evaluating it has no
//! observable effect.
//!
//! # What the facade promises in `__private`
//! * `run_main<R: Termination>(main: fn() -> R) -> ExitCode` runs `main` as the main goroutine and
//!   calls `Termination::report` on its result there, so `R` need not be `Send`. When `main` ends,
//!   the process ends or `run_main` returns. A panic in `main` ends the process, as in an ordinary
//!   `main`.
//! * `run_test<R: Termination>(name: &str, procs: &[usize], test: fn() -> R) -> ExitCode` runs
//!   `test` as a goroutine, once for each number of Ps in `procs`, or once with the current number
//!   if `procs` is empty. It stops at the first result whose report is not a success, and returns
//!   that report. A panic of the goroutine continues in the caller.
//! * `go` starts a goroutine, and `go_value` does so for a value that has to be a closure.
//!
//! # Design
//! The attributes read only the outline of a function and leave its body alone, and `go!` reads
//! only the outline of one expression. So the macros parse the tokens themselves instead of making
//! every user build a Rust parser. They find misuse before the compiler sees the expansion.

#![forbid(unsafe_code)]

mod args;
mod call;
mod error;
mod expand;
mod parse;

use proc_macro::TokenStream;

/// Takes `crate = "path::to::greenthread"` if the facade is renamed or re-exported.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::main(args, item)
}

/// Takes `crate = "path::to::greenthread"` if the facade is renamed or re-exported.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(args, item)
}

/// Expands the input that `greenthread::go!` passes on: a path to the facade, a semicolon, and the
/// user's tokens.
#[doc(hidden)]
#[proc_macro]
pub fn go(input: TokenStream) -> TokenStream {
    call::go(input)
}
