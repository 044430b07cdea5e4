//! Tests of `Context` through its public interface.

#[path = "../../../channels/tests/common/mod.rs"]
mod common;

mod facts;
mod stress;
mod tree_model;
