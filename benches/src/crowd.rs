//! Many goroutines that park at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use greenthread::JoinHandle;
use greenthread::channel::{Receiver, Sender, bounded};

/// Goroutines that are parked on one channel, or about to park.
#[derive(Debug)]
pub struct Crowd {
    gate: Sender<()>,
    handles: Vec<JoinHandle<()>>,
    arrived: Arc<AtomicU64>,
}

impl Crowd {
    /// Spawns `count` goroutines that call `before_parking` and then park.
    pub fn spawn(count: u64, before_parking: fn()) -> Self {
        let (gate, waiting): (_, Receiver<()>) = bounded(0);
        let arrived = Arc::new(AtomicU64::new(0));
        let handles = (0..count)
            .map(|_| {
                let (waiting, arrived) = (waiting.clone(), Arc::clone(&arrived));
                greenthread::spawn(move || {
                    before_parking();
                    arrived.fetch_add(1, Ordering::Relaxed);
                    assert!(waiting.recv().is_err(), "nothing is ever sent");
                })
            })
            .collect();
        Self { gate, handles, arrived }
    }

    /// Waits until all have parked.
    ///
    /// The last few may still have a few instructions to go.
    pub fn wait_until_parked(&self) {
        while self.arrived() < self.handles.len() as u64 {
            greenthread::yield_now();
        }
    }

    /// Returns the number of goroutines that have run so far.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Closes the channel, which wakes all goroutines, and joins them.
    pub fn wake_and_join(self) {
        self.gate.close();
        for handle in self.handles {
            handle.join().expect("a parked goroutine does not panic");
        }
    }
}
