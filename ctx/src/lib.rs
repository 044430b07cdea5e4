//! Cancellation, deadlines and request-scoped values: Go's package `context`.
//!
//! A [`Context`] is handed to every function that takes part in one piece of work, such as a
//! request. The caller that started the work cancels the context, or a deadline does, and
//! everything that waits with the context returns.
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
//! * **Down, never up.** When a context ends, all contexts derived from it end too, before the call
//!   that cancels returns; its parent goes on.
//! * **The first reason wins.** A context ends once, with one [`Error`] and one
//!   [`cause`](Context::cause). The descendants that end with it get the same.
//! * **The earlier deadline counts.** A child can shorten its parent's deadline, not extend it.
//! * **Handles cancel.** Dropping a [`Cancel`] cancels: keep it as long as the work may go on.
//!   [`Cancel::disarm`] drops it without that.
//! * **Nothing stays.** A child that has ended, or that was dropped, leaves neither memory in its
//!   parent nor a timer.
//! * **Canceled work has to look.** Nothing is interrupted. Wait with [`recv`](Context::recv),
//!   [`send`](Context::send) and [`sleep`](Context::sleep), add `recv(ctx.done()) -> _` to a
//!   `select!`, or check [`err`](Context::err) in a loop that computes.
//!
//! Pass a context on as the first argument, by reference, and do not store it in structures.
//!
//! # What blocks
//! [`recv`](Context::recv), [`send`](Context::send) and [`sleep`](Context::sleep) block. The other
//! methods do not wait, but canceling takes time in proportion to the number of descendants, and
//! looking up a value in proportion to the number of ancestors.
//!
//! # Costs
//! A child is one block of memory, and an entry in its parent if it can end by itself. It has a
//! channel only if [`done`](Context::done) was called, and a timer only if its deadline is its own.
//! Neither canceling nor dropping recurses: a chain of contexts may be as long as memory allows.
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
