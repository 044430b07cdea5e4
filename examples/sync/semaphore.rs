//! A semaphore: so many at a time, and no more.
//!
//! Go's `golang.org/x/sync/semaphore`. A permit is given back when it is dropped, also by a panic. What weighs more
//! takes more permits; those who wait are served in order, so a large request is not starved by small ones. Whoever
//! cannot wait for ever asks with `try_acquire` or a context.
//!
//! Prints:
//!
//! ```text
//! 12 downloads, at most 3 at a time
//! a large one has it all: true
//! try_acquire: no permit
//! acquire_ctx: context deadline exceeded
//! afterwards 3 permits are free
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::scope;
use greenthread::sync::{Barrier, Semaphore};

#[greenthread::main]
fn main() {
    let (semaphore, downloads) = (Semaphore::new(3), 12);
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Each download takes until two others are there: then it is certain that there were three at a time.
    let company = Barrier::new(3);
    scope(|s| {
        for _ in 0..downloads {
            s.spawn(|| {
                let _permit = semaphore.acquire(1);
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                company.wait();
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    println!("{downloads} downloads, at most {} at a time", most.into_inner());

    let large = semaphore.acquire(3);
    println!("a large one has it all: {}", semaphore.available_permits() == 0);
    if semaphore.try_acquire(1).is_none() {
        println!("try_acquire: no permit");
    }
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(10));
    if let Err(error) = semaphore.acquire_ctx(&ctx, 1) {
        println!("acquire_ctx: {error}");
    }
    drop(large);
    println!("afterwards {} permits are free", semaphore.available_permits());
}
