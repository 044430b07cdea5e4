//! Many goroutines that sleep once each.

use std::time::Instant;

use peer_harness::Night;

use crate::{go, sleep, spawn};

/// Runs `count` goroutines that sleep for 1 to 1000 ms.
pub(crate) fn night(count: usize) -> Night {
    Night::of(count, |sleepers| {
        let spawner = spawn(|| {
            for sleeper in sleepers {
                go!(move || {
                    let asked = Instant::now();
                    sleep(sleeper.time);
                    sleeper.woke(asked);
                });
            }
        });
        spawner.join().expect("the spawner does not panic");
    })
}
