//! A semaphore: a limit on how much happens at the same time.
//!
//! The counterpart of Go's `golang.org/x/sync/semaphore`. A permit is returned when it is dropped,
//! even in a panic. A heavier task takes more permits. Waiters are served in order, so small
//! requests do not starve a large one. A caller that cannot wait forever uses `try_acquire` or a
//! context.
//!
//! Prints:
//!
//! ```text
//! 12 downloads, at most 3 at a time
//! one large request takes all permits: true
//! try_acquire: no permit
//! acquire_ctx: context deadline exceeded
//! afterward, 3 permits are free
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
    // Each download lasts until two others have begun, which proves that three run at a time.
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
    println!("one large request takes all permits: {}", semaphore.available_permits() == 0);
    if semaphore.try_acquire(1).is_none() {
        println!("try_acquire: no permit");
    }
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(10));
    if let Err(error) = semaphore.acquire_ctx(&ctx, 1) {
        println!("acquire_ctx: {error}");
    }
    drop(large);
    println!("afterward, {} permits are free", semaphore.available_permits());
}
