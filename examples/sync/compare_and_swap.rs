//! Compare-and-swap: changing a shared value without a lock.
//!
//! Like Go's `atomic.CompareAndSwapInt64`: set the value if it is still the value that was read,
//! and otherwise read it again. Use it for a change that depends on the old value, such as
//! withdrawing no more than the balance of an account. For more than a number, use `sync::Value`.
//! Its `compare_and_swap` replaces the whole value, so a value that a reader has loaded never
//! changes.
//!
//! Prints:
//!
//! ```text
//! 66 of 100 were served, 2 are left
//! history: 50 entries, sum 1225
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use greenthread::scope;
use greenthread::sync::Value;

#[greenthread::main]
fn main() {
    let account = AtomicU64::new(200);
    let served: usize = scope(|s| {
        let goroutines: Vec<_> = (0..100).map(|_| s.spawn(|| withdraw(&account, 3))).collect();
        goroutines.into_iter().filter_map(|goroutine| goroutine.join().unwrap()).count()
    });
    println!("{served} of 100 were served, {} are left", account.into_inner());

    let history = Value::from(Vec::new());
    scope(|s| {
        for n in 0..50 {
            let history = &history;
            s.spawn(move || append(history, n));
        }
    });
    let history = history.load().unwrap();
    println!("history: {} entries, sum {}", history.len(), history.iter().sum::<u64>());
}

/// Withdraws `amount` and returns the new balance, or `None` if the balance is too small.
fn withdraw(account: &AtomicU64, amount: u64) -> Option<u64> {
    let mut balance = account.load(Ordering::Relaxed);
    loop {
        // The `fetch_update` method in `std` is a ready-made version of this loop.
        let rest = balance.checked_sub(amount)?;
        match account.compare_exchange_weak(balance, rest, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Some(rest),
            Err(changed) => balance = changed,
        }
    }
}

/// Appends to a list that is never changed in place, only replaced with a longer list.
fn append(history: &Value<Vec<u64>>, entry: u64) {
    loop {
        let now = history.load().unwrap();
        let mut longer = now.to_vec();
        longer.push(entry);
        if history.compare_and_swap(Some(&now), longer).is_ok() {
            return;
        }
    }
}
