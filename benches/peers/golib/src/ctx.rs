//! Contexts: one with a timeout, and a tree of them.

use std::time::{Duration, Instant};

use go_lib::context::{Context, background, with_cancel, with_timeout};
use go_lib::select;
use peer_harness::Workload;

use crate::channel::Closed;
use crate::on_goroutine;
use crate::ping_pong::ping_pong;

pub(crate) const WORKLOADS: &[Workload] = &[
    // A timeout is a goroutine that sleeps, even after its context is canceled, and there is room
    // for only 32 000 of them.
    Workload::each("ctx_timeout_cancel", 2000, |n| on_goroutine(move || timeout_cancel(n))),
    Workload::each("timer_select", 2000, |n| on_goroutine(move || ping_pong_with_timeout(n))),
    Workload::whole_us("ctx_tree_10k", || on_goroutine(|| cancel_tree(|_| {}))),
    Workload::whole_us("ctx_tree_10k_done", || {
        on_goroutine(|| {
            cancel_tree(|leaf| {
                leaf.done();
            })
        })
    }),
];

const HOUR: Duration = Duration::from_secs(3600);
/// The number of children of each inner node of the tree.
const CHILDREN: usize = 100;

fn timeout_cancel(count: u64) -> Duration {
    let background = background();
    let start = Instant::now();
    for _ in 0..count {
        let (_ctx, cancel) = with_timeout(&background, HOUR);
        cancel.cancel();
    }
    start.elapsed()
}

/// Cancels the root of a tree.
///
/// Before that, `prepare` is called with each leaf.
fn cancel_tree(prepare: fn(&Context)) -> Duration {
    let (root, cancel) = with_cancel(&background());
    let children: Vec<_> = (0..CHILDREN).map(|_| with_cancel(&root)).collect();
    let leaves = children.iter().flat_map(|(child, _)| (0..CHILDREN).map(|_| with_cancel(child)));
    let leaves: Vec<_> = leaves.inspect(|(leaf, _)| prepare(leaf)).collect();
    let start = Instant::now();
    cancel.cancel();
    let elapsed = start.elapsed();
    assert!(leaves.iter().all(|(leaf, _)| leaf.is_done()), "a leaf was left out");
    elapsed
}

/// Sends `rounds` values to and fro through two unbuffered channels, with a timeout on each way
/// back.
fn ping_pong_with_timeout(rounds: u64) -> Duration {
    let background = background();
    ping_pong(rounds, move |pongs| {
        let (ctx, cancel) = with_timeout(&background, HOUR);
        let ball = select! {
            recv(pongs.0) -> ball => { ball.ok_or(Closed) }
            recv(ctx.done()) -> _value => { unreachable!("an hour has not passed") }
        };
        cancel.cancel();
        ball
    })
}
