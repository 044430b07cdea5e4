//! Locks.

use super::Row;
use super::notes::{ASYNC_LOCK, BLOCKING_LOCK, PARKING_LOT};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "mutex_8",
        unit: "ns/lock",
        counts: "8 goroutines that lock a mutex, add 1, and unlock it",
        notes: &[ASYNC_LOCK, BLOCKING_LOCK, PARKING_LOT],
        ..Row::PLAIN
    },
    Row {
        name: "rwlock_1pct",
        unit: "ns/operation",
        counts: "8 goroutines that read under a read-write lock; every hundredth operation is a write",
        notes: &[ASYNC_LOCK, BLOCKING_LOCK, PARKING_LOT],
        ..Row::PLAIN
    },
];
