//! The wake policy: every rule about when an M wakes another M, or takes work from it.
//!
//! Waking an M costs the waker 7 us, and the woken M responds after 21 us. What it then takes from
//! another queue costs some cache misses, and so does each goroutine that has to communicate with
//! it from then on. So a wake-up pays only for work that would have waited longer than that. On the
//! other hand, no goroutine may wait for a long time while a P is idle (W1 of
//! [`crate::protocol::idle`]), and no push may wake more than one M (W2). This module contains the
//! decisions and their numbers. Each rule names the modules that use it. The protocol that makes a
//! wake-up safe is [`crate::protocol::idle`].
//!
//! # Rules
//! * **R1, a push to a queue is published**: the pusher follows the *submit* recipe and wakes one
//!   searcher if a P is idle and no M searches. With one P it does not even check.
//!   ([`crate::wait::ready`])
//! * **R2, a goroutine in the runnext slot is not published.** The P is about to run it itself.
//!   Waking a core for each message of a ping-pong would be the storm that W2 forbids. But the
//!   waker may also continue to compute. Three rules cover that case:
//!   * *R2a*: a searcher that sees the same goroutine in a runnext slot for [`RUNNEXT_GRACE_NS`]
//!     takes it ([`crate::sched::search`]).
//!   * *R2b, a prediction per goroutine*: a goroutine that keeps busy after it has woken another
//!     wakes a searcher at once. Either a thief that takes the runnext of such a goroutine detects
//!     this, or the clock does. The clock is read for one wake-up in [`WAKE_SAMPLE_RATE`]: if the
//!     waker has kept its P for [`BUSY_WAKER_NS`], it [keeps busy](keeps_busy). From then on the
//!     clock is read for each wake-up, and one short stay ends the prediction. So the idle P serves
//!     a sender that keeps its P busy, at the cost of a wake-up each time, and a ping-pong wakes no
//!     M. ([`crate::wait::ready`])
//!   * *R2c*: sysmon, which checks every few milliseconds, wakes a searcher for a runnext that it
//!     sees twice ([`crate::sched::sysmon`]). That bounds the wait the first time.
//! * **R3, a short queue is left to a quick owner.** A searcher [samples](queue_is_worth_a_theft)
//!   how fast the owner dispatches before it takes from a queue of fewer than [`ALWAYS_STEAL_LEN`].
//!   If even the last goroutine in the queue gets its turn sooner than a thief would help, the
//!   queue is left to the owner, and pushes to it wake no M until sysmon's next check. This bounds
//!   the wait of goroutines that are queued behind one that suddenly computes.
//!   ([`crate::sched::search`], [`crate::wait::ready`])
//! * **R4, a batch of the poller need not wake an M.** Each P knows how long its goroutines have
//!   kept it recently ([`DispatchPace`]). The M that polls wakes a searcher for a batch that will
//!   take [`MIN_BATCH_WORK_NS`] at this pace. ([`crate::netpoll::poll`])
//! * **R5, one search begets the next.** At most half of the busy Ms search. The last searcher that
//!   finds work wakes the next one if more work waits, so wake-ups cascade one by one. An M that
//!   releases its P checks once more. ([`crate::protocol::idle`])
//! * **R6, a searcher stops after [`SEARCH_TIME_NS`]**, about what its sleep and the next wake-up
//!   would cost together, and after [half of that](search_time_ns) if all other Ps are idle.
//! * **R7, sysmon catches what a prediction has missed.** It wakes a searcher for a P whose M has
//!   not returned to the scheduler since the last check, if goroutines are queued there, one of its
//!   timers is overdue, or its runnext is forgotten (R2c). If this continues, sysmon retakes the P.
//!   ([`crate::sched::sysmon`])
//! * **R8, a P with work or timers that loses its M gets another M at once**, a spare or a new one,
//!   without a search. ([`crate::sched::handoff`])
//! * **R9, timers and I/O have an M that waits for them.** The watcher of an idle P sleeps until
//!   the P's first timer; one sleeping M is the poller. ([`crate::time::p_timers`],
//!   [`crate::protocol::poller`])
//!
//! One rule keeps queues short instead: beyond [`LOCAL_QUEUE_CAP`], goroutines that have never run
//! go to the backlog of the P ([`crate::gmp`]).
//!
//! # Rejected
//! * *A wake-up for every ready while a P is idle*, with a grace of 3 us or more before a thief
//!   takes a runnext, as in Go: 100 us at the median here, and a useless wake-up of a core in each
//!   ping-pong.
//! * *Measuring the pace where goroutines are dispatched*: two reads of the clock, 40 ns, for each
//!   dispatch.
//! * *Never waking for short queues*: a P whose goroutines compute for a millisecond each has short
//!   queues too.
//! * *The median instead of the mean in R4*: with one request in a thousand that computes for 10
//!   ms, a batch of ten is worth a wake-up.

