//! A cache behind a readers-writer lock.
//!
//! The lock is the counterpart of Go's `sync.RWMutex`. Goroutines that find their entries share the
//! lock. A goroutine that does not find its entry takes the lock exclusively and checks again,
//! because another goroutine may have added the entry between the two locks. In Rust, the lock
//! contains the map, so it cannot be reached without a guard. Do not compute slow entries under the
//! lock: see `sync::singleflight`.
//!
//! Prints:
//!
//! ```text
//! 60 lookups, 3 computed
//! 10! = 3628800
//! 15! = 1307674368000
//! 20! = 2432902008176640000
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use greenthread::scope;
use greenthread::sync::RwLock;

#[derive(Default)]
struct Factorials {
    known: RwLock<BTreeMap<u64, u64>>,
    lookups: AtomicU64,
    computed: AtomicU64,
}

impl Factorials {
    fn get(&self, n: u64) -> u64 {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        // A separate statement, since the guard in an `if let` would still be held in the `else`
        // branch.
        let found = self.known.read().get(&n).copied();
        if let Some(factorial) = found {
            return factorial;
        }
        *self.known.write().entry(n).or_insert_with(|| {
            self.computed.fetch_add(1, Ordering::Relaxed);
            (1..=n).product()
        })
    }
}

#[greenthread::main]
fn main() {
    let cache = Factorials::default();
    scope(|s| {
        for _ in 0..20 {
            s.spawn(|| [10, 15, 20].map(|n| cache.get(n)));
        }
    });
    println!("{} lookups, {} computed", cache.lookups.into_inner(), cache.computed.into_inner());
    for (n, factorial) in cache.known.into_inner() {
        println!("{n}! = {factorial}");
    }
}
