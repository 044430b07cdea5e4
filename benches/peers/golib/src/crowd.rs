//! Goroutines that park on one channel until it is closed.

use std::sync::Arc;

use go_lib::chan::chan;
use go_lib::go;
use go_lib::sync::WaitGroup;
use peer_harness::{Arrivals, Workload, crowd_workloads};

use crate::on_goroutine;

/// More than 32 000 do not fit.
pub(crate) const WORKLOADS: &[Workload] = &crowd_workloads::<Crowd>(20_000, 20_000);

pub(crate) struct Crowd;

impl peer_harness::Crowd for Crowd {
    fn gather(count: u64, arrivals: Arc<Arrivals>, first: fn()) -> impl FnOnce() {
        let (gate, all) = on_goroutine(move || {
            let (gate, waiting) = chan::<()>(0);
            let all = Arc::new(WaitGroup::new());
            all.add(count as i64);
            for _ in 0..count {
                let (waiting, arrivals, all) = (waiting.clone(), Arc::clone(&arrivals), Arc::clone(&all));
                go!(move || {
                    first();
                    arrivals.count_in();
                    assert!(waiting.recv().is_none(), "nothing is ever sent");
                    all.done();
                });
            }
            (gate, all)
        });
        move || {
            on_goroutine(move || {
                gate.close();
                all.wait();
            })
        }
    }
}
