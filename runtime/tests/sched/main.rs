//! The scheduler: the number of Ps, fairness, goroutines that keep their thread, and reports on those that wait.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod blocked_for;
mod fairness;
mod hogs;
mod process;
mod procs;
mod short_queues;
