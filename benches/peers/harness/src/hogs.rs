//! A goroutine that sleeps repeatedly beside others that keep their workers.
//!
//! A hog never calls into a scheduler by itself. It checks a flag, which no scheduler sees, so that
//! it ends.

use std::hint::black_box;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Figures, Times, give_up, workers};

/// The number of goroutines that compute, whatever the number of workers.
pub const SPINNERS: usize = 2;
/// How long the sleeper sleeps each time.
pub const NAP: Duration = Duration::from_millis(1);
const NAPS: usize = 200;
/// How long a system call of a hog takes.
const CALL: Duration = Duration::from_millis(100);
/// The limit for all sleeps together.
const PATIENCE: Duration = Duration::from_secs(4);

const NOT_POISONED: &str = "no thread panics while it holds the lock";

/// The work of a goroutine that keeps a worker until the sleeper is done.
#[derive(Debug)]
pub struct Hog {
    stop: Arc<AtomicBool>,
    began: Sender<()>,
    _alive: Sender<()>,
}

impl Hog {
    /// Computes without a pause.
    pub fn spin(self) {
        let mut number = 1_u64;
        self.repeat(|| {
            for _ in 0..1000 {
                number = black_box(number.wrapping_mul(6_364_136_223_846_793_005));
            }
        });
    }

    /// Makes long system calls.
    ///
    /// `blocking` makes one, in the way that the peer recommends.
    pub fn call(self, blocking: impl Fn(fn())) {
        self.repeat(|| blocking(|| thread::sleep(CALL)));
    }

    fn repeat(&self, mut work: impl FnMut()) {
        // Fails if the hog begins late, when the receiver is gone.
        let _ = self.began.send(());
        while !self.stop.load(Ordering::Relaxed) {
            work();
        }
    }
}

/// The work of the sleeper.
#[derive(Debug)]
pub struct Naps {
    left: usize,
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Log>>,
    _alive: Sender<()>,
}

#[derive(Debug)]
struct Log {
    late: Vec<Duration>,
    /// The time at which the latest sleep began.
    asked: Instant,
}

impl Naps {
    /// Returns `true` if there is another sleep of [`NAP`], which begins now.
    pub fn lie_down(&mut self) -> bool {
        if self.left == 0 || self.stop.load(Ordering::Relaxed) {
            return false;
        }
        self.left -= 1;
        self.log.lock().expect(NOT_POISONED).asked = Instant::now();
        true
    }

    /// Records that the sleep has ended.
    ///
    /// # Panics
    /// If the sleep was too short.
    pub fn get_up(&self) {
        let now = Instant::now();
        let mut log = self.log.lock().expect(NOT_POISONED);
        let late = (now - log.asked).checked_sub(NAP).expect("a sleep ended early");
        log.late.push(late);
    }
}

/// Measures how late the sleeps end beside `count` hogs, in microseconds: the median and the 99th
/// percentile.
///
/// The functions start a hog and the sleeper in goroutines, or the peer's equivalent. The caller is
/// a thread outside the runtime, which this function blocks.
pub fn beside(count: usize, spawn_hog: impl Fn(Hog), spawn_sleeper: impl FnOnce(Naps)) -> Figures {
    let (began, begun) = channel();
    let (alive, hogs) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..count {
        spawn_hog(Hog { stop: Arc::clone(&stop), began: began.clone(), _alive: alive.clone() });
    }
    drop(alive);
    // More than that may never run at once.
    for _ in 0..count.min(workers()) {
        begun.recv_timeout(PATIENCE).expect("a hog begins");
    }
    let log = Arc::new(Mutex::new(Log { late: Vec::with_capacity(NAPS), asked: Instant::now() }));
    let (alive, sleeper) = channel();
    spawn_sleeper(Naps { left: NAPS, stop: Arc::clone(&stop), log: Arc::clone(&log), _alive: alive });
    let late = lateness(&sleeper, &log);
    stop.store(true, Ordering::Relaxed);
    assert!(end(&hogs) && end(&sleeper), "hogs and sleeper end when they are told to");
    let micros = |percent| late.percentile(percent).as_nanos() as f64 / 1e3;
    vec![("p50", micros(50.0)), ("p99", micros(99.0))]
}

/// Waits for the sleeper, and gives up if none of its sleeps ends.
fn lateness(sleeper: &Receiver<()>, log: &Mutex<Log>) -> Times {
    let ended = end(sleeper);
    let mut log = log.lock().expect(NOT_POISONED);
    let mut late = mem::take(&mut log.late);
    if ended {
        assert_eq!(late.len(), NAPS);
    } else if late.is_empty() {
        give_up(&format!("no sleep of {NAP:?} ended within {PATIENCE:?}"));
    } else {
        // The pending sleep counts with its lateness so far.
        late.push(log.asked.elapsed().saturating_sub(NAP));
    }
    Times::new(late)
}

/// Returns `true` if all holders of the sending side have ended in time.
fn end(alive: &Receiver<()>) -> bool {
    alive.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sleeper_sleeps_and_the_hogs_end() {
        crate::set_workers(2);
        let sleeper = |mut naps: Naps| {
            thread::spawn(move || {
                while naps.lie_down() {
                    thread::sleep(NAP);
                    naps.get_up();
                }
            });
        };
        let spinning = beside(2, |hog| drop(thread::spawn(|| hog.spin())), sleeper);
        let calling = beside(2, |hog| drop(thread::spawn(|| hog.call(|call| call()))), sleeper);
        for figures in [spinning, calling] {
            assert!(matches!(figures[..], [("p50", p50), ("p99", p99)] if 0.0 < p50 && p50 <= p99), "{figures:?}");
        }
    }

    #[test]
    #[should_panic(expected = "a sleep ended early")]
    fn a_sleep_that_is_too_short_panics() {
        let log = Arc::new(Mutex::new(Log { late: Vec::new(), asked: Instant::now() }));
        let mut naps = Naps { left: 1, stop: Arc::default(), log, _alive: channel().0 };
        assert!(naps.lie_down());
        naps.get_up();
    }
}
