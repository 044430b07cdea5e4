//! Goroutines that may run on only one thread: which ones they are, how they get to their thread,
//! and how others are kept away from it.

pub(crate) mod delivery;
pub(crate) mod guard;
pub(crate) mod ties;
