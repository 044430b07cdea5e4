//! The sequential model: which steps are possible next.

use std::collections::VecDeque;

use super::history::{Arm, Call, Event, History, Outcome, Patience, Stamp};

/// The channels, the tasks and the waiting calls at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    chans: Vec<Chan>,
    /// The number of calls of each task that have ended.
    over: Vec<u16>,
    /// The tasks whose next call waits, with the longest-waiting task first.
    waiting: Vec<u8>,
    /// By task: the arms of its next call, as bits, that were found unready since the call began.
    ///
    /// Kept only for biased calls.
    unready: Vec<u32>,
    /// The tasks whose next call was chosen to send, and has a slot reserved for its value.
    ///
    /// Sorted.
    reserved: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Chan {
    capacity: Option<usize>,
    values: VecDeque<u32>,
    closed: bool,
}

/// Returns the side of the channel to which an arm belongs: `true` for sends.
fn is_send(arm: Arm) -> bool {
    matches!(arm, Arm::Send { .. })
}

impl State {
    pub(crate) fn new(history: &History) -> Self {
        let chan = |&capacity| Chan { capacity, values: VecDeque::new(), closed: false };
        Self {
            chans: history.capacities.iter().map(chan).collect(),
            over: vec![0; history.tasks.len()],
            waiting: Vec::new(),
            unready: vec![0; history.tasks.len()],
            reserved: Vec::new(),
        }
    }

    /// Returns the number of calls that have ended.
    pub(crate) fn progress(&self) -> usize {
        self.over.iter().map(|&over| usize::from(over)).sum()
    }

    /// Returns `true` if all calls have ended.
    pub(crate) fn is_last(&self, history: &History) -> bool {
        (0..history.tasks.len()).all(|task| self.next(history, task).is_none())
    }

