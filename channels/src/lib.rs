//! Channels for goroutines and threads: crossbeam-channel's interface, Go's semantics, and `close`.
//!
//! A channel has any number of senders and receivers, on goroutines and on threads that the runtime did not start, in
//! any mix. A goroutine that waits leaves its thread to others.
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
//! # What an operation does
//!
//! | operation | nil | open | closed |
//! | --- | --- | --- | --- |
//! | [`send`](Sender::send) | blocks for ever | proceeds or blocks | `Err(SendError(value))`: the value comes back (Go panics; `.unwrap()` gives that) |
//! | [`recv`](Receiver::recv) | blocks for ever | proceeds or blocks | drains what is buffered, then `Err(RecvError)` |
//! | [`close`](Sender::close) | panics | succeeds; wakes every waiter; a blocked sender gets its value back | panics "close of closed channel" |
//!
//! [`try_send`](Sender::try_send) and [`try_recv`](Receiver::try_recv) fail where the others block. That the last sender
//! or the last receiver is dropped closes a channel as well. Without receivers, what is buffered is dropped; and
//! `close` on a channel that only lost its receivers is allowed, once.
//!
//! Waiters are served strictly first-in-first-out: an operation that finds a peer waiting completes the peer's
//! operation before anybody else gets at the channel. A value is received once or comes back to its sender.
//!
//! # Memory model
//!
//! As Go's:
//! * A send happens before the corresponding receive completes.
//! * A close happens before a receive that reports it.
//! * A receive from a channel of capacity zero happens before the corresponding send completes.
//! * The *k*th receive from a channel of capacity *C* happens before the (*k* + *C*)th send to it completes.
//!
//! Nothing is promised about operations that fail for want of room or of a value, nor about [`len`](Receiver::len).
//!
//! # For those who know Go
//!
//! | Go | here |
//! | --- | --- |
//! | `make(chan T)`, `make(chan T, n)` | [`bounded(0)`](bounded), [`bounded(n)`](bounded) |
//! | `var ch chan T` | [`nil()`](nil) |
//! | `chan<- T`, `<-chan T` | [`Sender<T>`], [`Receiver<T>`] |
//! | `ch <- v` | [`tx.send(v)`](Sender::send), and look at the result |
//! | `v := <-ch`, `v, ok := <-ch` | [`rx.recv()`](Receiver::recv) |
//! | `for v := range ch` | `for v in rx`, `for v in &rx` |
//! | `close(ch)` | [`tx.close()`](Sender::close), or drop the last sender |
//! | `len(ch)`, `cap(ch)` | [`rx.len()`](Receiver::len), [`rx.capacity()`](Receiver::capacity) |
//! | `select { case ch <- v: default: }` | [`tx.try_send(v)`](Sender::try_send) |
//! | `select { case v := <-ch: default: }` | [`rx.try_recv()`](Receiver::try_recv) |
//! | `ch1 == ch2` | [`same_channel`](Receiver::same_channel) |

mod error;

mod buffer;
mod primitive;

mod waiter;

mod queue;

mod head;

mod wait;

mod chan;

mod alarm;
mod counter;

mod select;

mod handle;

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
