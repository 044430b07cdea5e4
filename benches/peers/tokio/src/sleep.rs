//! Many tasks that sleep once each.

use std::time::Instant;

use peer_harness::{Night, Workload};
use tokio::spawn;
use tokio::time::sleep;

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::several("sleep_20k", || night(20_000).lateness()),
    Workload::several("sleep_1m", || night(1_000_000).wall_and_lateness()),
];

fn night(count: usize) -> Night {
    Night::of(count, |sleepers| {
        on_worker(async {
            for sleeper in sleepers {
                spawn(async move {
                    let asked = Instant::now();
                    sleep(sleeper.time).await;
                    sleeper.woke(asked);
                });
            }
        });
    })
}
