//! Goroutines: starting and ending them, their results, panics, stacks and threads.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod block_on;
mod foreign;
mod go;
mod os_thread;
mod panics;
mod public_types;
mod scope;
mod spawn;
mod stacks;
