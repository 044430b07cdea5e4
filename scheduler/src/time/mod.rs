//! Clocks, timers, and waits that a timer may end.

pub(crate) mod clock;
pub mod deadline;
pub(crate) mod timer;
pub(crate) mod timers;
