//! Waiting for descriptors: a goroutine that would block in a read parks instead, and one M watches
//! all descriptors.
//!
//! | to learn | read |
//! | --- | --- |
//! | what the user of a descriptor calls | [`descriptor`] |
//! | how an event finds the waiter | [`crate::protocol::poll_word`] |
//! | where descriptors and their deadlines are kept | `record` |
//! | which M polls, when, and how it is woken | [`crate::protocol::poller`], `poll` |
//! | when the poller wakes another M for a batch | [`crate::sched::wake_policy`] |
//! | the system calls | `machine::sys::poller` |
//!
//! Nothing here performs I/O. The user tries the operation, finds that it would block, waits here,
//! and tries again. Each descriptor is registered once, for edges in both directions, so a wait
//! needs no system call of its own.

pub(crate) mod descriptor;
pub(crate) mod poll;
mod record;

use std::sync::atomic::AtomicUsize;

use crate::protocol::poller::PollerRole;

/// The role of the poller: which M has it, and how that M is woken.
pub(crate) static ROLE: PollerRole = PollerRole::new();

/// The number of registered descriptors.
pub(crate) static REGISTERED: AtomicUsize = AtomicUsize::new(0);
