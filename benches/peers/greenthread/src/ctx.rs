//! Contexts: one with a timeout, and a tree of them.

use std::time::{Duration, Instant};

use greenthread::ctx::Context;
use peer_harness::Workload;

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("ctx_timeout_cancel", 500_000, |n| on_goroutine(move || timeout_cancel(n))),
    Workload::whole_us("ctx_tree_10k", || on_goroutine(|| cancel_tree(|_| {}))),
    Workload::whole_us("ctx_tree_10k_done", || {
        on_goroutine(|| {
            cancel_tree(|leaf| {
                leaf.done();
            })
        })
    }),
];

/// The number of children of each inner node of the tree.
const CHILDREN: usize = 100;

fn timeout_cancel(count: u64) -> Duration {
    let background = Context::background();
    let start = Instant::now();
    for _ in 0..count {
        let (_ctx, cancel) = background.with_timeout(Duration::from_secs(3600));
        cancel.cancel();
    }
    start.elapsed()
}

/// Cancels the root of a tree.
///
/// Before that, `prepare` is called with each leaf.
fn cancel_tree(prepare: fn(&Context)) -> Duration {
    let (root, cancel) = Context::background().with_cancel();
    let children: Vec<_> = (0..CHILDREN).map(|_| root.with_cancel()).collect();
    let leaves = children.iter().flat_map(|(child, _)| (0..CHILDREN).map(|_| child.with_cancel()));
    let leaves: Vec<_> = leaves.inspect(|(leaf, _)| prepare(leaf)).collect();
    let start = Instant::now();
    cancel.cancel();
    let elapsed = start.elapsed();
    assert!(leaves.iter().all(|(leaf, _)| leaf.err().is_some()), "a leaf was left out");
    elapsed
}
