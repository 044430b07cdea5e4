//! Sockets.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod busy;
mod close;
mod kinds;
mod limits;
mod serve;
mod tcp;
