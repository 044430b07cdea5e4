//! The names that nearly every program uses.
//!
//! ```
//! use greenthread::prelude::*;
//!
//! let (tx, rx) = channel::bounded(0);
//! let wg = WaitGroup::new();
//! for n in 1..=3 {
//!     let tx = tx.clone();
//!     wg.go(move || tx.send(n * n).unwrap());
//! }
//! drop(tx); // the channel closes with its last sender
//! assert_eq!(rx.iter().sum::<i32>(), 14);
//! wg.wait();
//! ```
//!
//! The prelude leaves out the locks, since they have the same names as in `std::sync`: write
//! `sync::Mutex`.

pub use greenthread_channels::select;
pub use greenthread_ctx::Context;

pub use crate::channel::{self, Receiver, Sender};
pub use crate::go;
pub use crate::scope::scope;
pub use crate::sync::{self, WaitGroup};
pub use crate::task::{JoinHandle, spawn};
pub use crate::time;
