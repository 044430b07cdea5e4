//! tokio's own locks with eight contending tasks: the kind whose holder may wait. And tasks that
//! divide the work.

use std::future::Future;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peer_harness::Workload;
use tokio::spawn;
use tokio::sync::{Mutex, RwLock};

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("mutex_8", 5_000_000, |n| on_worker(mutex(n))),
    Workload::each("rwlock_1pct", 3_000_000, |n| on_worker(rwlock(n))),
];

const CONTENDERS: u64 = 8;

async fn mutex(locks: u64) -> Duration {
    let total = Arc::new(Mutex::new(0));
    let elapsed = crew(CONTENDERS, locks, |mine| {
        let total = Arc::clone(&total);
        async move {
            for _ in mine {
                *total.lock().await += 1;
            }
        }
    });
    let elapsed = elapsed.await;
    assert_eq!(*total.lock().await, locks);
    elapsed
}

async fn rwlock(operations: u64) -> Duration {
    let writes = Arc::new(RwLock::new(0));
    let elapsed = crew(CONTENDERS, operations, |mine| {
        let writes = Arc::clone(&writes);
        async move {
            for n in mine {
                if n.is_multiple_of(100) {
                    *writes.write().await += 1;
                } else {
                    black_box(*writes.read().await);
                }
            }
        }
    });
    let elapsed = elapsed.await;
    assert_eq!(*writes.read().await, operations.div_ceil(100));
    elapsed
}

/// Runs `operations` in `members` tasks.
///
/// `work` does the operations whose numbers it is passed.
pub(crate) async fn crew<F: Future<Output = ()> + Send + 'static>(
    members: u64,
    operations: u64,
    work: impl Fn(Range<u64>) -> F,
) -> Duration {
    let start = Instant::now();
    let members = (0..members).map(|id| spawn(work(operations * id / members..operations * (id + 1) / members)));
    let members: Vec<_> = members.collect();
    for member in members {
        member.await.expect("a member does not panic");
    }
    start.elapsed()
}
