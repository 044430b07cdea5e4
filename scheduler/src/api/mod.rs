//! What users call: starting goroutines, blocking, thread affinity, GOMAXPROCS, stack growth, and
//! configuration.

pub(crate) mod blocking;
pub mod config;
pub(crate) mod entry_points;
pub(crate) mod grow;
pub(crate) mod os_thread;
pub(crate) mod procs;
