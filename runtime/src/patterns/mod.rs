//! What people build of goroutines and channels again and again, each as one call.
//!
//! A context comes first: when it ends, the goroutines of a pattern end, whatever they wait for, and leave nothing behind. So they
//! do when nobody wants their values any more. A panic in a function that a pattern runs ends that pattern, and goes on where
//! its end is waited for.

pub mod by_hand;

mod broker;
mod heartbeat;
mod input;
mod or;
mod or_done;
mod parallel;
mod pipeline;
mod queue;
mod rate;
mod retry;
mod stage;
mod stages;

pub use broker::{Broker, Slow, Subscription};
pub use heartbeat::{Heartbeat, Pulse, heartbeat};
pub use input::Input;
pub use or::or;
pub use or_done::{OrDone, or_done};
pub use parallel::{parallel_map, parallel_map_unordered};
pub use pipeline::{Iter, Pipeline};
pub use queue::{Full, PushError, Pushed, Queue};
pub use rate::RateLimiter;
pub use retry::{Backoff, Jitter, retry, retry_if};
