//! Tasks that wait for the end of one channel. It is a `broadcast`: of tokio's own channels with
//! many receivers, the one that costs the tasks least.

use std::sync::Arc;

use peer_harness::{Arrivals, Workload, crowd_workloads};
use tokio::spawn;
use tokio::sync::broadcast;

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &crowd_workloads::<Crowd>(1_000_000, 100_000);

pub(crate) struct Crowd;

impl peer_harness::Crowd for Crowd {
    fn gather(count: u64, arrivals: Arc<Arrivals>, first: fn()) -> impl FnOnce() {
        let (gate, crowd) = on_worker(async move {
            let (gate, _) = broadcast::channel::<()>(1);
            let crowd = (0..count).map(|_| {
                let (mut waiting, arrivals) = (gate.subscribe(), Arc::clone(&arrivals));
                spawn(async move {
                    first();
                    arrivals.count_in();
                    assert!(waiting.recv().await.is_err(), "nothing is ever sent");
                })
            });
            let crowd: Vec<_> = crowd.collect();
            (gate, crowd)
        });
        move || {
            on_worker(async move {
                drop(gate);
                for one in crowd {
                    one.await.expect("a parked goroutine does not panic");
                }
            });
        }
    }
}
