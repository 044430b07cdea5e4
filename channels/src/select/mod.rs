//! The choice of one among several operations on channels of any type: the core of `select!`,
//! `Select`, and receivers of alarms.
//!
//! # From `select!` to the claim
//! 1. `macros.rs`: `select!` expands to a typed arm for each operation and one call to
//!    `internal::select`.
//! 2. `internal.rs`: `choose` erases the types of the arms and calls `select_arms`.
//! 3. `select/passes.rs`: `select_arms` first tries without taking all locks (`select_one_ready`).
//!    Then it locks all channels (`select_locked`) and makes the passes of Go's `selectgo`.
//!    `pass_1` looks for an operation that is ready, `pass_2` enqueues a node on every channel
//!    before the select parks, and `pass_3` dequeues the nodes that lost.
//! 4. `queue.rs`: a peer finds one of these nodes with `claim_first`.
//! 5. `scheduler/src/protocol/claim.rs`: `Case::reserve` decides which of several peers completes
//!    the select.
//!
//! `select/arm.rs` holds one arm, and the tokens that prove that arms are locked. `select/pick.rs`
//! makes the random choice.

mod arm;
mod passes;
mod pick;

pub(crate) use arm::{Arm, Completion};
pub(crate) use passes::{Goal, Limit, select_arms};
