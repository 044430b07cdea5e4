//! Channels for goroutines and threads: crossbeam-channel's interface, Go's semantics, and `close`.
//!
//! A channel has any number of senders and receivers, on goroutines, on threads that the runtime
//! did not start, or on both. While a goroutine waits, its thread runs other goroutines.
//!
//! ```
//! use greenthread_channels::bounded;
//! use std::thread;
//!
//! let (jobs, queue) = bounded(4);
//! let (results, sums) = bounded(4);
//! for _ in 0..3 {
//!     let (queue, results) = (queue.clone(), results.clone());
//!     thread::spawn(move || {
//!         for n in queue {
//!             results.send(n * n).unwrap();
//!         }
//!     });
//! }
//! drop(results);
//! for n in 1..=10 {
//!     jobs.send(n).unwrap();
//! }
//! jobs.close();
//! assert_eq!(sums.iter().sum::<i32>(), 385);
//! ```
//!
//! The facade `greenthread` re-exports these items as `greenthread::channel`. The documentation
//! there explains how each operation behaves on an open, a closed and a nil channel, how `select!`
//! chooses, and which memory ordering is guaranteed. It also lists the names of the items in Go and
//! in crossbeam-channel.

mod error;

mod buffer;
mod locked;
mod primitive;

mod waiter;

mod queue;

mod head;

mod single_wait;

mod chan;

mod alarm;
mod counter;

mod select;

mod handle;

#[doc(hidden)]
pub mod closing;
#[doc(hidden)]
pub mod internal;
mod macros;
pub mod timer;

mod dynamic;

#[cfg(test)]
mod fifo_tests;

pub use dynamic::{Select, SelectedOperation};
pub use error::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError, TryReadyError,
    TryRecvError, TrySelectError, TrySendError,
};
pub use handle::{IntoIter, Iter, Receiver, Sender, TryIter, bounded, never, nil, unbounded};
pub use timer::{after, at, tick};
