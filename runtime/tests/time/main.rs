//! Sleeps, timers, and waits that the clock ends.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod after_func;
mod deadlines;
mod func_timer;
mod sleep;