/// R6: how long an M searches before it sleeps.
const SEARCH_TIME_NS: u64 = 30_000;

/// R2a: how long a goroutine must have been seen in a runnext slot before a thief takes it.
///
/// With a smaller value, thieves tear request and reply pairs apart; with a larger one, a goroutine
/// waits longer for its busy waker.
pub(crate) const RUNNEXT_GRACE_NS: u64 = 5_000;

/// R3: how long a searcher samples a short queue before it takes from it.
pub(crate) const QUEUE_SAMPLE_NS: u64 = 5_000;

/// R3: a queue of at least this length is always worth a theft, however quick its owner is.
pub(crate) const ALWAYS_STEAL_LEN: usize = 16;

/// R2b: one wake-up in this many is timed.
///
/// Two reads of the clock, 40 ns, then cost less than 3 ns per wake-up.
const WAKE_SAMPLE_RATE: u32 = 16;

/// R2b: how long a waker must keep its P to be worth a searcher, which is about as long as a
/// searcher takes to arrive.
const BUSY_WAKER_NS: u64 = 25_000;

/// R4: how much work is worth a wake-up: 7 us for the waker, 20 more until the woken M arrives, and
/// then the two share the rest.
///
/// Measured with TCP echo over 64 connections on two Ps and two CPUs, one of which the client uses.
/// A request takes 9.4 us if any second goroutine is worth a wake-up, 7.8 if work from 70 us on is,
/// 7.2 from 140 us on, and 7.0 if nothing is.
const MIN_BATCH_WORK_NS: u64 = 140_000;

/// The length at which the local queue counts as long, so that goroutines that have never run go to
/// the backlog (the length of Go's queue).
///
/// Each of these may take a page fault.
pub(crate) const LOCAL_QUEUE_CAP: usize = 256;

/// Returns `true` if the `wakes`th wake-up by a goroutine is to be timed (R2b).
#[inline]
pub(crate) fn is_wake_sampled(wakes: u32) -> bool {
    wakes.is_multiple_of(WAKE_SAMPLE_RATE)
}

/// Returns `true` if a goroutine that parks has kept busy since it woke another (R2b).
///
/// If the woken goroutine is no longer in the runnext slot, another M has taken it, so the waker
/// was busy. If it still waits there (`woken_waits`), only the time that the waker `kept` its P
/// counts, since a searcher may have been late.
#[inline]
pub(crate) fn keeps_busy(woken_waits: bool, kept: impl FnOnce() -> u64) -> bool {
    !woken_waits || kept() >= BUSY_WAKER_NS
}

/// Returns `true` if a queue of `queued` goroutines is worth a theft, after a sample in which its
/// owner dispatched `dispatched` goroutines (R3).
///
/// The queue is worth it if its last goroutine would still wait after one more sample. In
/// particular, this is so if the owner is busy with one goroutine.
///
/// Medians of two interleaved runs, two Ps (`select2_unbuf`, `select8_buf128`, `rwlock_1pct` of the
/// benchmarks against peers): 389, 320 and 72 ns if any queue is worth it, and 174, 161 and 22 ns
/// with this rule. A receiver that selects over two channels and its two senders finish their
/// exchange in less time than a theft takes. A thief that takes one of them each time it is queued
/// slows all three to half speed.
pub(crate) fn queue_is_worth_a_theft(queued: usize, dispatched: usize) -> bool {
    queued >= ALWAYS_STEAL_LEN || dispatched <= queued
}

