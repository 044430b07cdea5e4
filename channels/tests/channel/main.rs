//! Channels and the operations on them, one at a time.

#[path = "../common/mod.rs"]
mod common;

mod bounded;
mod clock;
mod close;
mod drops;
mod fifo;
mod go_conformance;
mod histories;
mod iteration;
mod rendezvous;
mod stress;
mod thread_exit;
mod try_ops;
mod unbounded;
