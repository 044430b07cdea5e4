//! Random numbers that can be had again. The tests of all packages use these.

use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;
use std::time::Duration;

/// A seed from `GREENTHREAD_SEED`, or another one each time. Prints it: the test harness shows it if the test fails.
pub fn seed() -> u64 {
    let seed = variable("GREENTHREAD_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("GREENTHREAD_SEED={seed}");
    seed
}

/// How long random rounds go on in each setting: `GREENTHREAD_STORM` milliseconds, or as long as all the tests together can afford.
pub fn storm_time() -> Duration {
    Duration::from_millis(variable("GREENTHREAD_STORM").unwrap_or(500))
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().and_then(|value| value.parse().ok())
}

/// A small generator (xorshift), good enough to mix things up.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub const fn new(seed: u64) -> Self {
        // Neighbouring seeds are spread, and no state is zero.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A generator that goes its own way.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// An index of a list of `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True one time in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
