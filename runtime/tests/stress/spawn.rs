//! Spawn storm: random trees of goroutines, spawned and waited for in all ways. Every node is
//! counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Rng, spin, storm, until};
use greenthread::{Builder, blocking, channel, go, scope, spawn, yield_now};

/// The state that the nodes of a tree share.
#[derive(Default)]
struct Tree {
    /// The number of nodes that were spawned, and of those that have run.
    started: AtomicU64,
    ran: AtomicU64,
}

impl Tree {
    /// Runs a node, which spawns children down to `depth`.
    fn grow(self: Arc<Self>, depth: u64, mut random: Rng) {
        self.ran.fetch_add(1, Ordering::Relaxed);
        if random.one_in(8) {
            spin(std::time::Duration::from_micros(random.below(20)));
        }
        for _ in 0..random.below(if depth == 0 { 1 } else { 5 }) {
            self.started.fetch_add(1, Ordering::Relaxed);
            let child = Arc::clone(&self);
            let (mut random, way) = (random.fork(), random.below(9));
            let depth = random.below(depth);
            let body = move || child.grow(depth, random);
            match way {
                0 => spawn(body).join().unwrap(),
                1 => drop(spawn(body)),
                2 => go!(body),
                3 => scope(|s| drop(s.spawn(body))),
                4 => {
                    let handle = spawn(body);
                    assert!(handle.done().recv().is_err());
                    assert!(handle.is_finished());
                }
                5 => drop(Builder::new().name("named").stack_size(512 << 10).spawn(body).unwrap()),
                6 => {
                    let (tx, rx) = channel::bounded(0);
                    go!(move || {
                        body();
                        tx.send(()).unwrap();
                    });
                    rx.recv().unwrap();
                }
                7 => blocking(|| go!(body)),
                _ => {
                    go!(body);
                    yield_now();
                }
            }
        }
    }
}

#[test]
fn trees() {
    storm(|random| {
        let tree = Arc::new(Tree::default());
        tree.started.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&tree).grow(12, random.fork());
        until(|| tree.ran.load(Ordering::Relaxed) == tree.started.load(Ordering::Relaxed));
    });
}

#[test]
fn bursts_from_many_sides() {
    storm(|random| {
        let count = Arc::new(AtomicU64::new(0));
        let (sides, each) = (1 + random.below(6), random.below(400));
        scope(|s| {
            for _ in 0..sides {
                s.spawn(|| {
                    for _ in 0..each {
                        let count = Arc::clone(&count);
                        go!(move || count.fetch_add(1, Ordering::Relaxed));
                    }
                });
            }
            let threads = random.below(3);
            std::thread::scope(|t| {
                for _ in 0..threads {
                    t.spawn(|| {
                        let handles: Vec<_> = (0..each).map(|n| spawn(move || n)).collect();
                        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
                        count.fetch_add(sum, Ordering::Relaxed);
                    });
                }
            });
            let expected = sides * each + threads * (each * each.saturating_sub(1) / 2);
            until(|| count.load(Ordering::Relaxed) == expected);
        });
    });
}
