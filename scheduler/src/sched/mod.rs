//! How Ms find goroutines to run, and how Ps move between Ms.

pub(crate) mod affinity;
pub(crate) mod attend;
pub(crate) mod boot;
pub(crate) mod current;
pub(crate) mod entry;
pub(crate) mod global;
pub(crate) mod handoff;
pub(crate) mod hogs;
pub(crate) mod random;
pub(crate) mod search;
pub(crate) mod sites;
pub(crate) mod stack_queue;
pub(crate) mod sysmon;
pub(crate) mod threads;
pub(crate) mod turns;
pub(crate) mod wake_policy;
pub(crate) mod worker;
