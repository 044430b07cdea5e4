//! Pure algorithms: no system calls, no goroutines, only atomics from `primitive`.
//!
//! Each file is one protocol and opens with an essay on it. Loom checks every protocol in
//! `scheduler/models`, which compiles these same files.

pub mod claim;
pub mod idle;
pub mod inquiry;
pub mod join;
pub mod lease;
pub mod lock;
pub mod occupancy;
pub mod poll_word;
pub mod poller;
pub mod sync;
pub mod timer_heap;
