//! A tree of workers that is canceled halfway.
//!
//! ```text
//!   root context ─┬─ branch context ─┬─ leaf: receives jobs with ctx.recv
//!                 │                  ├─ leaf
//!                 │                  └─ leaf ...
//!                 ├─ branch context ─── ...
//!                 └─ deadline, in case the cancellation never comes
//! ```
//! Every branch has its own context, a child of the root context. Each worker of a branch has a
//! child of the branch's context. All of these contexts have deadlines. The first branch reaches
//! its deadline by itself, which does not affect the other branches. Then the root is canceled.
//! Every worker returns at once, whatever it is waiting for, and nothing is left: no goroutine, no
//! timer, no channel with waiters.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greenthread::channel::{self, Receiver};
use greenthread::ctx::Context;
use greenthread::sync::WaitGroup;
use greenthread::{debug, go, time};

const BRANCHES: usize = 10;
const WORKERS: usize = 20;

/// Processes jobs until the context ends; every third worker sleeps instead.
fn work(ctx: &Context, id: usize, jobs: &Receiver<usize>, done: &AtomicUsize) {
    if id.is_multiple_of(3) {
        while ctx.sleep(Duration::from_millis(1)).is_ok() {}
        return;
    }
    loop {
        match ctx.recv(jobs) {
            Ok(_) => done.fetch_add(1, Ordering::Relaxed),
            Err(_) => return,
        };
    }
}

/// Starts a branch, and returns when all of its workers have returned.
fn branch(ctx: &Context, jobs: &Receiver<usize>, done: &Arc<AtomicUsize>) {
    let wg = WaitGroup::new();
    for id in 0..WORKERS {
        let (own, cancel) = ctx.with_timeout(Duration::from_secs(60));
        let (jobs, done) = (jobs.clone(), Arc::clone(done));
        wg.go(move || {
            let _cancel = cancel;
            work(&own, id, &jobs, &done);
        });
    }
    wg.wait();
}

#[greenthread::main]
fn main() -> ExitCode {
    let (root, cancel) = Context::background().with_cancel_cause();
    let (job_tx, jobs) = channel::bounded(16);
    let done = Arc::new(AtomicUsize::new(0));
    let all = WaitGroup::new();
    let (left_tx, left) = channel::unbounded();
    for id in 0..BRANCHES {
        let (root, jobs, done, left_tx) = (root.clone(), jobs.clone(), Arc::clone(&done), left_tx.clone());
        all.go(move || {
            let timeout = Duration::from_millis(if id == 0 { 10 } else { 60_000 });
            let (ctx, _cancel) = root.with_timeout(timeout);
            branch(&ctx, &jobs, &done);
            left_tx.send((id, ctx.err(), ctx.cause().map(|cause| cause.to_string()))).expect("main receives");
        });
    }
    let feeder = root.clone();
    go!(move || (0..).take_while(|&n| feeder.send(&job_tx, n).is_ok()).count());

    let (first, error, _) = left.recv().expect("branch 0 gives up");
    println!("branch {first}: {}", error.expect("it has ended"));
    time::sleep(Duration::from_millis(5));
    println!("the others go on: {}", root.err().is_none() && left.is_empty());

    let begin = Instant::now();
    cancel.cancel("the operator said stop");
    let told = begin.elapsed();
    all.wait();
    let over = begin.elapsed();
    drop(left_tx);
    let causes: Vec<_> = left.iter().filter_map(|(_, _, cause)| cause).collect();
    println!("{} branches: {}", causes.len(), causes[0]);
    eprintln!("{} jobs done; all told after {told:?}, all back after {over:?}", done.load(Ordering::Relaxed));

    // The last goroutines may not have exited yet. Only main stays.
    let end = Instant::now() + Duration::from_secs(5);
    let left_behind = || (debug::stats().goroutines.saturating_sub(1), debug::stats().timers);
    while left_behind() != (0, 0) && Instant::now() < end {
        greenthread::yield_now();
    }
    let (goroutines, timers) = left_behind();
    println!("left behind: {goroutines} goroutines, {timers} timers");
    ExitCode::from(u8::from((goroutines, timers) != (0, 0)))
}
