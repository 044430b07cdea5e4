//! Clocks, timers, and waits that a timer may end.

pub(crate) mod arming;
pub(crate) mod clock;
pub mod deadline;
pub(crate) mod p_timers;
