//! What people build of goroutines and channels again and again, each as one call.
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
//! | do something with each of many values, in stages | [`Pipeline`] |
//! | do so with several workers | [`worker_pool`], [`dynamic_worker_pool`], [`Pipeline::map_parallel`], [`Pipeline::map_ordered`] |
//! | do something with each item of a list, and have the results | [`parallel_map`], [`parallel_map_unordered`] |
//! | split a sequence of values, or join several | [`fan_out`], [`fan_in`], [`tee`], [`bridge`] |
//! | receive until a context ends | [`until_done`] |
//! | wait for the first of many signals | [`or`] |
//! | do so much in a time, and no more | [`RateLimiter`] |
//! | do so many things at once, and no more | [`sync::Semaphore`](crate::sync::Semaphore) |
//! | try again what has failed | [`retry`], [`retry_if`] |
//! | notice that a goroutine hangs | [`heartbeat`] |
//! | tell many who want to know | [`Broker`] |
//! | say what happens when a queue is full | [`Queue`] |
//! | see how such things are made of channels | [Idioms by hand] |
//!
//! [Idioms by hand]: https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/by_hand.md
//!
//! # The rules of all of them
//! * **A context comes first.** When it ends, the goroutines of the pattern end, whatever they wait for. So they do
//!   when nobody wants their values any more: dropping what a pattern gave stops it. Nothing is interrupted: a function
//!   of yours that computes is waited for.
//! * **Nothing is left behind**: no goroutine, no timer, no channel.
//! * **A panic is not lost.** It stops the pattern whose function it was, and comes out where that is waited for: it goes on in
//!   [`Pipeline::wait`] and its like; [`Heartbeat::join`] returns it, as each `join` does.
//! * **Values come from an [`Input`]**: a receiver, or another pipeline, which stops with the one that reads it.
//! * **Goroutines and threads** may use all of this, in any mix.

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
