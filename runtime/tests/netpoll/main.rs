//! The netpoller: descriptors, and the M that polls.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod batch;
mod descriptors;
mod poller;
