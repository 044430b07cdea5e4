//! `greenthread::patterns`, from the outside.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod broker;
mod fan;
mod heartbeat;
mod or;
mod parallel;
mod pipeline;
mod pool;
mod queue;
mod rate;
mod retry;
mod storm;
