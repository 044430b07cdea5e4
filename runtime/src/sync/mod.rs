//! Locks and meeting points for goroutines and threads.
//!
//! Whoever waits here is either a goroutine, which parks and leaves its OS thread to others, or a thread that the
//! runtime did not start, which sleeps. Both may use the same lock or group.
//!
//! Use these instead of `std::sync`'s types wherever a goroutine may wait: a goroutine that blocks in a lock of `std`
//! keeps its OS thread, and others have to be started in its place.

pub mod errgroup;
mod map;
mod mutex;
mod pool;
mod semaphore;
pub mod singleflight;
mod value;
mod wait_group;

pub use map::Map;
pub use mutex::{Mutex, MutexGuard};
pub use pool::Pool;
pub use semaphore::{Canceled, Permit, Semaphore};
pub use value::Value;
pub use wait_group::WaitGroup;