    /// Returns the task's next call.
    pub(crate) fn next<'h>(&self, history: &'h History, task: usize) -> Option<&'h Event> {
        history.tasks[task].get(usize::from(self.over[task]))
    }

    fn is_waiting(&self, task: usize) -> bool {
        self.waiting.contains(&(task as u8))
    }

    fn has_reservation(&self, task: usize) -> bool {
        self.reserved.contains(&(task as u8))
    }

    /// Returns `true` if the channel has room that is not reserved.
    fn has_room(&self, history: &History, chan: usize) -> bool {
        let is_kept_here = |&&task: &&u8| {
            let event = self.next(history, task.into());
            event.and_then(Event::chosen).is_some_and(|arm| arm.chan() == chan)
        };
        let Chan { capacity, values, .. } = &self.chans[chan];
        capacity.is_none_or(|capacity| values.len() + self.reserved.iter().filter(is_kept_here).count() < capacity)
    }

    /// Returns the time before which something must happen to the task's next call.
    pub(crate) fn due(&self, task: usize, event: &Event) -> Stamp {
        match event.parked {
            Some(parked) if !self.is_waiting(task) && !self.has_reservation(task) => parked.min(event.responded),
            _ => event.responded,
        }
    }

    /// Returns the longest-waiting call on one side of a channel, and its task.
    fn longest_waiting<'h>(&self, history: &'h History, chan: usize, sends: bool) -> Option<(usize, &'h Event)> {
        let stands_there = |arm: &Arm| arm.chan() == chan && is_send(*arm) == sends;
        self.waiting.iter().find_map(|&task| {
            let event = self.next(history, task.into())?;
            let Call::Select { arms, .. } = &event.call else { return None };
            arms.iter().any(stands_there).then_some((task.into(), event))
        })
    }

    fn is_ready(&self, history: &History, arm: Arm) -> bool {
        let chan = &self.chans[arm.chan()];
        let has_peer = || self.longest_waiting(history, arm.chan(), !is_send(arm)).is_some();
        match arm {
            _ if chan.closed => true,
            Arm::Send { chan, .. } => self.has_room(history, chan) || has_peer(),
            Arm::Recv { .. } => !chan.values.is_empty() || has_peer(),
        }
    }

    /// Ends the task's next call.
    fn end(&mut self, task: usize) {
        self.over[task] += 1;
        self.unready[task] = 0;
        self.waiting.retain(|&waiting| usize::from(waiting) != task);
        self.reserved.retain(|&reserved| usize::from(reserved) != task);
    }

    /// Reserves a slot for the task's call, whose value arrives later.
    fn reserve(&mut self, task: usize) {
        self.waiting.retain(|&waiting| usize::from(waiting) != task);
        self.reserved.push(task as u8);
        self.reserved.sort_unstable();
    }

    /// Lets a call that has begun check its arms now.
    pub(crate) fn look(&mut self, history: &History, task: usize) {
        if let Some(Event { call: Call::Select { arms, biased: true, .. }, .. }) = self.next(history, task) {
            let unready =
                (0..arms.len()).filter(|&n| !self.is_ready(history, arms[n])).fold(0, |bits, n| bits | 1 << n);
            self.unready[task] |= unready;
        }
    }

    /// Returns the state after the task's next call takes effect now.
    ///
    /// Returns `None` if the call cannot take effect with the outcome that it had.
    pub(crate) fn take_effect(&self, history: &History, task: usize) -> Option<Self> {
        let event = self.next(history, task)?;
        let mut next = self.clone();
        let possible = match (&event.call, event.outcome) {
            (&Call::Close { chan }, Outcome::Closed) => !std::mem::replace(&mut next.chans[chan].closed, true),
            (&Call::Close { chan }, Outcome::CloseFailed) => self.chans[chan].closed,
            (&Call::IsClosed { chan }, Outcome::IsClosed(closed)) => self.chans[chan].closed == closed,
            (Call::Select { arms, patience, .. }, outcome) if self.is_waiting(task) => {
                self.may_stop_waiting(arms, *patience, outcome)
            }
            (Call::Select { arms, patience, .. }, Outcome::GaveUp) => {
                *patience != Patience::Forever && !arms.iter().any(|&arm| self.is_ready(history, arm))
            }
            (Call::Select { .. }, outcome) => {
                let arm = event.chosen()?;
                let may = self.has_reservation(task) || self.may_choose(task, event);
                // Removed first, so that the slot reserved for the call is free.
                next.reserved.retain(|&reserved| usize::from(reserved) != task);
                may && next.complete(history, arm, outcome)
            }
            _ => false,
        };
        next.end(task);
        possible.then_some(next)
    }

    /// Returns `true` if a call that has just arrived may choose the arm that it actually chose.
    fn may_choose(&self, task: usize, event: &Event) -> bool {
        match (&event.call, event.outcome.arm()) {
            (Call::Select { biased: true, .. }, Some(chosen)) => (0..chosen).all(|n| self.unready[task] & 1 << n != 0),
            (_, chosen) => chosen.is_some(),
        }
    }

    /// Returns the state after the task's next call is chosen to send now, with its value arriving
    /// later.
    ///
    /// Returns `None` if the call cannot be chosen.
    pub(crate) fn choose(&self, history: &History, task: usize) -> Option<Self> {
        let event = self.next(history, task)?;
        let Some(Arm::Send { chan, .. }) = event.chosen() else { return None };
        let is_new = !self.is_waiting(task) && !self.has_reservation(task);
        let by_room = !self.chans[chan].closed
            && self.longest_waiting(history, chan, false).is_none()
            && self.has_room(history, chan);
        if !event.call.is_late() || !is_new || !by_room || !self.may_choose(task, event) {
            return None;
        }
        let mut next = self.clone();
        next.reserve(task);
        Some(next)
    }

    /// Returns `true` if a waiting call can end with this outcome without a peer.
    fn may_stop_waiting(&self, arms: &[Arm], patience: Patience, outcome: Outcome) -> bool {
        match outcome {
            Outcome::GaveUp => patience == Patience::ForAWhile,
            Outcome::SendFailed { arm } | Outcome::RecvFailed { arm } => self.chans[arms[arm].chan()].closed,
            _ => false,
        }
    }

    /// Applies an arm to the channel and to a waiting peer.
    ///
    /// Returns `false` if the arm cannot have had this outcome.
    fn complete(&mut self, history: &History, arm: Arm, outcome: Outcome) -> bool {
        let at = arm.chan();
        let closed = self.chans[at].closed;
        let peer = if closed { None } else { self.longest_waiting(history, at, !is_send(arm)) };
        match (arm, outcome) {
            (Arm::Send { value, .. }, Outcome::Sent { .. }) if !closed => match peer {
                Some((receiver, event)) => {
                    self.end(receiver);
                    event.received_at(at) == Some(value)
                }
                None => {
                    let has_room = self.has_room(history, at);
                    self.chans[at].values.push_back(value);
                    has_room
                }
            },
            (Arm::Send { .. }, Outcome::SendFailed { .. }) => closed,
            (Arm::Recv { .. }, Outcome::Received { value, .. }) => {
                match peer {
                    // The call is woken to deliver its value.
                    Some((sender, event)) if event.call.is_late() && !self.chans[at].values.is_empty() => {
                        if !event.chosen().is_some_and(|arm| is_send(arm) && arm.chan() == at) {
                            return false;
                        }
                        self.reserve(sender);
                    }
                    Some((sender, event)) => {
                        self.end(sender);
                        let Some(sent) = event.sent_at(at) else { return false };
                        self.chans[at].values.push_back(sent);
                    }
                    None => {}
                }
                self.chans[at].values.pop_front() == Some(value)
            }
            (Arm::Recv { .. }, Outcome::RecvFailed { .. }) => closed && self.chans[at].values.is_empty(),
            _ => false,
        }
    }

    /// Returns the state after the task's next call begins to wait now, or `None` if it cannot
    /// wait.
    pub(crate) fn wait(&self, history: &History, task: usize) -> Option<Self> {
        let event = self.next(history, task)?;
        let Call::Select { arms, patience, .. } = &event.call else { return None };
        let may = *patience != Patience::Never && !self.is_waiting(task) && !self.has_reservation(task);
        if !may || arms.iter().any(|&arm| self.is_ready(history, arm)) {
            return None;
        }
        let mut next = self.clone();
        next.waiting.push(task as u8);
        Some(next)
    }
}

impl Outcome {
    /// Returns the arm that completed.
    fn arm(self) -> Option<usize> {
        match self {
            Self::Sent { arm } | Self::SendFailed { arm } | Self::Received { arm, .. } | Self::RecvFailed { arm } => {
                Some(arm)
            }
            _ => None,
        }
    }
}

impl Event {
    fn chosen(&self) -> Option<Arm> {
        match &self.call {
            Call::Select { arms, .. } => self.outcome.arm().map(|arm| arms[arm]),
            _ => None,
        }
    }

    /// Returns the value that this call has received from the channel.
    fn received_at(&self, chan: usize) -> Option<u32> {
        match (self.chosen(), self.outcome) {
            (Some(Arm::Recv { chan: at }), Outcome::Received { value, .. }) if at == chan => Some(value),
            _ => None,
        }
    }

    /// Returns the value that this call has sent to the channel.
    fn sent_at(&self, chan: usize) -> Option<u32> {
        match (self.chosen(), self.outcome) {
            (Some(Arm::Send { chan: at, value }), Outcome::Sent { .. }) if at == chan => Some(value),
            _ => None,
        }
    }
}
