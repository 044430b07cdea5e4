//! Models of the raw lock.

use greenthread_models::explore;
use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::lock::RawLock;
use loom::sync::Arc;
use loom::thread;

struct Counter {
    lock: RawLock,
    n: UnsafeCell<u32>,
}

// SAFETY: `n` is touched only under `lock`; the models check that this suffices.
unsafe impl Sync for Counter {}

impl Counter {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: RawLock::new(), n: UnsafeCell::new(0) })
    }

    fn add_locked(&self) {
        // SAFETY: the caller holds the lock.
        self.n.with_mut(|n| unsafe { *n += 1 });
    }

    fn add(&self) {
        self.lock.lock();
        self.add_locked();
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
    }
}

#[test]
fn holders_exclude_each_other_and_see_the_work_before() {
    explore(3, || {
        let counter = Counter::new();
        let other = {
            let counter = Arc::clone(&counter);
            thread::spawn(move || counter.add())
        };
        counter.add();
        other.join().unwrap();
        counter.lock.lock();
        // SAFETY: under the lock.
        assert_eq!(counter.n.with(|n| unsafe { *n }), 2);
    });
}

#[test]
fn try_lock_fails_only_while_another_holds_it() {
    explore(3, || {
        let counter = Counter::new();
        let other = {
            let counter = Arc::clone(&counter);
            thread::spawn(move || {
                let got = counter.lock.try_lock();
                if got {
                    counter.add_locked();
                    // SAFETY: locked above.
                    unsafe { counter.lock.unlock() };
                }
                got
            })
        };
        counter.add();
        let got = other.join().unwrap();
        assert!(counter.lock.try_lock(), "both are done, so the lock is free");
        // SAFETY: under the lock.
        assert_eq!(counter.n.with(|n| unsafe { *n }), 1 + u32::from(got));
    });
}
