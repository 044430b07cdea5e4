//! Goroutines that block while they unwind, and others that check whether their threads show it.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use greenthread::{JoinHandle, spawn, time, yield_now};

use super::drops::OnDrop;
use super::{check, text};

#[inline(never)]
fn thread_id() -> ThreadId {
    thread::current().id()
}

/// Goroutines that roam over the threads and count how often they find one that is panicking.
pub struct Roamers(Arc<AtomicBool>, Vec<JoinHandle<usize>>);

impl Roamers {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let roam = |stop: Arc<AtomicBool>| {
            move || {
                let (mut met, plain) = (0, std::sync::Mutex::new(0));
                while !stop.load(Ordering::Relaxed) {
                    met += usize::from(thread::panicking());
                    *plain.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
                    met += usize::from(plain.is_poisoned());
                    yield_now();
                    time::sleep(Duration::from_micros(20));
                }
                met
            }
        };
        let handles = (0..8).map(|_| spawn(roam(Arc::clone(&stop)))).collect();
        Self(stop, handles)
    }

    /// Stops the roamers and returns how often one of them ran on a thread that was unwinding.
    pub fn met(self) -> usize {
        self.0.store(true, Ordering::Relaxed);
        self.1.into_iter().map(|roamer| roamer.join().unwrap()).sum()
    }
}

/// Panics, and calls `block` while it unwinds.
///
/// Checks what std knows of the panic before, during and after the block.
pub fn block_while_panicking(block: impl FnOnce()) {
    let (before, during) = (Arc::new(std::sync::Mutex::new(())), Arc::new(std::sync::Mutex::new(())));
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        // This guard is taken before the panic and dropped by the unwinding, which poisons its
        // lock.
        let _guard = before.lock().unwrap();
        let during = &during;
        let _blocks = OnDrop::new(move || {
            let thread = thread_id();
            assert!(thread::panicking());
            let guard = during.lock().unwrap();
            block();
            assert!(thread::panicking(), "the panic was forgotten while the goroutine was blocked");
            assert_eq!(thread_id(), thread, "the goroutine moved to another thread while it unwound");
            // This guard was taken while panicking, so its drop does not poison the lock.
            drop(guard);
        });
        panic!("expected");
    }));
    let payload: Box<dyn std::any::Any + Send> = result.unwrap_err();
    assert_eq!(text(&*payload), "expected");
    assert!(!thread::panicking());
    assert!(before.is_poisoned(), "the panic drops the guard of this lock");
    assert!(!during.is_poisoned(), "the guard of this lock was made while panicking");
    yield_now();
    assert!(!thread::panicking());
}

/// Runs `block` in several unwinding goroutines while roamers run beside them.
pub fn check_blocking_while_panicking(block: impl Fn() + Send + Sync + 'static) {
    let block = Arc::new(block);
    check(move || {
        let roamers = Roamers::start();
        let handles: Vec<_> = (0..4)
            .map(|_| {
                let block = Arc::clone(&block);
                spawn(move || (0..5).for_each(|_| block_while_panicking(&*block)))
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(roamers.met(), 0, "a goroutine ran on a thread that was unwinding");
    });
}
