//! Thousands of small histories of selects over two channels, each checked against the sequential
//! model. `linear/main.rs` explains the terms.

use std::time::Duration;

use crate::common::random::Rng;
use crate::common::{everywhere, random, rounds, spawn, until, yield_now};
use crate::history::{Arm, Call, Outcome, Patience};
use crate::script::{Ends, Perform, Plan, perform_one};
use crate::search;
use greenthread_channels::{
    RecvError, RecvTimeoutError, Select, SendError, SendTimeoutError, bounded, select, select_biased,
};

/// The maximum number of histories in each setting and for each form of select.
const HISTORIES: usize = 600;

/// The waiting time of a call that gives up after a while.
///
/// It is long enough that a peer may arrive, and short enough that often no peer does.
const WHILE: Duration = Duration::from_micros(300);

/// Makes a message slowly, after its arm was chosen.
fn message(value: u32) -> u32 {
    if value.is_multiple_of(3) {
        yield_now();
    }
    value
}

fn sent(arm: usize, value: u32, result: Result<(), SendError<u32>>) -> Outcome {
    match result {
        Ok(()) => Outcome::Sent { arm },
        Err(SendError(back)) => {
            assert_eq!(back, value, "another value came back");
            Outcome::SendFailed { arm }
        }
    }
}

fn received(arm: usize, result: Result<u32, RecvError>) -> Outcome {
    match result {
        Ok(value) => Outcome::Received { arm, value },
        Err(RecvError) => Outcome::RecvFailed { arm },
    }
}

/// Performs a call with one arm that waits for a while, without a select.
fn wait_for_a_while(arm: Arm, ends: &[Ends]) -> Outcome {
    match arm {
        Arm::Send { chan, value } => match ends[chan].0.send_timeout(value, WHILE) {
            Ok(()) => Outcome::Sent { arm: 0 },
            Err(SendTimeoutError::Timeout(back)) => {
                assert_eq!(back, value, "another value came back");
                Outcome::GaveUp
            }
            Err(SendTimeoutError::Disconnected(back)) => sent(0, value, Err(SendError(back))),
        },
        Arm::Recv { chan } => match ends[chan].1.recv_timeout(WHILE) {
            Ok(value) => Outcome::Received { arm: 0, value },
            Err(RecvTimeoutError::Timeout) => Outcome::GaveUp,
            Err(RecvTimeoutError::Disconnected) => Outcome::RecvFailed { arm: 0 },
        },
    }
}

/// Performs a call that is not a select. Returns `None` for a select.
fn perform_plain(call: &Call, ends: &[Ends]) -> Option<Outcome> {
    match call {
        Call::Select { late: true, .. } => None,
        Call::Select { arms, patience: Patience::ForAWhile, .. } => Some(wait_for_a_while(arms[0], ends)),
        _ => Some(perform_one(call, ends)),
    }
}

/// Performs a call with two arms by means of `select!` or `select_biased!`, with the given third
/// arm.
macro_rules! two {
    ($select:ident, $arms:expr, $ends:expr $(, $default:ident $(($timeout:expr))?)?) => {
        match (&$arms[..], $ends) {
            (&[Arm::Recv { chan: a }, Arm::Recv { chan: b }], ends) => $select! {
                recv(ends[a].1) -> result => received(0, result),
                recv(ends[b].1) -> result => received(1, result),
                $($default $(($timeout))? => Outcome::GaveUp,)?
            },
            (&[Arm::Recv { chan: a }, Arm::Send { chan: b, value }], ends) => $select! {
                recv(ends[a].1) -> result => received(0, result),
                send(ends[b].0, message(value)) -> result => sent(1, value, result),
                $($default $(($timeout))? => Outcome::GaveUp,)?
            },
            (&[Arm::Send { chan: a, value }, Arm::Recv { chan: b }], ends) => $select! {
                send(ends[a].0, message(value)) -> result => sent(0, value, result),
                recv(ends[b].1) -> result => received(1, result),
                $($default $(($timeout))? => Outcome::GaveUp,)?
            },
            (&[Arm::Send { chan: a, value: v }, Arm::Send { chan: b, value: w }], ends) => $select! {
                send(ends[a].0, message(v)) -> result => sent(0, v, result),
                send(ends[b].0, message(w)) -> result => sent(1, w, result),
                $($default $(($timeout))? => Outcome::GaveUp,)?
            },
            (arms, _) => panic!("not two arms: {arms:?}"),
        }
    };
}

fn by_macro(call: &Call, ends: &[Ends]) -> Outcome {
    if let Some(outcome) = perform_plain(call, ends) {
        return outcome;
    }
    let Call::Select { arms, patience, biased, .. } = call else { panic!("no select: {call}") };
    match (patience, biased) {
        (Patience::Forever, false) => two!(select, arms, ends),
        (Patience::Forever, true) => two!(select_biased, arms, ends),
        (Patience::Never, false) => two!(select, arms, ends, default),
        (Patience::Never, true) => two!(select_biased, arms, ends, default),
        (Patience::ForAWhile, false) => two!(select, arms, ends, default(WHILE)),
        (Patience::ForAWhile, true) => two!(select_biased, arms, ends, default(WHILE)),
    }
}

