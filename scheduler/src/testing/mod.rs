//! Switches for tests: chaos mode, and mechanisms that can be turned off.

pub(crate) mod chaos;
pub(crate) mod mechanism;
