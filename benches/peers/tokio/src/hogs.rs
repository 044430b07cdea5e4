//! A task that sleeps beside others that keep their workers.

use peer_harness::hogs::{NAP, Naps, SPINNERS, beside};
use peer_harness::{Workload, fairness, workers};
use tokio::task::{block_in_place, yield_now};
use tokio::time::sleep;

use crate::{RUNTIME, echo};

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::several("hog_spin", || beside(SPINNERS, |hog| spawn(async { hog.spin() }), sleeper)),
    Workload::several("hog_block", || beside(workers(), |hog| spawn(async { hog.call(block_in_place) }), sleeper)),
    Workload::several("busy_io", || fairness::trips_beside_busy(echo::serve, |busy| spawn(take_turns(busy)))),
    Workload::several("hogs_60", || fairness::hogs(|job| spawn(async { job.compute() }))),
    Workload::whole("block_300", || fairness::blockers(|blocker| spawn(async { block_in_place(|| blocker.block()) }))),
];

async fn take_turns(busy: fairness::Busy) {
    while busy.turn() {
        yield_now().await;
    }
}

/// Spawns a task like `tokio::spawn` on a worker, although the caller is not one.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    RUNTIME.get().expect("the runtime has been started").spawn(task);
}

fn sleeper(mut naps: Naps) {
    spawn(async move {
        while naps.lie_down() {
            sleep(NAP).await;
            naps.get_up();
        }
    });
}
