//! A worker pool that grows while there is a lot of work, and shrinks when there is little.
//!
//! One worker always waits for the next job, as long as the limit allows. When that worker gets a
//! job, it first starts another worker. Workers that have waited for too long end, until only the
//! smaller number is left. In Go, you write this by hand, or use a library.
//!
//! Prints:
//!
//! ```text
//! 0 jobs: 1 worker
//! 1 jobs: 2 workers
//! 2 jobs: 3 workers
//! 3 jobs: 4 workers
//! 4 jobs: 4 workers
//! all 4 jobs done
//! after a while: 1 worker
//! ```

use std::convert::Infallible;
use std::time::Duration;

use greenthread::channel;
use greenthread::ctx::Context;
use greenthread::patterns::dynamic_worker_pool;
use greenthread::{num_goroutine, time};

#[greenthread::main]
fn main() {
    let idle = Duration::from_millis(10);
    let (jobs_tx, jobs) = channel::bounded(0);
    let (begun, has_begun) = channel::bounded(0);
    let (finish, may_finish) = channel::bounded::<Infallible>(0);
    let pool = dynamic_worker_pool(&Context::background(), 1..=4, idle, jobs, move |_ctx, ()| {
        begun.send(()).unwrap();
        may_finish.recv().unwrap_err();
    });

    println!("0 jobs: {}", workers());
    for job in 1..=4 {
        jobs_tx.send(()).unwrap();
        has_begun.recv().unwrap();
        println!("{job} jobs: {}", workers());
    }
    drop(finish);
    println!("all {} jobs done", pool.iter().take(4).count());

    while workers() != "1 worker" {
        time::sleep(idle);
    }
    println!("after a while: {}", workers());
}

/// Counts all goroutines but main.
fn workers() -> String {
    match num_goroutine() - 1 {
        1 => "1 worker".to_owned(),
        n => format!("{n} workers"),
    }
}
