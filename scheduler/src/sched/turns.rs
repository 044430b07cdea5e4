//! Whose turn it is on a P: what arrives from outside, what is in its own queues, or what is late.
//!
//! Turns go by time, not by the number of goroutines that had one: four that compute for 5 ms between two yields are as
//! many as four that take a microsecond. A look at the clock for each dispatch would be half of what a dispatch costs,
//! so the monitor is the clock: it asks each P that is in use to *look around* ([`crate::gmp::OwnerFlags::LOOK_AROUND`]), every
//! 2 ms or so, and the P does that before it runs the next goroutine ([`crate::sched::attend`]).
//!
//! * *Arrivals* are what has waited for I/O, for a timer, or in the global queue. They go first. If there are some left
//!   over from one look to the next, the P's own queues have their turn for [`TURN`], so each side gets half of the time.
//! * *Late* are goroutines that are known to compute for long ([`crate::sched::global`]). One of them goes first once in
//!   [`LATE`] looks.
//! * Of the backlog, one goes first at each look that finds no arrivals.
//!
//! What a look polls goes ahead only on a P whose goroutines keep it long ([`QUICK`]). On a quick one it goes to the
//! tail: else what was polled at one look would be served twice before what was polled before it once. (Echo over 64
//! connections, one P, medians of five and seven interleaved runs: request 1.05 instead of 1.16, p99 1.13 instead of
//! 1.33 of what they were before there were looks.)
//!
//! Every 61st time slice the global queue and the backlog are looked into as well, and every 61st dispatch I/O, whatever the time: where
//! goroutines are quick, that is sooner.
//!
//! Those that a timer wakes do not go to runnext if others wait: eight that compute for 0.5 ms and sleep for 10 us would
//! fill it before each dispatch.
//!
//! Rejected: *to count slices alone* (Go's way): with slices of 5 ms, 61 of them are 300 ms. *To put arrivals behind
//! what is queued*: the wait is then the number of those that compute, times their turns.

/// Of so many looks, in one a goroutine that is late goes first: once in 10 ms.
const LATE: u8 = 5;

/// How long the P's own queues have their turn, in nanoseconds, if the next look does not come sooner. The monitor may be
/// late, on a busy machine.
const TURN: u64 = 2_000_000;

/// Goroutines from one look to the next that make a P a quick one: they keep it for some 30 us each.
const QUICK: u32 = 61;

/// One P's.
pub(crate) struct Turns {
    /// Until when it is the turn of the P's own queues; 0 if it is not.
    own_until: u64,
    /// Looks since one that was late had a turn, or since there was none.
    looks: u8,
    /// How many goroutines the P had dispatched at the last look.
    dispatches: u32,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { own_until: 0, looks: 0, dispatches: 0 }
    }

    /// The P looks around. `left` says that arrivals are left from the time before, `late` that goroutines are late.
    pub(crate) fn look(&mut self, left: bool, late: bool, now: u64) {
        self.own_until = if left && self.own_until == 0 { now + TURN } else { 0 };
        self.looks = if late { self.looks.saturating_add(1) } else { 0 };
    }

    /// Returns whether the P has dispatched [`QUICK`] goroutines or more since the last call, of which there is one a look.
    pub(crate) fn is_quick(&mut self, dispatches: u32) -> bool {
        let before = std::mem::replace(&mut self.dispatches, dispatches);
        dispatches.wrapping_sub(before) >= QUICK
    }

    /// Whether arrivals go before the P's own queues.
    pub(crate) fn arrivals_first(&mut self, now: impl FnOnce() -> u64) -> bool {
        if self.own_until != 0 && now() >= self.own_until {
            self.own_until = 0;
        }
        self.own_until == 0
    }

    /// Whether one that is late goes before the P's own queues.
    pub(crate) fn late_first(&self) -> bool {
        self.looks >= LATE
    }

    /// One that was late has its turn, or is to wait for a whole round.
    pub(crate) fn restart_late(&mut self) {
        self.looks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_that_do_not_end_share_the_time() {
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
        assert!(turns.arrivals_first(|| 2), "none was left");
    }

    #[test]
    fn a_turn_ends_without_a_look() {
        let mut turns = Turns::new();
        turns.look(true, false, 7);
        assert!(!turns.arrivals_first(|| 6 + TURN));
        assert!(turns.arrivals_first(|| 7 + TURN) && turns.arrivals_first(|| unreachable!("it is nobody's turn")));
    }

    #[test]
    fn the_late_have_one_turn_in_a_slice() {
        let mut turns = Turns::new();
        let mut served = 0;
        for _ in 0..5 * LATE {
            turns.look(false, true, 1);
            if turns.late_first() {
                served += 1;
                turns.restart_late();
            }
        }
        assert_eq!(served, 5);
        (0..LATE).for_each(|_| turns.look(false, false, 1));
        assert!(!turns.late_first(), "nobody is late");
    }
}
