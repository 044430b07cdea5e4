//! Choosing one of several.

use crate::primitive::random;

/// Chooses among those that are offered: the one with the smallest index, or each with the same probability.
pub(super) struct Pick {
    biased: bool,
    offered: u64,
    best: usize,
    picked: Option<usize>,
    dice: Dice,
}

impl Pick {
    #[inline]
    pub(super) fn new(biased: bool) -> Self {
        Self { biased, offered: 0, best: usize::MAX, picked: None, dice: Dice(0) }
    }

    /// Offers the one at `position`.
    #[inline]
    pub(super) fn offer(&mut self, position: usize, index: usize) {
        self.offered += 1;
        let take = if self.biased { index < self.best } else { self.offered == 1 || self.dice.roll(self.offered) == 0 };
        if take {
            self.best = index;
            self.picked = Some(position);
        }
    }

    #[inline]
    pub(super) fn picked(&self) -> Option<usize> {
        self.picked
    }
}

/// Puts the items in a random order.
pub(super) fn shuffle<T>(items: &mut [T]) {
    let mut dice = Dice(0);
    for n in (1..items.len()).rev() {
        items.swap(n, dice.roll(n as u64 + 1) as usize);
    }
}

/// Random numbers, from one call of `random`: xorshift.
struct Dice(u64);

impl Dice {
    /// A number below `n`, each as likely as the others. `n` is small.
    fn roll(&mut self, n: u64) -> u64 {
        if self.0 == 0 {
            self.0 = random() | 1;
        }
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper half of the bits as a fraction of `n`.
        ((self.0 >> 32) * n) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biased_takes_the_smallest_index() {
        let mut pick = Pick::new(true);
        for (position, index) in [7, 3, 5].into_iter().enumerate() {
            pick.offer(position, index);
        }
        assert_eq!(pick.picked(), Some(1));
        assert_eq!(Pick::new(true).picked(), None);
    }

    #[test]
    fn every_order_comes_as_often() {
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
    fn unbiased_takes_each_as_often() {
        const ROUNDS: u32 = 60_000;
        for n in [2, 3, 5, 8] {
            let mut counts = vec![0u32; n];
            for _ in 0..ROUNDS {
                let mut pick = Pick::new(false);
                (0..n).for_each(|position| pick.offer(position, position));
                counts[pick.picked().unwrap()] += 1;
            }
            let mean = ROUNDS / n as u32;
            // Ten standard deviations and more.
            assert!(counts.iter().all(|&count| count.abs_diff(mean) < mean / 8), "{counts:?}");
        }
    }
}
