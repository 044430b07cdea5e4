//! A worker pool: nine jobs, three goroutines.
//!
//! In Go: a jobs channel, `for range 3 { wg.Go(worker) }`, and a goroutine that closes the results
//! channel after `wg.Wait()`. Here, `worker_pool` does all of this. Results arrive when they are
//! ready, so each of them says which job it belongs to.
//!
//! Prints:
//!
//! ```text
//! 1 4 9 16 25 36 49 64 81
//! 9 jobs were done by 3 goroutines
//! ```

use std::collections::HashSet;

use greenthread::channel;
use greenthread::ctx::Context;
use greenthread::patterns::worker_pool;
use greenthread::sync::Barrier;
use greenthread::{current, go};

#[greenthread::main]
fn main() {
    let (tx, jobs) = channel::bounded(0);
    go!(move || (1..=9).for_each(|job| tx.send(job).unwrap()));

    // Each job lasts until two others have begun, which proves that all three workers work at once.
    let company = Barrier::new(3);
    let results = worker_pool(&Context::background(), 3, jobs, move |_ctx, n: u32| {
        company.wait();
        (n, n * n, current().unwrap().id())
    });
    let mut results: Vec<_> = results.collect().unwrap();
    results.sort();

    let squares: Vec<_> = results.iter().map(|(_, square, _)| square.to_string()).collect();
    println!("{}", squares.join(" "));
    let workers: HashSet<_> = results.iter().map(|(_, _, worker)| worker).collect();
    println!("{} jobs were done by {} goroutines", results.len(), workers.len());
}
