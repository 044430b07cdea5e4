//! tokio's multi-thread runtime, with all its drivers, as `#[tokio::main]` starts it.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

mod chan;
mod crowd;
mod ctx;
mod echo;
mod hogs;
mod lock;
mod ring;
mod select;
mod sieve;
mod skynet;
mod sleep;
mod spawn_join;
mod timer;
mod wake;
mod yields;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn start(workers: usize) {
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    RUNTIME.set(runtime.expect("a runtime starts")).expect("the runtime is started once");
}

/// Runs a task on a worker: `block_on` runs its own future on the thread that calls it.
fn on_worker<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = RUNTIME.get().expect("the runtime has been started");
    runtime.block_on(runtime.spawn(task)).expect("a workload does not panic")
}

fn main() {
    peer_harness::main(
        start,
        &[
            spawn_join::WORKLOADS,
            yields::WORKLOADS,
            wake::WORKLOADS,
            chan::WORKLOADS,
            select::WORKLOADS,
            ring::WORKLOADS,
            sieve::WORKLOADS,
            skynet::WORKLOADS,
            lock::WORKLOADS,
            sleep::WORKLOADS,
            timer::WORKLOADS,
            ctx::WORKLOADS,
            echo::WORKLOADS,
            crowd::WORKLOADS,
            hogs::WORKLOADS,
        ],
    );
}
