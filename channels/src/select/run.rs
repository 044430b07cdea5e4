//! How one of several operations is chosen, or waited for.
//!
//! # Protocol
//! 1. *Look* at all arms without a lock, and pick one of those that seem possible: at random, each as likely as the
//!    others, or the first for a biased select. Take the lock of that one channel and do it. Mostly this is all.
//! 2. If nothing seems possible, and the select must not wait, the epochs tell whether that was so at one instant
//!    (`head`); then it is over.
//! 3. Else *settle*: take the locks of all channels, in the order of their addresses, so that two selects do not wait for
//!    each other. Now look again; what is possible can be done. If nothing is, then nothing was at this instant, and this is
//!    what a `default` and a deadline may report.
//! 4. Else *wait*: link a node in the queue of every channel, all with one claim, and block; the commit step releases all
//!    locks. The first peer that comes takes the claim and does the operation of that one arm (`chan`). The others find
//!    the claim taken, and go on to the next node. The woken select takes its other nodes out, and is done.
//!
//! *A select never meets itself*: while it looks, it has no node anywhere; and while it waits, it does not look.
//!
//! *Clocks.* An arm on an alarm has no peer. It limits how long the select waits, and then the look finds it.
//!
//! *Watching* (`Select::ready`) is the same without doing anything: the nodes are watchers, and who is woken looks again.
//! An event wakes one watcher only; it looks, and while the thing is still possible it wakes the next.
//!
//! *Retrying.* A wait can end without a result: a peer that was to send gave up, an alarm was set anew. Then the select
//! begins again at 1.
//!
//! Rejected: registering with one channel after the other and then polling again (crossbeam-channel): a wake-up can
//! come before the wait, so there must be states for that; and the answer of `default` is not about one instant.
//! Rejected: trying the channels in a random rotation; those behind an impossible one are then picked more often.
//!
//! # Invariants
//! * I1: an arm's node is in a queue only inside of `wait`, which removes it, or knows that a peer has.
//! * I2: after the last unlock of the commit step nothing of the frame is touched: before that, the woken select cannot
//!   leave it, as it needs each of the locks to take its nodes out, except the one of the arm that was done; and that was done
//!   after its unlock.

use std::ptr::NonNull;
use std::time::Instant;

use super::arm::{Arm, Attempt, Done, Now};
use super::pick::{GROUP, Pick, shuffle};
use crate::alarm::Alarm;
use crate::head::{Chosen, Direction, Head};
use crate::primitive::{Blocker, Case, Claim, Timed, WaitReason};
use crate::queue::Owed;
use crate::waiter::{Outcome, Waiter};

/// What to do with the arm that is chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// To do it.
    Do,
    /// To know it.
    Watch,
}

/// How long to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Now,
    At(Instant),
    Never,
}

/// What a look or a settlement has come to.
enum Step {
    /// This arm is chosen.
    Chosen(usize),
    /// Nothing was possible at one instant.
    Impossible,
    /// Not known.
    Again,
}

/// Chooses an arm, and does it if that is the goal; its position. None if nothing was possible up to the limit.
///
/// The arms may have changed places afterwards.
///
/// # Safety
/// Each arm is aimed at a place as it says (I2 of `arm`), is here once, and stays in place and is not used otherwise until
/// this returns.
pub(crate) unsafe fn run(arms: &mut [&Arm<'_>], goal: Goal, limit: Limit, biased: bool) -> Option<usize> {
    let asked = &Now::new();
    loop {
        // SAFETY: the caller's contract.
        let step = match unsafe { look(arms, goal, limit, biased, asked) } {
            // SAFETY: the caller's contract.
            Step::Again => unsafe { settle(arms, goal, limit, biased, asked) },
            step => step,
        };
        match step {
            Step::Chosen(position) => return Some(position),
            Step::Impossible => return None,
            Step::Again => {}
        }
    }
}

/// Chooses among those arms of which `possible` says so; the position.
#[inline]
fn pick(arms: &[&Arm<'_>], biased: bool, possible: impl Fn(&Arm<'_>) -> bool) -> Option<usize> {
    let mut pick = Pick::new(biased);
    for (n, group) in arms.chunks(GROUP).enumerate() {
        let bits = group.iter().enumerate().fold(0, |bits, (bit, arm)| bits | u64::from(possible(arm)) << bit);
        pick.offer(n * GROUP, bits, |bit| group[bit].index());
    }
    pick.picked()
}

/// Steps 1 and 2.
///
/// # Safety
/// As for `run`.
#[inline]
unsafe fn look(arms: &[&Arm<'_>], goal: Goal, limit: Limit, biased: bool, asked: &Now) -> Step {
    let (now, at_once) = (Now::new(), limit == Limit::Now);
    let look = |arm: &Arm<'_>| {
        if at_once {
            // Before the look, so that it covers what the look does not see.
            arm.epoch.set(arm.head().map_or(0, Head::epoch));
        }
        arm.looks_ready(&now)
    };
    let Some(position) = pick(arms, biased, look) else {
        let later = Now::new();
        let unchanged = |arm: &&Arm<'_>| {
            // Time raises no epoch.
            let due = arm.watched_alarm().is_some() && arm.looks_ready(&later);
            !due && arm.head().is_none_or(|head| head.epoch() == arm.epoch.get())
        };
        return if at_once && arms.iter().all(unchanged) { Step::Impossible } else { Step::Again };
    };
    let arm = arms[position];
    let Some(head) = arm.head() else { return Step::Again };
    head.lock();
    // SAFETY: locked above, and the caller's contract.
    let chosen = unsafe {
        match goal {
            Goal::Do => arm.settle(arm.attempt(asked)),
            Goal::Watch => {
                let ready = arm.is_ready(&Now::new());
                head.unlock();
                ready
            }
        }
    };
    if chosen { Step::Chosen(position) } else { Step::Again }
}

