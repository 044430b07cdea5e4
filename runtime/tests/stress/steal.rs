//! Steal storm: uneven work that begins on one P. Every piece of it runs exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{spin, storm, until};
use greenthread::{go, spawn, yield_now};

/// Pieces of work, each marked when it is done.
struct Work {
    marks: Vec<AtomicU8>,
    left: AtomicUsize,
}

impl Work {
    fn new(pieces: usize) -> Arc<Self> {
        Arc::new(Self { marks: (0..pieces).map(|_| AtomicU8::new(0)).collect(), left: AtomicUsize::new(pieces) })
    }

    fn done(&self, piece: usize) {
        assert_eq!(self.marks[piece].fetch_add(1, Ordering::Relaxed), 0, "piece {piece} ran twice");
        self.left.fetch_sub(1, Ordering::Relaxed);
    }

    fn wait(&self) {
        until(|| self.left.load(Ordering::Relaxed) == 0);
    }
}

#[test]
fn uneven_pieces_run_once() {
    storm(|random| {
        let work = Work::new(1 + random.below(500) as usize);
        for piece in 0..work.marks.len() {
            let (work, us) = (Arc::clone(&work), if random.one_in(20) { random.below(300) } else { random.below(3) });
            go!(move || {
                spin(Duration::from_micros(us));
                work.done(piece);
            });
            if random.one_in(50) {
                spin(Duration::from_micros(random.below(100)));
            }
        }
        work.wait();
    });
}

/// Each piece is queued many times, so that several thieves compete for a few goroutines.
#[test]
fn yielding_pieces_run_once() {
    storm(|random| {
        let work = Work::new(2 + random.below(12) as usize);
        for piece in 0..work.marks.len() {
            let (work, mut random) = (Arc::clone(&work), random.fork());
            go!(move || {
                for _ in 0..random.below(500) {
                    if random.one_in(30) {
                        spin(Duration::from_micros(random.below(20)));
                    }
                    yield_now();
                }
                work.done(piece);
            });
        }
        work.wait();
    });
}

// The owner waits in a loop that never enters the scheduler. The goroutines in its runnext and its
// queue must be stolen, or run by the M that gets its P.
#[test]
fn work_is_stolen_from_a_busy_owner() {
    storm(|random| {
        let work = Work::new(1 + random.below(20) as usize);
        let owner = Arc::clone(&work);
        let handle = spawn(move || {
            for piece in 0..owner.marks.len() {
                let work = Arc::clone(&owner);
                go!(move || work.done(piece));
            }
            while owner.left.load(Ordering::Relaxed) > 0 {
                std::hint::spin_loop();
            }
        });
        handle.join().unwrap();
    });
}
