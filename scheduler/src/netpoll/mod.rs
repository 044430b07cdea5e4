//! Waiting for descriptors: a goroutine that would block in a read parks instead, and one M watches all descriptors.
//!
//! | to learn | read |
//! | --- | --- |
//! | what a descriptor's user calls | [`descriptor`] |
//! | how an event finds who waits | [`crate::protocol::poll_word`] |
//! | where descriptors are kept, and their deadlines | `record` |
//! | who polls, when, and how that M is woken | [`crate::protocol::poller`], `poll` |
//! | when the poller wakes another M for what it has found | [`crate::sched::wake_policy`] |
//! | what the system is asked | `machine::sys::poller` |
//!
//! Nothing here does I/O: the user tries, is told that it would block, waits here, and tries again. Each descriptor is
//! registered once, for edges in both directions, so that a wait costs no system call of its own.

pub(crate) mod descriptor;
pub(crate) mod poll;
mod record;

use std::sync::atomic::AtomicUsize;

use crate::protocol::poller::PollerRole;

/// Who polls.
pub(crate) static ROLE: PollerRole = PollerRole::new();

/// Descriptors that are registered.
pub(crate) static REGISTERED: AtomicUsize = AtomicUsize::new(0);
