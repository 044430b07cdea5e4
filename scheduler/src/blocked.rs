//! Goroutines that have waited for others for long: suspects of a deadlock among some of them, which nobody can tell from patience.

use std::panic::Location;
use std::time::Duration;

use crate::gmp::State;
use crate::observe;
use crate::reason::WaitReason;

/// A goroutine that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocked {
    /// The goroutine's number, as [`Goroutine::id`](crate::Goroutine::id) and dumps have it.
    pub id: u64,
    /// What it waits for.
    pub reason: WaitReason,
    /// How long it has waited, less some tens of milliseconds.
    pub waited: Duration,
    /// Where it was spawned.
    pub site: &'static Location<'static>,
}

/// The goroutines that have waited for others for longer than `duration`. See `greenthread::debug::blocked_since`.
pub fn blocked_since(duration: Duration) -> Vec<Blocked> {
    let mut found = Vec::new();
    observe::for_each_started(|g| {
        let blocked = Blocked { id: g.id, reason: g.reason(), waited: g.parked_for(), site: g.site };
        // The state last: if it was woken since, and even if it waits again, what was read before is not used.
        if blocked.waited >= duration && blocked.reason.is_for_others() && g.state() == State::Waiting {
            found.push(blocked);
        }
    });
    found.sort_by_key(|blocked| (std::cmp::Reverse(blocked.waited), blocked.id));
    found
}
