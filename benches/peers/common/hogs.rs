//! A goroutine that sleeps beside others that keep their workers.

use peer_harness::hogs::{NAP, Naps, SPINNERS, beside};
use peer_harness::{Figures, workers};

use crate::{sleep, spawn};

pub(crate) fn spin() -> Figures {
    beside(SPINNERS, |hog| drop(spawn(|| hog.spin())), sleeper)
}

/// Measures beside hogs that make system calls.
///
/// `blocking` makes one.
pub(crate) fn block(blocking: fn(fn())) -> Figures {
    beside(workers(), |hog| drop(spawn(move || hog.call(blocking))), sleeper)
}

fn sleeper(mut naps: Naps) {
    drop(spawn(move || {
        while naps.lie_down() {
            sleep(NAP);
            naps.get_up();
        }
    }));
}
