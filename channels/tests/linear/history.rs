//! The record of a test.

use std::fmt;

/// A point in time.
///
/// Earlier points are smaller, and no two are equal.
pub(crate) type Stamp = u64;

/// One way in which a call can complete.
///
/// Channels are numbered, and each value occurs once in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Send { chan: usize, value: u32 },
    Recv { chan: usize },
}

impl Arm {
    pub(crate) fn chan(self) -> usize {
        match self {
            Self::Send { chan, .. } | Self::Recv { chan } => chan,
        }
    }
}

/// The behavior of a call if no arm is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Gives up immediately: `try_`, `default`.
    Never,
    /// Gives up after a while: `_timeout`, `default(timeout)`.
    ForAWhile,
    /// Waits without a limit.
    Forever,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Select {
        arms: Vec<Arm>,
        patience: Patience,
        /// Prefers the first arm that is ready.
        biased: bool,
        /// Makes its message only after its arm was chosen.
        late: bool,
    },
    Close {
        chan: usize,
    },
    IsClosed {
        chan: usize,
    },
}

impl Call {
    /// Creates an operation with one arm.
    pub(crate) fn one(arm: Arm, patience: Patience) -> Self {
        Self::Select { arms: vec![arm], patience, biased: false, late: false }
    }

    pub(crate) fn is_late(&self) -> bool {
        matches!(self, Self::Select { late: true, .. })
    }
}

/// The outcome of an operation.
///
/// Arms are indices into the call's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent {
        arm: usize,
    },
    /// The channel was closed, and the value was returned.
    SendFailed {
        arm: usize,
    },
    Received {
        arm: usize,
        value: u32,
    },
    /// The channel was closed and drained.
    RecvFailed {
        arm: usize,
    },
    /// *Full*, *empty*, `default`, timed out.
    GaveUp,
    Closed,
    /// "close of closed channel".
    CloseFailed,
    IsClosed(bool),
}

/// A call that has responded.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
    pub(crate) invoked: Stamp,
    pub(crate) responded: Stamp,
    /// A point in time by which another task had seen the caller parked in this call.
    pub(crate) parked: Option<Stamp>,
}

/// All calls of all tasks.
///
/// The calls of each task are in that task's order.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// The capacity of each channel.
    ///
    /// `None` means that the channel is unbounded.
    pub(crate) capacities: Vec<Option<usize>>,
    pub(crate) tasks: Vec<Vec<Event>>,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { chan, value } => write!(f, "send({chan}, {value})"),
            Self::Recv { chan } => write!(f, "recv({chan})"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select { arms, patience, biased, late } => {
                for (n, arm) in arms.iter().enumerate() {
                    write!(f, "{}{arm}", if n == 0 { "" } else { " | " })?;
                }
                let patience = match patience {
                    Patience::Never => " | default",
                    Patience::ForAWhile => " | timeout",
                    Patience::Forever => "",
                };
                let [biased, late] =
                    [(biased, " (biased)"), (late, " (late)")].map(|(is, text)| if *is { text } else { "" });
                write!(f, "{patience}{biased}{late}")
            }
            Self::Close { chan } => write!(f, "close({chan})"),
            Self::IsClosed { chan } => write!(f, "is_closed({chan})"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, outcome, invoked, responded, parked } = self;
        write!(f, "{invoked:4} ..{responded:4}  {call}  ->  {outcome:?}")?;
        parked.map_or(Ok(()), |parked| write!(f, "  (seen parked at {parked})"))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "capacities: {:?}", self.capacities)?;
        let mut events: Vec<_> = self
            .tasks
            .iter()
            .enumerate()
            .flat_map(|(task, events)| events.iter().map(move |event| (task, event)))
            .collect();
        events.sort_by_key(|(_, event)| event.invoked);
        events.iter().try_for_each(|(task, event)| writeln!(f, "task {task}: {event}"))
    }
}