/// Steps 3 and 4.
///
/// # Safety
/// As for `run`.
unsafe fn settle(arms: &mut [&Arm<'_>], goal: Goal, limit: Limit, biased: bool, asked: &Now) -> Step {
    sort(arms, biased);
    let blocker = Blocker::new();
    // SAFETY: the caller's contract, throughout; the locks are taken first.
    unsafe {
        let Some(deadline) = deadline(arms, limit, asked) else {
            let claim = Claim::new();
            lock_all(arms);
            return match settle_locked(arms, goal, biased, asked) {
                Some(step) => step,
                None => wait(arms, goal, &blocker, &claim, None),
            };
        };
        if deadline <= Instant::now() {
            lock_all(arms);
            return settle_locked(arms, goal, biased, asked).unwrap_or_else(|| {
                unlock_all(arms);
                // It may be the time of an alarm that another has taken.
                if limit == Limit::Now || limit == Limit::At(deadline) { Step::Impossible } else { Step::Again }
            });
        }
        let claim = Claim::shut();
        // Before the locks: setting a timer is no work for under a spin lock.
        blocker.with_deadline(deadline, &claim, arms.len(), |timed| {
            lock_all(arms);
            if let Some(step) = settle_locked(arms, goal, biased, asked) {
                return step;
            }
            // An alarm may have been set anew since the deadline was computed.
            if arms.iter().filter_map(|arm| arm.watched_alarm()?.next_locked()).any(|next| next < deadline) {
                unlock_all(arms);
                return Step::Again;
            }
            let step = wait(arms, goal, &blocker, &claim, Some(timed));
            // It waited to the end, so nothing was possible then: to look again would be to barge.
            let late = limit == Limit::At(deadline) && claim.winner() == Some(arms.len());
            let due = || arms.iter().any(|arm| arm.watched_alarm().is_some_and(|alarm| alarm.is_due(deadline)));
            if late && !due() { Step::Impossible } else { step }
        })
    }
}

/// Sorts the arms by address. Those on the same channel, of which the first will be served: by index, or at random.
fn sort(arms: &mut [&Arm<'_>], biased: bool) {
    let key = |arm: &&Arm<'_>| (arm.address(), if biased { arm.index() } else { 0 });
    arms.sort_unstable_by_key(key);
    if !biased && arms.windows(2).any(|two| two[0].address() == two[1].address()) {
        shuffle(arms);
        arms.sort_unstable_by_key(key);
    }
}

/// When to stop waiting, be it only to look at an alarm; none for never.
fn deadline(arms: &[&Arm<'_>], limit: Limit, asked: &Now) -> Option<Instant> {
    let limit = match limit {
        Limit::Now => Some(Instant::now()),
        Limit::At(when) => Some(when),
        Limit::Never => None,
    };
    let next = |alarm: &Alarm| {
        asked.get();
        alarm.next()
    };
    arms.iter().filter_map(|arm| next(arm.watched_alarm()?)).chain(limit).min()
}

/// Chooses among what is possible under the locks. If something is, releases them.
///
/// # Safety
/// As for `run`, and the caller holds all locks.
unsafe fn settle_locked(arms: &[&Arm<'_>], goal: Goal, biased: bool, asked: &Now) -> Option<Step> {
    // SAFETY: the caller's contract.
    unsafe {
        loop {
            let now = Now::new();
            let position = pick(arms, biased, |arm| arm.is_ready(&now))?;
            if goal == Goal::Watch {
                unlock_all(arms);
                return Some(Step::Chosen(position));
            }
            let arm = arms[position];
            let attempt = arm.attempt(asked);
            // Else the one who seemed to wait was taken in another queue meanwhile, and is gone from this one.
            if !matches!(attempt, Attempt::Blocked) {
                let others = |head: &Head, address| {
                    if address != arm.address() {
                        head.unlock();
                    }
                };
                each_lock(arms, others);
                return Some(if arm.settle(attempt) { Step::Chosen(position) } else { Step::Again });
            }
        }
    }
}

/// Step 4. Releases the locks.
///
/// # Safety
/// As for `run`, and the caller holds all locks; nothing is possible. The claim is new; shut, if there is a deadline.
unsafe fn wait(arms: &[&Arm<'_>], goal: Goal, blocker: &Blocker, claim: &Claim, timed: Option<Timed<'_>>) -> Step {
    let mut owed = Owed::new();
    for (position, arm) in arms.iter().enumerate() {
        let Some(head) = arm.head() else { continue };
        let case = Case::of(NonNull::from(claim), position);
        let node = arm.link(Waiter::new(case, blocker.waker(), arm.value()));
        // SAFETY: the lock is held. The node stays in place, and is taken out below or by a peer.
        unsafe {
            match goal {
                Goal::Do => head.enqueue(arm.direction(), node).into_iter().for_each(|watcher| owed.push(watcher)),
                Goal::Watch => head.queue(arm.direction()).push_watcher(node),
            }
        }
    }
    // SAFETY: the locks are held; the watchers were taken under them.
    let commit = move || unsafe {
        unlock_all(arms);
        owed.wake_all();
    };
    let reason =
        if arms.iter().all(|arm| arm.head().is_none()) { WaitReason::SelectNoCases } else { WaitReason::Select };
    match timed {
        // SAFETY: the blocker is the caller's own; the commit step wakes by wakers that it has brought along.
        None => unsafe { blocker.block(reason, commit) },
        // SAFETY: the commit step is over when all locks were taken again, but for that of a peer that has won.
        Some(timed) => unsafe { timed.block(reason, commit) },
    }
    let winner = claim.winner().filter(|&position| position < arms.len());
    for (position, arm) in arms.iter().enumerate() {
        if Some(position) != winner
            && let Some(head) = arm.head()
        {
            head.lock();
            let queue = head.queue(arm.direction());
            // SAFETY: locked above; the node is in this queue or in none.
            unsafe {
                match goal {
                    Goal::Do => queue.remove(arm.node()),
                    Goal::Watch => queue.remove_watcher(arm.node()),
                }
                head.unlock();
            }
        }
    }
    // SAFETY: the wake of the winner has come.
    winner.map_or(Step::Again, |position| unsafe { finish(arms[position], goal, position) })
}

/// What the end of the wait for this arm means.
///
/// # Safety
/// The claim was taken for this arm, and the wake has come.
unsafe fn finish(arm: &Arm<'_>, goal: Goal, position: usize) -> Step {
    if goal == Goal::Watch {
        // SAFETY: the arm has waited, so it has a channel.
        arm.head().into_iter().for_each(|head| unsafe { head.pass_word_on(arm.direction()) });
        return Step::Again;
    }
    // SAFETY: the wake has come, so the node is out of its queue and nobody else looks at it.
    let outcome = unsafe { arm.node().as_ref().value.outcome() };
    let done = match (arm.direction(), outcome) {
        (_, Outcome::Retry) => return Step::Again,
        (Direction::Recv, outcome) => Done::Received(matches!(outcome, Outcome::Moved)),
        (Direction::Send, Outcome::Room) => Done::Send(Chosen::Room),
        (Direction::Send, Outcome::Peer(receiver)) => Done::Send(Chosen::Peer(receiver)),
        (Direction::Send, Outcome::Closed | Outcome::Moved) => Done::Send(Chosen::Closed),
    };
    arm.set_done(done);
    Step::Chosen(position)
}

/// Takes the lock of every channel.
///
/// # Safety
/// The arms are sorted by address, and none of the locks is held by the caller.
unsafe fn lock_all(arms: &[&Arm<'_>]) {
    // SAFETY: the caller's contract.
    unsafe { each_lock(arms, |head, _| head.lock()) };
}

/// Releases the lock of every channel. The arms may be gone afterwards.
///
/// # Safety
/// As `lock_all` has left it.
unsafe fn unlock_all(arms: &[&Arm<'_>]) {
    // SAFETY: the caller's contract.
    unsafe { each_lock(arms, |head, _| head.unlock()) };
}

/// Calls `f` for every channel once, with its address; for the last one when the arms are not needed any more.
///
/// # Safety
/// The arms are sorted by address.
#[inline]
unsafe fn each_lock(arms: &[&Arm<'_>], mut f: impl FnMut(&Head, usize)) {
    let mut last: Option<(&Head, usize)> = None;
    for arm in arms {
        let Some(head) = arm.head() else { continue };
        let address = arm.address();
        if last.is_none_or(|(_, last)| last != address)
            && let Some((head, address)) = last.replace((head, address))
        {
            f(head, address);
        }
    }
    if let Some((head, address)) = last {
        f(head, address);
    }
}
