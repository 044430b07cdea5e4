//! What the runtime reports: dumps, deadlocks, traces, statistics, and fatal errors.

pub(crate) mod deadlock;
pub(crate) mod dump;
pub(crate) mod exhaustion;
pub(crate) mod fatal;
pub(crate) mod overflow_calls;
pub(crate) mod quit;
pub(crate) mod stats;
pub(crate) mod trace;
