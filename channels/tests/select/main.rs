//! `select!`, `select_biased!` and `Select`.

#[path = "../common/mod.rs"]
mod common;

mod go;
mod grammar;
mod macros;
mod model;
