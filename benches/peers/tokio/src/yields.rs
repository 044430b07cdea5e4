//! Tasks that only yield.

use std::ops::Range;
use std::time::Duration;

use peer_harness::Workload;
use tokio::task::yield_now;

use crate::lock::crew;
use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::each("yield_2", 3_000_000, |n| on_worker(yields(2, n))),
    Workload::each("yield_1000", 5_000_000, |n| on_worker(yields(1000, n))),
];

async fn yields(tasks: u64, yields: u64) -> Duration {
    let work = async |mine: Range<u64>| {
        for _ in mine {
            yield_now().await;
        }
    };
    crew(tasks, yields, work).await
}
