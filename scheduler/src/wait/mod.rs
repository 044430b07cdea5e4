//! Waiting: parking, readying, and blocking, for goroutines and foreign threads.

pub(crate) mod blocker;
pub(crate) mod foreign;
pub(crate) mod park;
pub(crate) mod ready;
pub mod spinning;

pub use blocker::*;
