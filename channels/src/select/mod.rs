//! Choosing one of several operations, of whichever types: what `select!`, `Select` and receivers of alarms have in common.

mod arm;
mod pick;
mod run;

pub(crate) use arm::{Arm, Done};
pub(crate) use run::{Goal, Limit, run};
