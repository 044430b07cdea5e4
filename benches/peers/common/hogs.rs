//! One that sleeps beside others that keep the workers for themselves.

use peer_harness::hogs::{NAP, Naps, SPINNERS, beside};
use peer_harness::{Figures, workers};

use crate::{sleep, spawn};

pub(crate) fn spin() -> Figures {
    beside(SPINNERS, |hog| drop(spawn(|| hog.spin())), sleeper)
}

/// `blocking` makes a system call.
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
