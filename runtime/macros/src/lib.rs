//! The attributes `#[greenthread::main]` and `#[greenthread::test]`.
//!
//! Users reach them through the package `greenthread`, which documents them where it re-exports them; what stands here is
//! added at the end there. This package is not meant to be named.
//!
//! # What they expand to
//! Both keep the function, under its name, inside a new one that hands it to the facade:
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
//! A test that returns something returns `ExitCode` in the end, as `main` does; one that returns nothing goes on doing
//! so, since `#[should_panic]` asks for that.
//!
//! # What the facade promises in `__private`
//! * `run_main<R: Termination>(main: fn() -> R) -> ExitCode` runs `main` as the main goroutine, calls
//!   `Termination::report` on its result there (so `R` need not be `Send`), and ends the process, or returns, when it
//!   ends. A panic in `main` ends the process as a panic in an ordinary `main` does.
//! * `run_test<R: Termination>(name: &str, procs: &[usize], test: fn() -> R) -> ExitCode` runs `test` as a goroutine,
//!   once for each number of Ps in `procs`, or once with as many as there are if `procs` is empty. It stops at the
//!   first result whose report is no success, and returns that; a panic of the goroutine goes on in the caller.
//!
//! # Design
//! The attributes look at the outline of a function and leave its inside alone, so they read tokens themselves
//! instead of making every user build a Rust parser. Misuse is found here, before `rustc` sees the expansion.

#![forbid(unsafe_code)]

mod args;
mod call;
mod error;
mod expand;
mod parse;

use proc_macro::TokenStream;

/// `#[greenthread::main(crate = "path::to::greenthread")]` names the facade where it is renamed or re-exported.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::main(args, item)
}

/// `crate = "path::to::greenthread"` names the facade where it is renamed or re-exported.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(args, item)
}

/// Expands what `greenthread::go!` hands on: a path to the facade, a semicolon, and anything but a closure.
#[doc(hidden)]
#[proc_macro]
pub fn go(input: TokenStream) -> TokenStream {
    call::go(input)
}
