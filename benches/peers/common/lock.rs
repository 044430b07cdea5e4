//! Locks with eight contenders, and goroutines that divide the work.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::spawn;
use crate::sync::{Mutex, RwLock};

const CONTENDERS: u64 = 8;

/// Locks, adds one, and unlocks the given number of times.
pub(crate) fn mutex(locks: u64) -> Duration {
    let total = Arc::new(Mutex::new(0));
    let elapsed = crew(CONTENDERS, locks, {
        let total = Arc::clone(&total);
        move |_| *total.lock() += 1
    });
    assert_eq!(*total.lock(), locks);
    elapsed
}

/// Reads under the lock; every hundredth operation is a write.
pub(crate) fn rwlock(operations: u64) -> Duration {
    let writes = Arc::new(RwLock::new(0));
    let elapsed = crew(CONTENDERS, operations, {
        let writes = Arc::clone(&writes);
        move |n| {
            if n.is_multiple_of(100) {
                *writes.write() += 1;
            } else {
                black_box(*writes.read());
            }
        }
    });
    assert_eq!(*writes.read(), operations.div_ceil(100));
    elapsed
}

/// Runs `operations` calls of `operation` in `members` goroutines.
///
/// Each call is passed its number.
pub(crate) fn crew(members: u64, operations: u64, operation: impl Fn(u64) + Clone + Send + 'static) -> Duration {
    let start = Instant::now();
    let members = (0..members).map(|id| {
        let mine = operations * id / members..operations * (id + 1) / members;
        let operation = operation.clone();
        spawn(move || mine.map(operation).count() as u64)
    });
    let members: Vec<_> = members.collect();
    let done: u64 = members.into_iter().map(|member| member.join().expect("a member does not panic")).sum();
    let elapsed = start.elapsed();
    assert_eq!(done, operations);
    elapsed
}
