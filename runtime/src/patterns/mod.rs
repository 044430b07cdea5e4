//! Ready-made concurrency patterns, each as one call.
//!
//! ```
//! use greenthread::ctx::Context;
//! use greenthread::patterns::Pipeline;
//!
//! let ctx = Context::background();
//! let squares = Pipeline::new(&ctx, 1..=10).map_ordered(4, |n| n * n).filter(|n| n % 2 == 0);
//! assert_eq!(squares.collect::<Vec<u32>>().unwrap(), [4, 16, 36, 64, 100]);
//! ```
//!
//! | to | use |
//! | --- | --- |
//! | process many values in stages | [`Pipeline`] |
//! | process many values with several workers | [`worker_pool`], [`dynamic_worker_pool`] |
//! | use several workers for one stage | [`Pipeline::map_parallel`], [`Pipeline::map_ordered`] |
//! | process a list and collect the results | [`parallel_map`], [`parallel_map_unordered`] |
//! | split a stream of values, or join several | [`fan_out`], [`fan_in`], [`tee`], [`bridge`] |
//! | receive until a context ends | [`until_done`] |
//! | wait for the first of many signals | [`or`] |
//! | limit how often something happens | [`RateLimiter`] |
//! | limit how much happens at the same time | [`sync::Semaphore`](crate::sync::Semaphore) |
//! | retry an operation that fails | [`retry`], [`retry_if`] |
//! | notice that a goroutine hangs | [`heartbeat`] |
//! | send each value to many subscribers | [`Broker`] |
//! | decide what happens when a queue is full | [`Queue`] |
//! | see how to build these from channels | [Idioms by hand] |
//!
//! [Idioms by hand]:
//! https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/by_hand.md
//!
//! # Rules that all patterns follow
//! * **A context comes first.** When the context ends, the goroutines of the pattern end, whatever
//!   they are waiting for. They also end when their values are no longer needed: dropping what a
//!   pattern returned stops the pattern. Your own functions are not interrupted: the pattern waits
//!   until a function that is computing returns.
//! * **Nothing is left behind**: no goroutine, no timer, no channel.
//! * **A panic is not lost.** A panic in a function stops the pattern that called the function, and
//!   resurfaces where the program waits for that pattern. [`Pipeline::wait`] and its siblings
//!   resume the panic; [`Heartbeat::join`] returns it, as every `join` does.
//! * **Values come from an [`Input`]**: a receiver or another pipeline. A pipeline stops with the
//!   pattern that reads it.
//! * **Goroutines and threads** can use all of this, in any mix.

mod bridge;
mod broker;
mod fan;
mod heartbeat;
mod input;
mod or;
mod overflow_policy;
mod parallel;
mod pipeline;
mod pool;
mod queue;
mod rate;
mod retry;
mod stage;
mod stages;
mod tee;
mod until_done;

pub use bridge::bridge;
pub use broker::{Broker, Subscription};
pub use fan::{fan_in, fan_out};
pub use heartbeat::{Heartbeat, Pulse, heartbeat};
pub use input::Input;
pub use or::or;
pub use overflow_policy::OverflowPolicy;
pub use parallel::{parallel_map, parallel_map_unordered};
pub use pipeline::{IntoIter, Iter, Pipeline};
pub use pool::{dynamic_worker_pool, worker_pool};
pub use queue::{PushError, Pushed, Queue};
pub use rate::{RateLimiter, Reservation};
pub use retry::{Backoff, Jitter, retry, retry_if};
pub use tee::tee;
pub use until_done::{UntilDone, until_done};
