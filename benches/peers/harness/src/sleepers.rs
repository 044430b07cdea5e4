//! A crowd that sleeps: how long each goroutine sleeps, and how late it wakes.
//!
//! Orderings. P1: a sleeper's subtraction from the number of those asleep (AcqRel), after it has
//! written its lateness, with the subtractions of the sleepers after it. So the last one has seen
//! what all have written, and the thread that it notifies has seen it too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::{Figures, Times};

/// The same durations in each repetition and in each Rust peer.
const SEED: u64 = 20_000;

/// The work of a goroutine that sleeps once.
#[derive(Debug)]
pub struct Sleeper {
    /// How long it sleeps.
    pub time: Duration,
    id: usize,
    crowd: Arc<Crowd>,
}

/// The state that all sleepers share.
#[derive(Debug)]
struct Crowd {
    /// In nanoseconds, by sleeper.
    late: Box<[AtomicU64]>,
    asleep: AtomicUsize,
    /// The last sleeper sends the time at which it ended.
    ended: SyncSender<Instant>,
}

/// The results of one crowd.
#[derive(Debug)]
pub struct Night {
    wall: Duration,
    late: Times,
}

impl Sleeper {
    /// Records that the sleeper, which began to sleep at `asked`, is awake and about to end.
    ///
    /// # Panics
    /// If it woke early.
    pub fn woke(self, asked: Instant) {
        let end = Instant::now();
        let late = (end - asked).checked_sub(self.time).expect("a sleep ended early");
        self.crowd.late[self.id].store(late.as_nanos() as u64, Ordering::Relaxed);
        // P1, paired with itself.
        if self.crowd.asleep.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.crowd.ended.send(end).expect("the caller waits for the last sleeper");
        }
    }
}

impl Night {
    /// Runs `count` sleepers of 1 to 1000 ms each.
    ///
    /// `spawn` starts a goroutine, or the peer's equivalent, for each sleeper. The caller is a
    /// thread outside the runtime, which this function blocks until all are awake.
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

    /// Returns the median and the 99th percentile of the lateness, in microseconds.
    pub fn lateness(&self) -> Figures {
        self.late.p50_and_p99()
    }

    /// Returns the time from the first spawn until the last has ended, in milliseconds, and the
    /// 99th percentile of the lateness, in microseconds.
    pub fn wall_and_lateness(&self) -> Figures {
        vec![("wall", self.wall.as_nanos() as f64 / 1e6), self.late.figure("p99", 99.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_from_the_requested_end() {
        let night = Night::of(200, |sleepers| {
            for (n, sleeper) in (1..).zip(sleepers) {
                let late = Duration::from_secs(if n <= 100 { 10 } else { 1000 });
                let asked = Instant::now() - sleeper.time - late;
                sleeper.woke(asked);
            }
        });
        let figures = night.lateness();
        assert_eq!(figures.iter().map(|&(name, _)| name).collect::<Vec<_>>(), ["p50", "p99"]);
        // A second is enough for what happens here between two reads of the clock.
        assert!((1e7..1.1e7).contains(&figures[0].1) && (1e9..1.001e9).contains(&figures[1].1), "{figures:?}");
        assert!(night.wall < Duration::from_secs(10), "the wall time does not contain the simulated sleeps");
    }

    #[test]
    #[should_panic(expected = "a sleep ended early")]
    fn waking_early_panics() {
        Night::of(1, |sleepers| sleepers.into_iter().for_each(|sleeper| sleeper.woke(Instant::now())));
    }
}
