//! The only source of randomness in the runtime, for choices that must be fair but need not be
//! secret.
//!
//! The generator is wyrand: one addition and one multiplication. Each OS thread and each P has a
//! state of its own, so threads do not contend for one. All states follow from one seed: the
//! process's random keys, or the seed of chaos mode ([`crate::testing::chaos`]). As in `current`,
//! no address of a thread-local is kept.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::machine::sys::word;

/// The state of a thread that has no seed yet.
const UNSEEDED: u64 = 0;

/// The seed that all generators derive from, if one was fixed.
static FIXED: OnceLock<u64> = OnceLock::new();

/// Returns a pseudo-random number, with all 2^64 values equally likely.
///
/// Never blocks. Use it for the choice among the ready arms of a `select!` (Go's `cheaprand`), not
/// for secrets. The sequence differs from thread to thread and from run to run, unless chaos mode
/// fixes the seed.
///
/// ```
/// let die = greenthread_scheduler::random() % 6 + 1;
/// assert!((1..=6).contains(&die));
/// ```
#[inline(never)]
pub fn random() -> u64 {
    let mut state = word::random();
    if state == UNSEEDED {
        state = next_thread_seed();
    }
    let (state, number) = step(state);
    word::set_random(state);
    number
}

/// A generator that belongs to one P.
pub(crate) struct Generator(u64);

impl Generator {
    /// Returns the generator of the P with this id.
    pub(crate) fn for_p(id: u32) -> Self {
        Self(seed_of(Stream::P(id), FIXED.get().copied()))
    }

    /// Returns a pseudo-random number, with all 2^64 values equally likely.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        let (state, number) = step(self.0);
        self.0 = state;
        number
    }
}

/// Makes the seeds of all Ps and of all threads that have not drawn a number yet derive from
/// `seed`.
pub(crate) fn fix(seed: u64) {
    FIXED.get_or_init(|| seed);
}

/// Advances a state, and returns it with the number that it yields.
#[inline(always)]
fn step(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0xa076_1d64_78bd_642f);
    let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
    (state, (product >> 64) as u64 ^ product as u64)
}

/// A user of random numbers.
#[derive(Hash)]
enum Stream {
    /// The thread that was the n-th to draw.
    Thread(u64),
    /// The P with this id.
    P(u32),
}

#[cold]
fn next_thread_seed() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    seed_of(Stream::Thread(THREADS.fetch_add(1, Ordering::Relaxed)), FIXED.get().copied())
}

/// Returns the first state of a stream, derived from the fixed seed, or else from the process's
/// random keys.
fn seed_of(stream: Stream, fixed: Option<u64>) -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    match fixed {
        Some(fixed) => BuildHasherDefault::<DefaultHasher>::default().hash_one((fixed, stream)),
        None => KEYS.get_or_init(RandomState::new).hash_one(stream),
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
            // Ten standard deviations: exceeded once in 10^23 runs.
            let far = 10 * ROUNDS.isqrt();
            assert!(counts.iter().all(|count| count.abs_diff(ROUNDS) < far), "{counts:?}");
        }
    }

    #[test]
    fn successive_bits_are_independent() {
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
    fn each_thread_has_a_sequence_of_its_own() {
        let draw = || -> Vec<u64> { (0..8).map(|_| random()).collect() };
        let (a, b) = std::thread::scope(|s| {
            let (a, b) = (s.spawn(draw), s.spawn(draw));
            (a.join().unwrap(), b.join().unwrap())
        });
        assert_ne!(a, b);
        assert!(a.windows(2).all(|pair| pair[0] != pair[1]));
    }

    /// Returns the first numbers of a stream under a fixed seed.
    fn sequence(stream: Stream, seed: u64) -> Vec<u64> {
        let mut generator = Generator(seed_of(stream, Some(seed)));
        (0..8).map(|_| generator.next()).collect()
    }

    #[test]
    fn fixed_seed_repeats_the_sequences_of_ps_and_threads() {
        let streams: [fn() -> Stream; 4] =
            [|| Stream::P(0), || Stream::P(1), || Stream::Thread(0), || Stream::Thread(1)];
        let sequences = |seed| streams.map(|stream| sequence(stream(), seed));
        assert_eq!(sequences(7), sequences(7));
        let mut all: Vec<_> = sequences(7).into_iter().chain(sequences(8)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8, "each stream and each seed has a sequence of its own");
    }

    #[test]
    fn thread_and_p_draw_from_the_same_generator() {
        let drawn = std::thread::spawn(|| {
            word::set_random(5);
            [random(), random(), random()]
        });
        let mut generator = Generator(5);
        assert_eq!(drawn.join().unwrap(), [generator.next(), generator.next(), generator.next()]);
    }

    #[test]
    fn destructors_of_thread_locals_may_draw() {
        struct Draws(std::sync::mpsc::Sender<u64>);

        impl Drop for Draws {
            fn drop(&mut self) {
                self.0.send(random()).expect("the test waits for it");
            }
        }

        thread_local! {
            static DRAWS: Cell<Option<Draws>> = const { Cell::new(None) };
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || DRAWS.set(Some(Draws(sender)))).join().unwrap();
        receiver.recv().expect("the destructor ran to its end");
    }
}
