//! Thousands of small histories of one channel, each checked against the sequential model.
//! `linear/main.rs` explains the terms.

use crate::common::random::Rng;
use crate::common::{everywhere, random, rounds};
use crate::history::{Arm, Call, Patience};
use crate::script::{Plan, perform_one};
use crate::search;

/// The maximum number of histories in each setting and for each capacity.
const HISTORIES: usize = 400;

/// The habits of the tasks of one history.
///
/// Without them, only a long history would fill a channel, or close it late.
#[derive(Clone, Copy)]
struct Character {
    /// By task: the number of sends in ten calls.
    senders: [u64; 4],
    /// The number of calls in ten sends and receives that give up immediately.
    hasty: u64,
    closes: bool,
}

impl Character {
    fn random(random: &mut Rng) -> Self {
        Self {
            senders: std::array::from_fn(|_| [1, 5, 9][random.index(3)]),
            hasty: [1, 5, 8][random.index(3)],
            closes: random.one_in(2),
        }
    }

    fn call(self, random: &mut Rng, task: usize, value: &mut u32) -> Call {
        if self.closes && random.one_in(12) {
            return Call::Close { chan: 0 };
        }
        if random.one_in(12) {
            return Call::IsClosed { chan: 0 };
        }
        let arm = if random.below(10) < self.senders[task] {
            *value += 1;
            Arm::Send { chan: 0, value: *value }
        } else {
            Arm::Recv { chan: 0 }
        };
        Call::one(arm, if random.below(10) < self.hasty { Patience::Never } else { Patience::Forever })
    }
}

fn histories_of(capacity: Option<usize>) {
    everywhere(move || {
        let mut random = random();
        for _ in rounds(HISTORIES) {
            let character = Character::random(&mut random);
            let plan =
                Plan::random(&mut random, vec![capacity], |random, task, value| character.call(random, task, value));
            search::check(&plan.perform(perform_one));
        }
    });
}

#[test]
fn capacity_zero() {
    histories_of(Some(0));
}

#[test]
fn capacity_one() {
    histories_of(Some(1));
}

#[test]
fn capacity_two() {
    histories_of(Some(2));
}

#[test]
fn unbounded_channel() {
    histories_of(None);
}
