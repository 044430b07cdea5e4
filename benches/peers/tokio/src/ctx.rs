//! The equivalents of contexts: one token with a timeout, and a tree of tokens.

use std::pin::pin;
use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::on_worker;
use crate::timer::{HOUR, arm};

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("ctx_timeout_cancel", 500_000, |n| on_worker(timeout_cancel(n))),
    Workload::whole_us("ctx_tree_10k", || on_worker(cancel_tree())),
];

/// The number of children of each inner node of the tree.
const CHILDREN: usize = 100;

async fn timeout_cancel(count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        let token = CancellationToken::new();
        arm(pin!(sleep(HOUR))).await;
        token.cancel();
    }
    start.elapsed()
}

async fn cancel_tree() -> Duration {
    let root = CancellationToken::new();
    let children: Vec<_> = (0..CHILDREN).map(|_| root.child_token()).collect();
    let leaves: Vec<_> = children.iter().flat_map(|child| (0..CHILDREN).map(|_| child.child_token())).collect();
    let start = Instant::now();
    root.cancel();
    let elapsed = start.elapsed();
    assert!(leaves.iter().all(CancellationToken::is_cancelled), "a leaf was left out");
    elapsed
}
