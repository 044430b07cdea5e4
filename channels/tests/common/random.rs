//! Random numbers that can be had again.

use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A small generator (xorshift), good enough to mix things up.
pub struct Rng(u64);

impl Rng {
    /// Always the same.
    pub const fn first() -> Self {
        Self(1)
    }

    /// Seeded from `GREENTHREAD_SEED`, or at random. Prints the seed.
    pub fn seeded() -> Self {
        let seed = env::var("GREENTHREAD_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("GREENTHREAD_SEED={seed}");
        Self(seed | 1)
    }

    /// A generator that goes its own way.
    pub fn fork(&mut self) -> Self {
        Self(self.next().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
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
