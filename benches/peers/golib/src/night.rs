//! Many goroutines that sleep once each.

use std::time::Instant;

use go_lib::{go, sleep};
use peer_harness::{Night, Workload};

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] = &[Workload::several("sleep_20k", || night(20_000).lateness())];

/// Runs `count` goroutines that sleep for 1 to 1000 ms.
fn night(count: usize) -> Night {
    Night::of(count, |sleepers| {
        on_goroutine(|| {
            for sleeper in sleepers {
                go!(move || {
                    let asked = Instant::now();
                    sleep(sleeper.time);
                    sleeper.woke(asked);
                });
            }
        });
    })
}
