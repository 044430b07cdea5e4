//! When work should stop: Go's package `context`. For everything that may take long, and that somebody may lose interest in.
//!
//! A [`Context`] is handed to everything that takes part in one piece of work, a request say. Whoever started the work cancels
//! it, or a deadline does, and everybody who waits with the context is told.
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
//!             Err(error) => unreachable!("unknown error: {error}"),
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
//! * **Down, never up.** A context that ends takes all that were derived from it along, before the call that cancels
//!   returns; its parent goes on.
//! * **The first wins.** A context ends once, with one [`Error`] and one [`cause`](Context::cause). Those below it that
//!   go along get the same.
//! * **The earlier deadline counts.** A child can shorten its parent's, not extend it.
//! * **Handles cancel.** Dropping a [`Cancel`] cancels: keep it as long as the work may go on. [`Cancel::disarm`] lets
//!   go of it without that.
//! * **Nothing stays.** A child that has ended, or that nobody has any more, leaves no memory in its parent, and no timer.
//! * **What was cancelled has to look.** Nothing is interrupted. Wait with [`recv`](Context::recv), [`send`](Context::send) and
//!   [`sleep`](Context::sleep), add `recv(ctx.done()) -> _` to a `select!`, or ask [`err`](Context::err) in a loop that computes.
//!
//! Pass a context on as the first argument, by reference, and do not keep it in structures.
//!
//! # What blocks
//! [`recv`](Context::recv), [`send`](Context::send) and [`sleep`](Context::sleep) do. The rest does not wait for anything, but
//! cancelling takes time in proportion to the contexts below, and asking for a value, to those above.
//!
//! # Costs
//! A child is one block of memory, and an entry in its parent if it can end by itself. It has a channel only if
//! somebody asked for [`done`](Context::done), and a timer only if its deadline is its own. Neither cancelling nor
//! dropping recurses: a chain may be as long as memory lasts.
//!
//! # For those who know Go
//!
//! | Go | here |
//! | --- | --- |
//! | `context.Background()` | [`Context::background()`], and [`Context::todo()`] for where it is not clear yet which one to use |
//! | `ctx, cancel := context.WithCancel(parent)`, `defer cancel()` | `let (ctx, _cancel) = `[`parent.with_cancel()`](Context::with_cancel) |
//! | `cancel()` | [`cancel.cancel()`](Cancel::cancel), or drop it |
//! | `WithCancelCause`, `WithDeadline`, `WithTimeout`, `WithTimeoutCause`, `WithoutCancel` | methods of the same name |
//! | `context.WithValue(ctx, key, v)`, `ctx.Value(key)` | [`ctx.with_value(v)`](Context::with_value), [`ctx.value::<T>()`](Context::value): the type is the key |
//! | `context.AfterFunc(ctx, f)`, `stop()` | [`ctx.after_func(f)`](Context::after_func), [`stop.stop()`](Stop::stop) |
//! | `<-ctx.Done()` | `recv(ctx.done()) -> _` in a `select!`, `ctx.done().recv()` |
//! | `ctx.Err()`, `context.Cause(ctx)`, `ctx.Deadline()` | [`ctx.err()`](Context::err), [`ctx.cause()`](Context::cause), [`ctx.deadline()`](Context::deadline) |
//! | `context.Canceled`, `context.DeadlineExceeded` | [`Error`] |

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
