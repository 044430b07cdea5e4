//! Storms: many random operations at once, for a while.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod hogs;
mod mixed;
mod park;
mod resize;
mod spawn;
mod steal;
