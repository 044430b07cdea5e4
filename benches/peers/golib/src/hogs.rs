//! A goroutine that sleeps beside others that keep their workers.

use go_lib::{go, sleep};
use peer_harness::Workload;
use peer_harness::hogs::{NAP, Naps, SPINNERS, beside};

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] =
    &[Workload::several("hog_spin", || beside(SPINNERS, |hog| start(|| hog.spin()), sleeper))];

/// Starts a goroutine from a goroutine: no other thread can.
fn start(f: impl FnOnce() + Send + 'static) {
    on_goroutine(|| go!(f));
}

fn sleeper(mut naps: Naps) {
    start(move || {
        while naps.lie_down() {
            sleep(NAP);
            naps.get_up();
        }
    });
}