/// Returns how long to search (R6).
///
/// If all other Ps are idle, there are no queues to steal from, and half of the time suffices for
/// what other threads push.
pub(crate) fn search_time_ns(others_idle: bool) -> u64 {
    if others_idle { SEARCH_TIME_NS / 2 } else { SEARCH_TIME_NS }
}

/// R4: how long goroutines keep one P on average.
pub(crate) struct DispatchPace {
    mean_ns: u64,
    /// When the measurement began, and the P's dispatches at that time; 0 if no measurement is in
    /// progress.
    since_ns: u64,
    dispatches: u32,
}

impl DispatchPace {
    /// Returns the initial estimate, which always wakes an M.
    pub(crate) fn new() -> Self {
        Self { mean_ns: MIN_BATCH_WORK_NS, since_ns: 0, dispatches: 0 }
    }

    /// Begins a measurement: the M has polled, and begins to run what it found.
    pub(crate) fn begin(&mut self, now: u64, dispatches: u32) {
        (self.since_ns, self.dispatches) = (now, dispatches);
    }

    /// Ends a measurement, since the M polls again.
    ///
    /// The measured time has a weight of one eighth.
    pub(crate) fn end(&mut self, now: u64, dispatches: u32) {
        let ran = dispatches.wrapping_sub(self.dispatches);
        if self.since_ns != 0 && ran > 0 {
            let each = now.saturating_sub(self.since_ns) / u64::from(ran);
            self.mean_ns = self.mean_ns - self.mean_ns / 8 + each / 8;
        }
        self.since_ns = 0;
    }

    /// Returns `true` if a batch of this many goroutines is worth waking an M for.
    pub(crate) fn is_batch_worth_a_wake(&self, goroutines: usize) -> bool {
        self.mean_ns.saturating_mul(goroutines as u64) >= MIN_BATCH_WORK_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the pace after a hundred batches of ten goroutines that took `each` microseconds.
    fn after(each: impl Fn(u64) -> u64) -> DispatchPace {
        let mut pace = DispatchPace::new();
        for batch in 0..100 {
            pace.begin(1, 7);
            pace.end(1 + (0..10).map(|g| each(batch * 10 + g)).sum::<u64>() * 1000, 17);
        }
        pace
    }

    #[test]
    fn unknown_pace_wakes_for_one_goroutine() {
        let pace = DispatchPace::new();
        assert!(pace.is_batch_worth_a_wake(1) && !pace.is_batch_worth_a_wake(0));
    }

    #[test]
    fn short_batch_wakes_no_m() {
        let pace = after(|_| 4);
        assert!(!pace.is_batch_worth_a_wake(20) && pace.is_batch_worth_a_wake(40));
        assert!(after(|_| 100).is_batch_worth_a_wake(2));
    }

    #[test]
    fn rare_long_goroutines_raise_the_mean() {
        let pace = after(|g| if g % 1000 == 995 { 10_000 } else { 4 });
        assert!(pace.is_batch_worth_a_wake(2));
    }

    #[test]
    fn time_without_a_dispatch_does_not_count() {
        let mut pace = after(|_| 4);
        pace.begin(1, 17);
        pace.end(1_000_000_000, 17);
        pace.end(2_000_000_000, 18);
        assert!(!pace.is_batch_worth_a_wake(20));
    }

    #[test]
    fn waker_keeps_busy_if_its_runnext_was_taken_or_it_stayed_long() {
        assert!(keeps_busy(false, || unreachable!("the clock need not be read")));
        assert!(keeps_busy(true, || BUSY_WAKER_NS) && !keeps_busy(true, || BUSY_WAKER_NS - 1));
        assert_eq!((1..=2 * WAKE_SAMPLE_RATE).filter(|&n| is_wake_sampled(n)).count(), 2);
    }

    #[test]
    fn short_queue_is_stolen_from_only_if_its_owner_is_slow() {
        assert!(queue_is_worth_a_theft(1, 0) && queue_is_worth_a_theft(3, 3));
        assert!(!queue_is_worth_a_theft(3, 4));
        assert!(queue_is_worth_a_theft(ALWAYS_STEAL_LEN, 1000));
    }
}
