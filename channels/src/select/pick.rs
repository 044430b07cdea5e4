//! The random choice of one item among several.

use crate::primitive::random;

/// Picks one of the offered items: the item with the smallest index, or any item with equal
/// probability.
///
/// Items are offered in groups of up to 64, as the bits of a word. So a choice takes one random
/// number. Offering the items one by one would take a random number and an unpredictable branch for
/// each item.
pub(super) struct Pick {
    biased: bool,
    offered: u64,
    best: usize,
    picked: Option<usize>,
    rng: Xorshift,
}

/// The number of items that are offered at a time.
pub(super) const GROUP: usize = u64::BITS as usize;

impl Pick {
    #[inline]
    pub(super) fn new(biased: bool) -> Self {
        Self { biased, offered: 0, best: usize::MAX, picked: None, rng: Xorshift(0) }
    }

    /// Offers the items whose bits are set. Bit 0 stands for the position `first`.
    ///
    /// `index` returns the index of the item for a bit.
    #[inline]
    pub(super) fn offer(&mut self, first: usize, mut bits: u64, index: impl Fn(usize) -> usize) {
        if self.biased {
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                if index(bit) < self.best {
                    self.best = index(bit);
                    self.picked = Some(first + bit);
                }
                bits &= bits - 1;
            }
        } else if bits != 0 {
            let count = u64::from(bits.count_ones());
            self.offered += count;
            // Replaces the pick with an item of this group. The probability is the group's share of
            // all items offered so far.
            if self.offered == count || self.rng.below(self.offered) < count {
                for _ in 0..self.rng.below(count) {
                    bits &= bits - 1;
                }
                self.picked = Some(first + bits.trailing_zeros() as usize);
            }
        }
    }

    #[inline]
    pub(super) fn picked(&self) -> Option<usize> {
        self.picked
    }
}

/// Puts the items into a random order.
pub(super) fn shuffle<T>(items: &mut [T]) {
    let mut rng = Xorshift(0);
    for n in (1..items.len()).rev() {
        items.swap(n, rng.below(n as u64 + 1) as usize);
    }
}

/// A xorshift generator that is seeded by one call to `random`.
struct Xorshift(u64);

impl Xorshift {
    /// Returns a number below `n`, with equal probability for each. `n` is small.
    #[inline]
    fn below(&mut self, n: u64) -> u64 {
        if n == 1 {
            return 0;
        }
        if self.0 == 0 {
            self.0 = random() | 1;
        }
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // Takes the upper half of the bits as a fraction of `n`.
        ((self.0 >> 32) * n) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biased_pick_is_the_smallest_index() {
        let mut pick = Pick::new(true);
        pick.offer(0, 0b111, |bit| [7, 3, 5][bit]);
        assert_eq!(pick.picked(), Some(1));
        pick.offer(GROUP, 0b110, |bit| [0, 4, 2][bit]);
        assert_eq!(pick.picked(), Some(GROUP + 2));
        assert_eq!(Pick::new(true).picked(), None);
    }

    #[test]
    fn shuffle_is_uniform() {
        const ROUNDS: u32 = 60_000;
        let mut counts = std::collections::HashMap::new();
        for _ in 0..ROUNDS {
            let mut items = [0, 1, 2];
            shuffle(&mut items);
            *counts.entry(items).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&count| count.abs_diff(ROUNDS / 6) < ROUNDS / 40), "{counts:?}");
    }

    #[test]
    fn unbiased_pick_is_uniform() {
        const ROUNDS: u32 = 60_000;
        for groups in [&[0b11][..], &[0b1011], &[0, 0b1], &[0b11111111], &[0b10, 0b101, 0, 0b11], &[1 << 63, 1]] {
            let mut counts = std::collections::HashMap::new();
            for _ in 0..ROUNDS {
                let mut pick = Pick::new(false);
                for (n, &bits) in groups.iter().enumerate() {
                    pick.offer(n * GROUP, bits, |_| unreachable!());
                }
                *counts.entry(pick.picked().unwrap()).or_insert(0u32) += 1;
            }
            let offered: u32 = groups.iter().map(|bits| bits.count_ones()).sum();
            assert_eq!(counts.len(), offered as usize);
            let mean = ROUNDS / offered;
            // The bound is more than ten standard deviations.
            assert!(counts.values().all(|&count| count.abs_diff(mean) <= mean / 8), "{counts:?}");
        }
    }
}
