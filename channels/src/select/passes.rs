//! The passes of a select, which choose one of several operations or wait for one.
//!
//! # Protocol
//! 1. *Without all locks* (`select_one_ready`): check all arms without a lock, and pick one of the
//!    arms that seem possible. The pick is random with equal probability for each arm, or the first
//!    such arm for a biased select. Take the lock of that one channel and perform the operation. In
//!    most cases the select is then complete. If nothing seems possible and the select must not
//!    wait, the epochs tell whether nothing was possible at one instant (`head`). If so, the select
//!    is also complete.
//! 2. *Under all locks* (`select_locked`): take the locks of all channels in the order of their
//!    addresses, so that two selects do not wait for each other. The passes have the numbers of
//!    Go's `selectgo`.
//!    * `pass_1` looks for an operation that is ready, and performs it. If none is ready, then none
//!      was possible at this instant, as a `default` or a deadline must be able to report.
//!    * `pass_2` links a node into the queue of every channel, all with one claim, and the select
//!      parks. The commit step releases all locks. The first peer takes the claim and completes the
//!      operation of that one arm (`queue`). Other peers find the claim taken, and continue with
//!      the next node.
//!    * `pass_3` removes the nodes of the other arms once the select is awake.
//!
//! *A select never meets itself*: while it checks its arms it has no node in a queue, and while it
//! waits it does not check its arms.
//!
//! *Clocks.* An arm on an alarm has no peer. The alarm limits how long the select waits, and the
//! next check finds the message.
//!
//! *Readiness* (`Select::ready`) works in the same way, but performs nothing. The nodes are
//! watchers, and a woken watcher checks its arms again. An event wakes one watcher only. That
//! watcher wakes the next one if, after its check, the event still applies.
//!
//! *Retrying.* A wait can end without a result, because the sending peer gave up or an alarm was
//! reset. The select then starts over at 1.
//!
//! # Rejected
//! * Registering with one channel after the other and then polling again (crossbeam-channel). A
//!   wake-up can arrive before the wait, so extra states are needed for that case. The answer of
//!   `default` then also does not describe one instant.
//! * Trying the channels in a random rotation. An operation that follows impossible ones is then
//!   picked more often.
//!
//! # Invariants
//! * I1: an arm's node is in a queue only between `pass_2` and `pass_3`. `pass_3` removes the node
//!   or knows that a peer has removed it.
//! * I2: nothing in the frame is touched after the last unlock of the commit step. Before that
//!   unlock, the woken select cannot leave the frame. `pass_3` needs the lock of every arm except
//!   the completed arm, and a peer completed that arm only after its lock was released.
//! * I3: the contract of `select_arms` holds for the arms of a [`Selecting`].

use std::ptr::NonNull;
use std::time::Instant;

use super::arm::{Arm, Attempt, Completion, LazyInstant, LockedArms};
use super::pick::{GROUP, Pick, shuffle};
use crate::alarm::Alarm;
use crate::head::{Direction, Grant, Head};
use crate::primitive::{Blocker, Case, Claim, Timed, WaitReason};
use crate::queue::ClaimedWatchers;
use crate::waiter::{Outcome, PinnedNode};

/// The action on the chosen arm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Perform its operation.
    Perform,
    /// Only report that it is ready.
    Ready,
}

/// The time until which a select waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Now,
    At(Instant),
    Never,
}

/// The result of one step of a select.
enum Step {
    /// The arm at this position is chosen.
    Chosen(usize),
    /// At one instant, no operation was possible.
    NoneReady,
    /// Nothing is known yet, so the select starts over.
    Retry,
}

/// The result of `pass_1`.
enum Pass1<'s, 'a> {
    /// The locks are released.
    Decided(Step),
    /// No operation is possible.
    NoneReady(LockedArms<'s, 'a>),
}

/// A select in progress.
struct Selecting<'m, 's, 'a> {
    arms: &'m mut [&'s Arm<'a>],
    goal: Goal,
    limit: Limit,
    biased: bool,
    /// The time at which the select began. Alarms need it if their next message is due relative to
    /// that time.
    asked: LazyInstant,
}

