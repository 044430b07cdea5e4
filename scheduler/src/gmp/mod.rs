//! G, M and P: the three structures of the scheduler. This module only defines them; other modules
//! act on them.
//!
//! They point at each other (a running G at its M, an M at its P, a P at its M), so they form one
//! module.

pub(crate) mod block;
mod g;
mod inbox;
mod inside;
mod m;
mod owner_flags;
mod p;
pub(crate) mod reason;
pub(crate) mod scheduler;
mod slot;

pub(crate) use g::{Attributes, G, GRef, State, Vtable};
pub(crate) use inbox::Inbox;
pub(crate) use inside::Inside;
pub(crate) use m::{Dispatch, M, SwitchReason};
pub(crate) use owner_flags::OwnerFlags;
pub(crate) use p::P;
pub(crate) use slot::Slot;
