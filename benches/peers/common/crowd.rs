//! Goroutines that park on one channel until it is closed.

use std::sync::Arc;

use peer_harness::Arrivals;

use crate::{gate, spawn};

/// The crowd of this peer.
pub(crate) struct Crowd;

impl peer_harness::Crowd for Crowd {
    fn gather(count: u64, arrivals: Arc<Arrivals>, first: fn()) -> impl FnOnce() {
        let spawner = spawn(move || {
            let (gate, waiting) = gate::<()>();
            let crowd = (0..count).map(|_| {
                let (waiting, arrivals) = (waiting.clone(), Arc::clone(&arrivals));
                spawn(move || {
                    first();
                    arrivals.count_in();
                    assert!(waiting.recv().is_err(), "nothing is ever sent");
                })
            });
            let crowd: Vec<_> = crowd.collect();
            (gate, crowd)
        });
        let (gate, crowd) = spawner.join().expect("the spawner does not panic");
        move || {
            let closer = spawn(move || {
                drop(gate);
                crowd.into_iter().for_each(|one| one.join().expect("a parked goroutine does not panic"));
            });
            closer.join().expect("closing and joining do not panic");
        }
    }
}