fn by_list(call: &Call, ends: &[Ends]) -> Outcome {
    if let Some(outcome) = perform_plain(call, ends) {
        return outcome;
    }
    let Call::Select { arms, patience, biased, .. } = call else { panic!("no select: {call}") };
    let mut list = if *biased { Select::new_biased() } else { Select::new() };
    for arm in arms {
        match arm {
            Arm::Send { chan, .. } => list.send(&ends[*chan].0),
            Arm::Recv { chan } => list.recv(&ends[*chan].1),
        };
    }
    let chosen = match patience {
        Patience::Forever => Some(list.select()),
        Patience::Never => list.try_select().ok(),
        Patience::ForAWhile => list.select_timeout(WHILE).ok(),
    };
    let Some(chosen) = chosen else { return Outcome::GaveUp };
    let arm = chosen.index();
    match arms[arm] {
        Arm::Send { chan, value } => sent(arm, value, chosen.send(&ends[chan].0, message(value))),
        Arm::Recv { chan } => received(arm, chosen.recv(&ends[chan].1)),
    }
}

/// The habits of the tasks of one history.
#[derive(Clone, Copy)]
struct Character {
    /// By task: the number of sends in ten arms.
    senders: [u64; 4],
    /// The number of selects in ten calls.
    selects: u64,
    /// The number of calls in ten that give up immediately.
    hasty: u64,
    patient: bool,
    biased: bool,
    closes: bool,
    /// The minimum and maximum number of arms of a select.
    arms: (usize, usize),
}

impl Character {
    fn random(random: &mut Rng, arms: (usize, usize)) -> Self {
        Self {
            senders: std::array::from_fn(|_| [1, 5, 9][random.index(3)]),
            selects: [5, 8, 10][random.index(3)],
            hasty: [1, 5, 8][random.index(3)],
            patient: !random.one_in(4),
            biased: random.one_in(4),
            closes: random.one_in(3),
            arms,
        }
    }

    fn arm(self, random: &mut Rng, task: usize, value: &mut u32) -> Arm {
        let chan = random.index(2);
        if random.below(10) < self.senders[task] {
            *value += 1;
            Arm::Send { chan, value: *value }
        } else {
            Arm::Recv { chan }
        }
    }

    fn call(self, random: &mut Rng, task: usize, value: &mut u32) -> Call {
        if self.closes && random.one_in(15) {
            return Call::Close { chan: random.index(2) };
        }
        let patience = match random.below(10) {
            n if n < self.hasty => Patience::Never,
            9 if !self.patient => Patience::ForAWhile,
            _ => Patience::Forever,
        };
        if random.below(10) >= self.selects {
            return Call::one(self.arm(random, task, value), patience);
        }
        let (least, most) = self.arms;
        let arms = (0..least + random.index(most - least + 1)).map(|_| self.arm(random, task, value)).collect();
        Call::Select { arms, patience, biased: self.biased, late: true }
    }
}

fn histories(perform: Perform, arms: (usize, usize)) {
    everywhere(move || {
        let mut random = random();
        for _ in rounds(HISTORIES) {
            let character = Character::random(&mut random, arms);
            let capacities =
                (0..2).map(|_| [Some(0), Some(0), Some(1), Some(1), Some(2), None][random.index(6)]).collect();
            let plan = Plan::random(&mut random, capacities, |random, task, value| character.call(random, task, value));
            search::check(&plan.perform(perform));
        }
    });
}

#[test]
fn two_arms_with_select_macro() {
    histories(by_macro, (2, 2));
}

#[test]
fn several_arms_with_select_list() {
    histories(by_list, (1, 4));
}

/// Found by a history: a slot is reserved for a chosen send, another sender waits behind it, and
/// the buffer is empty.
///
/// The waiting sender's value can be received, and a polling receiver must find it.
#[test]
fn polling_finds_a_sender_behind_a_reserved_slot() {
    everywhere(|| {
        for way in 0..2 {
            let (tx, rx) = bounded(1);
            let mut list = Select::new();
            list.send(&tx);
            let chosen = list.select();
            let waiting = tx.clone();
            let task = spawn(move || waiting.send(2));
            until(|| match way {
                0 => rx.try_recv() == Ok(2),
                _ => select! { recv(rx) -> value => value == Ok(2), default => false },
            });
            assert_eq!(task.join(), Ok(()));
            assert_eq!(chosen.send(&tx, 1), Ok(()));
            assert_eq!(rx.recv(), Ok(1));
        }
    });
}
