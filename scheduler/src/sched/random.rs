//! Random numbers for choices that must be fair, and need not be secret.
//!
//! wyrand: one addition and one multiplication. Each OS thread has a state of its own, so no two of them meet at it. As in
//! `current`, no address of a thread-local is kept.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::machine::sys::word;

/// What a state that has no seed yet looks like.
const UNSEEDED: u64 = 0;

/// A pseudo-random number: any of the 2^64, each equally likely. Never blocks.
///
/// For the choice among the ready arms of a `select!` (Go's `cheaprand`), not for secrets. The sequence differs from thread
/// to thread and from run to run.
///
/// ```
/// let die = greenthread_scheduler::random() % 6 + 1;
/// assert!((1..=6).contains(&die));
/// ```
#[inline(never)]
pub fn random() -> u64 {
    let mut state = word::random();
    if state == UNSEEDED {
        state = seed();
    }
    state = state.wrapping_add(0xa076_1d64_78bd_642f);
    word::set_random(state);
    let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
    (product >> 64) as u64 ^ product as u64
}

/// What all seeds follow from, if somebody has fixed it.
static FIXED: OnceLock<u64> = OnceLock::new();

/// Has the seeds of all threads that have not asked yet follow from `seed`.
pub(crate) fn fix(seed: u64) {
    FIXED.get_or_init(|| seed);
}

/// A number for each caller: from the process's random keys, or the fixed one, and how many came before.
#[cold]
fn seed() -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    static SEEDS: AtomicU64 = AtomicU64::new(0);
    let turn = SEEDS.fetch_add(1, Ordering::Relaxed);
    match FIXED.get() {
        Some(&fixed) => BuildHasherDefault::<DefaultHasher>::default().hash_one((fixed, turn)),
        None => KEYS.get_or_init(RandomState::new).hash_one(turn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn small_choices_are_even() {
        for n in [2, 3, 5, 8] {
            const ROUNDS: u64 = 10_000;
            let mut counts = vec![0u64; n as usize];
            (0..n * ROUNDS).for_each(|_| counts[(random() % n) as usize] += 1);
            // Ten standard deviations: once in 10^23 runs.
            let far = 10 * ROUNDS.isqrt();
            assert!(counts.iter().all(|count| count.abs_diff(ROUNDS) < far), "{counts:?}");
        }
    }

    #[test]
    fn neighbours_do_not_follow_each_other() {
        // Pairs of successive bits, of the lowest and of the highest.
        for shift in [0, 63] {
            let mut pairs = [0u64; 4];
            let mut last = 0;
            for _ in 0..40_000 {
                let bit = (random() >> shift) as usize & 1;
                pairs[last * 2 + bit] += 1;
                last = bit;
            }
            assert!(pairs.iter().all(|count| count.abs_diff(10_000) < 1000), "{pairs:?}");
        }
    }

    #[test]
    fn threads_go_their_own_ways() {
        let sequence = || -> Vec<u64> { (0..8).map(|_| random()).collect() };
        let (a, b) = std::thread::scope(|s| {
            let (a, b) = (s.spawn(sequence), s.spawn(sequence));
            (a.join().unwrap(), b.join().unwrap())
        });
        assert_ne!(a, b);
        assert!(a.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn destructors_of_thread_locals_may_ask() {
        struct Asks(std::sync::mpsc::Sender<u64>);

        impl Drop for Asks {
            fn drop(&mut self) {
                self.0.send(random()).expect("the test waits for it");
            }
        }

        thread_local! {
            static ASKS: Cell<Option<Asks>> = const { Cell::new(None) };
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || ASKS.set(Some(Asks(sender)))).join().unwrap();
        receiver.recv().expect("the destructor ran to its end");
    }
}
