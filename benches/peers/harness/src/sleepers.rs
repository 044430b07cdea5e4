//! A crowd that sleeps: how long each is to, and how late it wakes.
//!
//! Orderings. P1: a sleeper's subtraction from the number of those asleep (AcqRel), after it has written how late it
//! was, with the subtractions of those that come after it. The last has so seen what all have written, and so has whom
//! it tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::{Figures, Times};

/// The same times in each repetition and in each Rust peer.
const SEED: u64 = 20_000;

/// One that has to sleep once.
#[derive(Debug)]
pub struct Sleeper {
    /// For how long.
    pub time: Duration,
    id: usize,
    crowd: Arc<Crowd>,
}

/// What all of them write to.
#[derive(Debug)]
struct Crowd {
    /// In nanoseconds, by sleeper.
    late: Box<[AtomicU64]>,
    asleep: AtomicUsize,
    /// Where the last one says when it ended.
    ended: SyncSender<Instant>,
}

/// How it went.
#[derive(Debug)]
pub struct Night {
    wall: Duration,
    late: Times,
}

impl Sleeper {
    /// Says that the sleeper, who went to sleep at `asked`, is awake and at its end.
    ///
    /// # Panics
    /// If it woke early.
    pub fn woke(self, asked: Instant) {
        let end = Instant::now();
        let late = (end - asked).checked_sub(self.time).expect("nobody wakes early");
        self.crowd.late[self.id].store(late.as_nanos() as u64, Ordering::Relaxed);
        // P1, with itself.
        if self.crowd.asleep.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.crowd.ended.send(end).expect("the night's end is awaited");
        }
    }
}

impl Night {
    /// Has `count` sleep for 1 to 1000 ms each. `spawn` starts a goroutine, or what the peer calls it, for each sleeper.
    /// The caller is a thread outside of the runtime, which this blocks until all are awake.
    pub fn of(count: usize, spawn: impl FnOnce(Vec<Sleeper>)) -> Self {
        let (ended, end) = sync_channel(1);
        let late = (0..count).map(|_| AtomicU64::new(0)).collect();
        let crowd = Arc::new(Crowd { late, asleep: AtomicUsize::new(count), ended });
        let mut random = Rng::with_seed(SEED);
        let sleepers = (0..count).map(|id| {
            let time = Duration::from_nanos(random.u64(1_000_000..=1_000_000_000));
            Sleeper { time, id, crowd: Arc::clone(&crowd) }
        });
        let sleepers = sleepers.collect();
        let start = Instant::now();
        spawn(sleepers);
        let wall = end.recv().expect("all wake") - start;
        let late = crowd.late.iter().map(|nanos| Duration::from_nanos(nanos.load(Ordering::Relaxed)));
        Self { wall, late: Times::new(late.collect()) }
    }

    /// How late half of them and nearly all of them were, in microseconds.
    pub fn lateness(&self) -> Figures {
        self.late.p50_and_p99()
    }

    /// From the first spawn to the last end, in milliseconds, and how late nearly all of them were, in microseconds.
    pub fn wall_and_lateness(&self) -> Figures {
        vec![("wall", self.wall.as_nanos() as f64 / 1e6), self.late.figure("p99", 99.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_what_comes_after_the_time_asked_for() {
        let night = Night::of(200, |sleepers| {
            for (n, sleeper) in (1..).zip(sleepers) {
                let late = Duration::from_secs(if n <= 100 { 10 } else { 1000 });
                let asked = Instant::now() - sleeper.time - late;
                sleeper.woke(asked);
            }
        });
        let figures = night.lateness();
        assert_eq!(figures.iter().map(|&(name, _)| name).collect::<Vec<_>>(), ["p50", "p99"]);
        // A second is enough for what happens here between one look at the clock and the next.
        assert!((1e7..1.1e7).contains(&figures[0].1) && (1e9..1.001e9).contains(&figures[1].1), "{figures:?}");
        assert!(night.wall < Duration::from_secs(10), "the wall clock counts no sleep that was not slept");
    }

    #[test]
    #[should_panic(expected = "nobody wakes early")]
    fn waking_early_is_an_error() {
        Night::of(1, |sleepers| sleepers.into_iter().for_each(|sleeper| sleeper.woke(Instant::now())));
    }
}
