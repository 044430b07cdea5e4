//! Which queues of a P have their turn: the arrivals, its own queues, or the deferred goroutines.
//!
//! Turns depend on time, not on the number of goroutines that had one: four goroutines that compute
//! for 5 ms between two yields count as many as four that take a microsecond. Reading the clock at
//! each dispatch would cost half as much as the dispatch itself, so sysmon serves as the clock.
//! About every 2 ms it asks each P in use to *look around*
//! ([`crate::gmp::OwnerFlags::LOOK_AROUND`]). The P does that, which is called a *look* here,
//! before it runs the next goroutine ([`crate::sched::attend`]).
//!
//! * *Arrivals* have waited for I/O, for a timer, or in the global queue. They go first. If some
//!   are left over from one look to the next, the P's own queues have their turn for [`TURN_NS`],
//!   so each side gets half of the time.
//! * *Deferred* goroutines are known to compute for a long time ([`crate::sched::global`]). One of
//!   them goes first once in [`LOOKS_PER_DEFERRED`] looks.
//! * One goroutine of the backlog goes first at each look that finds no arrivals.
//!
//! The goroutines that a look polls go ahead only on a P whose goroutines keep it for a long time
//! ([`QUICK`]). On a quick P they go to the tail. Otherwise, goroutines polled at one look would be
//! served twice before those polled earlier are served once. (Echo over 64 connections, one P,
//! medians of five and seven interleaved runs, relative to the version without looks: request 1.05
//! instead of 1.16, p99 1.13 instead of 1.33.)
//!
//! Regardless of time, the P also checks the global queue and the backlog every 61st time slice,
//! and polls every 61st dispatch. Where goroutines are quick, that is sooner.
//!
//! A goroutine that a timer wakes does not go to runnext if others wait: eight goroutines that
//! compute for 0.5 ms and sleep for 10 us would fill runnext before each dispatch.
//!
//! Rejected: *counting slices alone* (as Go does): with slices of 5 ms, 61 of them are 300 ms.
//! *Putting arrivals behind what is queued*: the wait is then the number of goroutines that
//! compute, times their turns.

/// One time slice in this many begins with goroutines that are not in the local queue.
///
/// It is Go's number; it is prime, so that it does not coincide with a pattern.
pub(crate) const GLOBAL_TICK: u32 = 61;

/// A deferred goroutine goes first in one look out of this many: once in 10 ms.
const LOOKS_PER_DEFERRED: u8 = 5;

/// How long the P's own queues have their turn if the next look does not occur sooner.
///
/// Sysmon may be late on a busy machine.
const TURN_NS: u64 = 2_000_000;

/// The number of dispatches from one look to the next that makes a P a quick one: its goroutines
/// keep it for some 30 us each.
const QUICK: u32 = 61;

/// The turns of one P.
pub(crate) struct Turns {
    /// The time until which the P's own queues have their turn; 0 if they do not.
    own_until: u64,
    /// The number of looks since a deferred goroutine had a turn, or since there was none.
    looks: u8,
    /// The dispatches of the P at the last look.
    dispatches: u32,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { own_until: 0, looks: 0, dispatches: 0 }
    }

    /// Notes that the P looks around.
    ///
    /// `left_over` says that arrivals are left from the previous look, and `deferred` that there
    /// are deferred goroutines.
    pub(crate) fn look(&mut self, left_over: bool, deferred: bool, now: u64) {
        self.own_until = if left_over && self.own_until == 0 { now + TURN_NS } else { 0 };
        self.looks = if deferred { self.looks.saturating_add(1) } else { 0 };
    }

    /// Returns `true` if the P has dispatched [`QUICK`] goroutines or more since the last call.
    ///
    /// It is called once per look.
    pub(crate) fn is_quick(&mut self, dispatches: u32) -> bool {
        let before = std::mem::replace(&mut self.dispatches, dispatches);
        dispatches.wrapping_sub(before) >= QUICK
    }

    /// Returns `true` if arrivals go before the P's own queues.
    pub(crate) fn arrivals_first(&mut self, now: impl FnOnce() -> u64) -> bool {
        if self.own_until != 0 && now() >= self.own_until {
            self.own_until = 0;
        }
        self.own_until == 0
    }

    /// Returns `true` if a deferred goroutine goes before the P's own queues.
    pub(crate) fn deferred_first(&self) -> bool {
        self.looks >= LOOKS_PER_DEFERRED
    }

    /// Restarts the count of looks, because a deferred goroutine has its turn, or because the next
    /// deferred goroutine has to wait for a whole round.
    pub(crate) fn restart_deferred(&mut self) {
        self.looks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_arrivals_get_every_second_turn() {
        let mut turns = Turns::new();
        let first: Vec<bool> = (0..6)
            .map(|_| {
                turns.look(true, false, 1);
                turns.arrivals_first(|| 2)
            })
            .collect();
        assert_eq!(first, [false, true, false, true, false, true]);
        turns.look(true, false, 1);
        turns.look(false, false, 1);
        assert!(turns.arrivals_first(|| 2), "none was left over");
    }

    #[test]
    fn turn_of_own_queues_ends_without_a_look() {
        let mut turns = Turns::new();
        turns.look(true, false, 7);
        assert!(!turns.arrivals_first(|| 6 + TURN_NS));
        assert!(turns.arrivals_first(|| 7 + TURN_NS) && turns.arrivals_first(|| unreachable!("the turn is over")));
    }

    #[test]
    fn deferred_goroutines_have_one_turn_in_a_round() {
        let mut turns = Turns::new();
        let mut served = 0;
        for _ in 0..5 * LOOKS_PER_DEFERRED {
            turns.look(false, true, 1);
            if turns.deferred_first() {
                served += 1;
                turns.restart_deferred();
            }
        }
        assert_eq!(served, 5);
        (0..LOOKS_PER_DEFERRED).for_each(|_| turns.look(false, false, 1));
        assert!(!turns.deferred_first(), "none is deferred");
    }
}
