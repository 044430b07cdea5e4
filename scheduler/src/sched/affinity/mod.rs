//! Goroutines that may run on one thread only: who they are, how they get there, and how other
//! goroutines are kept from that thread.

pub(crate) mod delivery;
pub(crate) mod guard;
pub(crate) mod ties;
