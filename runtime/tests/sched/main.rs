//! The scheduler: the number of Ps, fairness, hogs, child processes, and reports on blocked
//! goroutines.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod blocked_for;
mod fairness;
mod hogs;
mod process;
mod procs;
mod short_queues;
