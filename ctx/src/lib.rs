//! Why a piece of work was told to stop.
//!
//! The tree of contexts is built on top of these errors.

#![forbid(unsafe_code)]

mod error;

pub use error::Error;
