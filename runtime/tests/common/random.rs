//! Reproducible random numbers, for the tests of all packages.

use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;
use std::time::Duration;

/// Returns the seed in `GREENTHREAD_SEED`, or a new one, and prints it: the harness shows it if the
/// test fails.
pub fn seed() -> u64 {
    let seed = variable("GREENTHREAD_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("GREENTHREAD_SEED={seed}");
    seed
}

/// Returns how long random rounds go on in each setting, `GREENTHREAD_STORM` milliseconds, or as
/// long as all tests together can afford.
pub fn storm_time() -> Duration {
    Duration::from_millis(variable("GREENTHREAD_STORM").unwrap_or(500))
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().and_then(|value| value.parse().ok())
}

/// A small generator (xorshift).
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub const fn new(seed: u64) -> Self {
        // Spreads neighboring seeds, and makes no state zero.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a new generator, seeded by this one.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// Returns an index into a list of `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns `true` one time in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
