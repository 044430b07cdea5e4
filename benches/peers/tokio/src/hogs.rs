//! One that sleeps beside others that keep the workers for themselves.

use peer_harness::hogs::{NAP, Naps, SPINNERS, beside};
use peer_harness::{Workload, workers};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::RUNTIME;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::several("hog_spin", || beside(SPINNERS, |hog| spawn(async { hog.spin() }), sleeper)),
    Workload::several("hog_block", || beside(workers(), |hog| spawn(async { hog.call(block_in_place) }), sleeper)),
];

/// As `tokio::spawn` does it on a worker, which the caller is not.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    RUNTIME.get().expect("it is started first").spawn(task);
}

fn sleeper(mut naps: Naps) {
    spawn(async move {
        while naps.lie_down() {
            sleep(NAP).await;
            naps.get_up();
        }
    });
}
