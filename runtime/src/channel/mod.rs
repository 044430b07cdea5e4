//! Channels: crossbeam-channel's interface, Go's close and fairness. All of `greenthread_channels`, whose front page says
//! what each operation does; [`patterns`] shows what they are good for.
//!
//! ```
//! use greenthread::{channel, go, select};
//! use std::time::Duration;
//!
//! let (tx, rx) = channel::bounded(0);
//! go!(move || tx.send("hello").unwrap());
//! select! {
//!     recv(rx) -> greeting => assert_eq!(greeting, Ok("hello")),
//!     default(Duration::from_secs(10)) => panic!("nobody greets"),
//! }
//! ```

pub mod patterns;

pub use greenthread_channels::*;