/// Chooses an arm, and performs its operation if that is the goal.
///
/// Returns the arm's position, or `None` if no operation was possible up to the limit. Afterwards
/// the arms may be in a different order.
///
/// # Safety
/// Each arm is in the list once, stays in place, and is not used otherwise until this returns. If
/// the goal is to perform an operation, each arm's slot is set (I2 of `arm`).
pub(crate) unsafe fn select_arms(arms: &mut [&Arm<'_>], goal: Goal, limit: Limit, biased: bool) -> Option<usize> {
    let mut select = Selecting { arms, goal, limit, biased, asked: LazyInstant::new() };
    loop {
        let step = match select.select_one_ready() {
            Step::Retry => select.select_locked(),
            step => step,
        };
        match step {
            Step::Chosen(position) => return Some(position),
            Step::NoneReady => return None,
            Step::Retry => {}
        }
    }
}

impl<'a> Selecting<'_, '_, 'a> {
    /// Performs step 1 of the protocol.
    #[inline]
    fn select_one_ready(&self) -> Step {
        let (now, at_once) = (LazyInstant::new(), self.limit == Limit::Now);
        let look = |_, arm: &Arm<'_>| {
            if at_once {
                // Read before the check, so that the epoch covers every change that the check does
                // not see.
                arm.epoch.set(arm.head().map_or(0, Head::epoch));
            }
            arm.looks_ready(&now)
        };
        let Some(position) = self.pick(look) else {
            return if at_once && self.nothing_has_changed() { Step::NoneReady } else { Step::Retry };
        };
        let Some(mut guard) = self.arms[position].lock() else { return Step::Retry };
        let chosen = match self.goal {
            Goal::Perform => {
                // SAFETY: I3: the slot is set.
                let attempt = unsafe { guard.locked().attempt(&self.asked) };
                guard.complete(attempt)
            }
            Goal::Ready => {
                let ready = guard.locked().is_ready(&LazyInstant::new());
                guard.unlock();
                ready
            }
        };
        if chosen { Step::Chosen(position) } else { Step::Retry }
    }

    /// Returns `true` if nothing has become possible since `select_one_ready` noted the epochs.
    #[inline]
    fn nothing_has_changed(&self) -> bool {
        let later = LazyInstant::new();
        self.arms.iter().all(|arm| {
            // The passing of time raises no epoch.
            let due = arm.as_alarm().is_some() && arm.looks_ready(&later);
            !due && arm.head().is_none_or(|head| head.epoch() == arm.epoch.get())
        })
    }

    /// Picks one of the arms for which `possible` returns `true`.
    #[inline]
    fn pick(&self, mut possible: impl FnMut(usize, &Arm<'_>) -> bool) -> Option<usize> {
        let mut pick = Pick::new(self.biased);
        for (n, group) in self.arms.chunks(GROUP).enumerate() {
            let first = n * GROUP;
            let offered = |bits, (bit, arm): (usize, &&Arm<'_>)| bits | u64::from(possible(first + bit, arm)) << bit;
            let bits = group.iter().enumerate().fold(0, offered);
            pick.offer(first, bits, |bit| group[bit].index());
        }
        pick.picked()
    }

    /// Performs step 2 of the protocol.
    fn select_locked(&mut self) -> Step {
        sort(self.arms, self.biased);
        let blocker = Blocker::new();
        let Some(deadline) = self.deadline() else {
            let claim = Claim::new();
            return match self.pass_1(LockedArms::lock(self.arms)) {
                Pass1::Decided(step) => step,
                Pass1::NoneReady(locked) => self.wait(locked, &blocker, &claim, None),
            };
        };
        if deadline <= Instant::now() {
            return match self.pass_1(LockedArms::lock(self.arms)) {
                Pass1::Decided(step) => step,
                Pass1::NoneReady(locked) => {
                    locked.unlock();
                    // The deadline may belong to an alarm whose message another receiver took.
                    let is_over = self.limit == Limit::Now || self.limit == Limit::At(deadline);
                    if is_over { Step::NoneReady } else { Step::Retry }
                }
            };
        }
        let claim = Claim::shut();
        // The timer is armed before the locks are taken, because arming takes a mutex and may
        // allocate. SAFETY: the claim is new and shut, and belongs to this wait.
        unsafe {
            blocker.with_deadline(deadline, &claim, self.arms.len(), |timed| {
                self.select_until(deadline, &blocker, &claim, timed)
            })
        }
    }

    /// Performs step 2 of the protocol for a select with a deadline. The deadline's timer is
    /// already armed.
    fn select_until(&self, deadline: Instant, blocker: &Blocker, claim: &Claim, timed: Timed<'_>) -> Step {
        let mut locked = match self.pass_1(LockedArms::lock(self.arms)) {
            Pass1::Decided(step) => return step,
            Pass1::NoneReady(locked) => locked,
        };
        // An alarm may have been reset since the deadline was computed.
        let mut all = 0..self.arms.len();
        if all.any(|position| locked.arm(position).next_due().is_some_and(|next| next < deadline)) {
            locked.unlock();
            return Step::Retry;
        }
        let step = self.wait(locked, blocker, claim, Some(timed));
        // The select has waited until the deadline, so no operation was possible at the deadline.
        // Checking again would be barging.
        let is_late = self.limit == Limit::At(deadline) && claim.winner() == Some(self.arms.len());
        let is_due = || self.arms.iter().any(|arm| arm.as_alarm().is_some_and(|alarm| alarm.is_due(deadline)));
        if is_late && !is_due() { Step::NoneReady } else { step }
    }

    /// Returns when to stop waiting, either at the limit or to check an alarm. `None` means never.
    fn deadline(&self) -> Option<Instant> {
        let limit = match self.limit {
            Limit::Now => Some(Instant::now()),
            Limit::At(when) => Some(when),
            Limit::Never => None,
        };
        let next = |alarm: &Alarm| {
            self.asked.get();
            alarm.next()
        };
        self.arms.iter().filter_map(|arm| next(arm.as_alarm()?)).chain(limit).min()
    }

    /// Looks for an operation that is ready, and performs it.
    fn pass_1<'t>(&self, mut locked: LockedArms<'t, 'a>) -> Pass1<'t, 'a> {
        loop {
            let now = LazyInstant::new();
            let Some(position) = self.pick(|position, _| locked.arm(position).is_ready(&now)) else {
                return Pass1::NoneReady(locked);
            };
            if self.goal == Goal::Ready {
                locked.unlock();
                return Pass1::Decided(Step::Chosen(position));
            }
            // SAFETY: I3: the slot is set.
            let attempt = unsafe { locked.arm(position).attempt(&self.asked) };
            // If the attempt is blocked after all, the peer that seemed to wait was completed
            // through another queue in the meantime, and its node has left this queue.
            if !matches!(attempt, Attempt::Blocked) {
                let completed = locked.unlock_all_but(position).is_some_and(|guard| guard.complete(attempt));
                return Pass1::Decided(if completed { Step::Chosen(position) } else { Step::Retry });
            }
        }
    }

    /// Waits until a peer completes one of the operations, or the deadline is reached.
    ///
    /// The claim is new. If there is a deadline, the claim is shut.
    fn wait(&self, locked: LockedArms<'_, 'a>, blocker: &Blocker, claim: &Claim, timed: Option<Timed<'_>>) -> Step {
        let (locked, watchers) = self.pass_2(locked, blocker, claim);
        // I2: this frame may be gone after the unlock.
        let commit = move || {
            locked.unlock();
            watchers.wake_all();
        };
        let is_endless = self.arms.iter().all(|arm| arm.head().is_none());
        let reason = if is_endless { WaitReason::SelectNoCases } else { WaitReason::Select };
        match timed {
            // SAFETY: the blocker was made for this wait. After the unlock, the commit step only
            // uses the watchers that it has claimed.
            None => unsafe { blocker.block(reason, commit) },
            // SAFETY: I2: the commit step has ended once `pass_3` has taken all locks except the
            // lock of the arm that a peer completed.
            Some(timed) => unsafe { timed.block(reason, commit) },
        }
        self.pass_3(claim).map_or(Step::Retry, |position| self.finish(position))
    }

    /// Enqueues a node on every channel. Returns the watchers that must be notified of these
    /// waiters.
    fn pass_2<'t>(
        &self,
        mut locked: LockedArms<'t, 'a>,
        blocker: &Blocker,
        claim: &Claim,
    ) -> (LockedArms<'t, 'a>, ClaimedWatchers) {
        let mut watchers = ClaimedWatchers::new();
        for (position, arm) in self.arms.iter().enumerate() {
            let mut locked = locked.arm(position);
            let Some(mut head) = locked.head() else { continue };
            let node = arm.init_node(Case::of(NonNull::from(claim), position), blocker.waker());
            // SAFETY: I1 and I3: the arm stays in place until `pass_3` or a peer has removed the
            // node.
            let node = unsafe { PinnedNode::new(node) };
            match self.goal {
                Goal::Perform => {
                    head.enqueue(arm.direction(), node).into_iter().for_each(|watcher| watchers.push(watcher));
                }
                Goal::Ready => head.queue(arm.direction()).push_watcher(node),
            }
        }
        (locked, watchers)
    }

    /// Dequeues the nodes of all arms except the winner. Returns the winner, unless the deadline
    /// won.
    fn pass_3(&self, claim: &Claim) -> Option<usize> {
        let winner = claim.winner().filter(|&position| position < self.arms.len());
        for (position, arm) in self.arms.iter().enumerate() {
            let Some(head) = arm.head().filter(|_| Some(position) != winner) else { continue };
            let mut guard = head.lock();
            let mut locked = guard.locked();
            let mut queue = locked.queue(arm.direction());
            // SAFETY: I1: the node is in this queue or in none.
            unsafe {
                match self.goal {
                    Goal::Perform => queue.remove(arm.node()),
                    Goal::Ready => queue.remove_watcher(arm.node()),
                }
            }
            guard.unlock();
        }
        winner
    }

    /// Reads the result that a peer has left for the winning arm.
    fn finish(&self, position: usize) -> Step {
        let arm = self.arms[position];
        if self.goal == Goal::Ready {
            arm.head().into_iter().for_each(|head| head.notify_next_watcher(arm.direction()));
            return Step::Retry;
        }
        // SAFETY: the claim was taken for this arm, and the select was woken. So the node has left
        // its queue, and the peer no longer touches it.
        let outcome = unsafe { arm.node().as_ref().value.outcome() };
        let completion = match (arm.direction(), outcome) {
            (_, Outcome::Retry) => return Step::Retry,
            (Direction::Recv, outcome) => Completion::Received(matches!(outcome, Outcome::Moved)),
            (Direction::Send, Outcome::Slot) => Completion::Granted(Grant::Slot),
            (Direction::Send, Outcome::Receiver(receiver)) => Completion::Granted(Grant::Receiver(receiver)),
            (Direction::Send, Outcome::Closed | Outcome::Moved) => Completion::Granted(Grant::Closed),
        };
        arm.set_completion(completion);
        Step::Chosen(position)
    }
}

/// Sorts the arms by address.
///
/// Among arms on the same channel the first one is served, so these arms are sorted by index, or at
/// random.
fn sort(arms: &mut [&Arm<'_>], biased: bool) {
    let key = |arm: &&Arm<'_>| (arm.address(), if biased { arm.index() } else { 0 });
    arms.sort_unstable_by_key(key);
    if !biased && arms.windows(2).any(|two| two[0].address() == two[1].address()) {
        shuffle(arms);
        arms.sort_unstable_by_key(key);
    }
}
