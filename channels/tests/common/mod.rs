//! What the tests share: the one place that spawns, a watchdog, seeds, and values that count their drops.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any test may take on the slowest machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Something that runs beside the test.
pub struct Task<T>(thread::JoinHandle<T>);

/// Runs `f` beside the caller.
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    Task(thread::spawn(f))
}

impl<T> Task<T> {
    /// Waits for the end; passes a panic on.
    pub fn join(self) -> T {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Whether `f` has returned.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Aborts the process if it is not dropped in time. A test that hangs shall fail, and say so.
#[must_use]
pub struct Watchdog(Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>);

/// Starts a watchdog for a test.
pub fn watchdog(test: &'static str) -> Watchdog {
    let (alive, gone) = mpsc::channel();
    let thread = thread::spawn(move || {
        if gone.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{test}: hangs");
            std::process::abort();
        }
    });
    Watchdog(Some((alive, thread)))
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let (alive, thread) = self.0.take().expect("dropped once");
        drop(alive);
        thread.join().expect("a watchdog does not panic");
    }
}

/// Waits until `condition` holds; the watchdog bounds it.
pub fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Gives others a moment to do what they should not do. A test may rest on nothing happening in it, never on anything.
pub fn moment() {
    let end = Instant::now() + Duration::from_millis(10);
    until(|| Instant::now() >= end);
}

/// A small generator of random numbers (xorshift), good enough to mix things up.
pub struct Rng(u64);

impl Rng {
    /// Seeded from `GREENTHREAD_SEED`, or at random. Prints the seed, which the test harness shows if the test fails.
    pub fn new() -> Self {
        let seed = std::env::var("GREENTHREAD_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish());
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

    /// True one time in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Counts the values made and dropped.
#[derive(Clone, Default)]
pub struct Census(Arc<(AtomicUsize, AtomicUsize)>);

/// A value of a [`Census`]. On the heap, so that a second drop of it does not go unnoticed.
pub struct Counted {
    census: Census,
    pub number: Box<usize>,
}

impl Census {
    pub fn value(&self, number: usize) -> Counted {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        Counted { census: self.clone(), number: Box::new(number) }
    }

    pub fn made(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }

    pub fn dropped(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.0.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// The text of a panic of `f`.
pub fn panic_text(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(f).expect_err("no panic");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().expect("a text").to_string(),
    }
}
