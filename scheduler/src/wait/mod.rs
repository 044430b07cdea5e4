//! Giving up the CPU and getting it back.

pub(crate) mod blocker;
pub(crate) mod foreign;
pub(crate) mod park;
pub(crate) mod ready;
pub mod spinning;

pub use blocker::*;
