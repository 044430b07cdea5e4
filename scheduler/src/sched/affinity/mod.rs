//! Goroutines that may run on one thread only: which ones, how they get there, and how others are
//! kept from that thread.

pub(crate) mod delivery;
pub(crate) mod guard;
pub(crate) mod ties;
