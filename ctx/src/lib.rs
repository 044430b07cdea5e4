//! Cancellation, deadlines and request-scoped values: Go's package `context`.
//!
//! A [`Context`] is handed to every function that takes part in one piece of work, such as a
//! request. When the caller that started the work cancels the context, or the context's deadline
//! passes, every operation that waits under the context returns.
//!
//! ```
//! use greenthread::channel::unbounded;
//! use greenthread::ctx::{Context, Error, RecvError};
//! use std::time::Duration;
//!
//! fn sum(ctx: &Context, numbers: &greenthread::channel::Receiver<u32>) -> Result<u32, Error> {
//!     let mut sum = 0;
//!     loop {
//!         match ctx.recv(numbers) {
//!             Ok(n) => sum += n,
//!             Err(RecvError::Disconnected) => return Ok(sum),
//!             Err(RecvError::Ended(error)) => return Err(error),
//!             Err(error) => unreachable!("{error}"),
//!         }
//!     }
//! }
//!
//! let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(50));
//! let (tx, rx) = unbounded();
//! tx.send(5).unwrap();
//! assert_eq!(sum(&ctx, &rx), Err(Error::DeadlineExceeded));
//!
//! tx.send(5).unwrap();
//! drop(tx);
//! assert_eq!(sum(&Context::background(), &rx), Ok(5));
//! ```
//!
//! # Rules
//! * **Down, never up.** When a context ends, all contexts derived from it also end, before the
//!   canceling call returns. Its parent is not affected.
//! * **The first reason wins.** A context ends once, with one [`Error`] and one
//!   [`cause`](Context::cause). The descendants that end with it get the same error and cause.
//! * **The earlier deadline counts.** A child's deadline can be earlier than its parent's, but not
//!   later.
//! * **Handles cancel.** Dropping a [`Cancel`] cancels the context, so keep the handle as long as
//!   the work may continue. [`Cancel::disarm`] drops the handle without canceling.
//! * **Nothing leaks.** A child that has ended or was dropped leaves behind neither memory in its
//!   parent nor a timer.
//! * **Work has to check for cancellation.** Nothing is interrupted. Wait with
//!   [`recv`](Context::recv), [`send`](Context::send) and [`sleep`](Context::sleep), add
//!   `recv(ctx.done()) -> _` to a `select!`, or check [`err`](Context::err) in a loop that
//!   computes.
//!
//! Pass a context on as the first argument, by reference, and do not store it in structures.
//!
//! # What blocks
//! [`recv`](Context::recv), [`send`](Context::send) and [`sleep`](Context::sleep) block. The other
//! methods do not wait. However, canceling takes time in proportion to the number of descendants,
//! and looking up a value takes time in proportion to the number of ancestors.
//!
//! # Costs
//! A child takes one block of memory, and an entry in its parent if the child can end by itself. It
//! has a channel only if [`done`](Context::done) was called, and a timer only if its deadline is
//! not inherited. Neither canceling nor dropping recurses, so a chain of contexts may be as long as
//! memory allows.
//!
//! # For those who know Go
//!
//! | Go | here |
//! | --- | --- |
//! | `context.Background()` | [`Context::background()`], or [`Context::todo()`] for now |
//! | `ctx, cancel := context.WithCancel(parent)` | `let (ctx, cancel) = `[`parent.with_cancel()`] |
//! | `cancel()` | [`cancel.cancel()`], or drop it |
//! | `defer cancel()` | `let (ctx, _cancel) = ...` |
//! | `WithCancelCause`, `WithDeadline`, `WithTimeout` | methods of the same name |
//! | `WithTimeoutCause`, `WithoutCancel` | methods of the same name |
//! | `context.WithValue(ctx, key, v)` | [`ctx.with_value(v)`]: the type is the key |
//! | `ctx.Value(key)` | [`ctx.value::<T>()`] |
//! | `context.AfterFunc(ctx, f)`, `stop()` | [`ctx.after_func(f)`], [`stop.stop()`] |
//! | `<-ctx.Done()` | `recv(ctx.done()) -> _` in a `select!`, `ctx.done().recv()` |
//! | `ctx.Err()` | [`ctx.err()`] |
//! | `context.Cause(ctx)` | [`ctx.cause()`] |
//! | `ctx.Deadline()` | [`ctx.deadline()`] |
//! | `context.Canceled`, `context.DeadlineExceeded` | [`Error`] |
//!
//! [`parent.with_cancel()`]: Context::with_cancel
//! [`cancel.cancel()`]: Cancel::cancel
//! [`ctx.with_value(v)`]: Context::with_value
//! [`ctx.value::<T>()`]: Context::value
//! [`ctx.after_func(f)`]: Context::after_func
//! [`stop.stop()`]: Stop::stop
//! [`ctx.err()`]: Context::err
//! [`ctx.cause()`]: Context::cause
//! [`ctx.deadline()`]: Context::deadline

#![forbid(unsafe_code)]

mod cancel;
mod context;
mod end;
mod error;
mod ops;
mod tree;

pub use cancel::{Cancel, CancelCause, Stop};
pub use context::Context;
pub use error::{Cause, Error, RecvError, SendError};
