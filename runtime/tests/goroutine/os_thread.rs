//! Goroutines that stay on their OS thread.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::common::{check, check_from_thread, check_on, spin, text};
use greenthread::channel::{self, Receiver, Sender};
use greenthread::{Builder, JoinHandle, blocking, go, lock_os_thread, spawn, time, yield_now};

thread_local! {
    /// The id of the goroutine that is locked to this thread, or 0.
    static OWNER: Cell<u64> = const { Cell::new(0) };
}

#[inline(never)]
fn thread_id() -> ThreadId {
    thread::current().id()
}

#[inline(never)]
fn owner() -> u64 {
    OWNER.get()
}

#[inline(never)]
fn set_owner(id: u64) {
    OWNER.set(id);
}

fn id() -> u64 {
    greenthread::current().unwrap().id()
}

/// Leaves the CPU `rounds` times in every possible way.
///
/// Panics if the goroutine continues on another thread, or if another goroutine has changed the
/// owner of the thread.
fn leave_in_all_ways(rounds: u32) {
    let (me, thread) = (id(), thread_id());
    set_owner(me);
    let still_here = |how: &str| {
        assert_eq!(thread_id(), thread, "after {how}");
        assert_eq!(owner(), me, "after {how}");
    };
    for _ in 0..rounds {
        yield_now();
        still_here("yield_now");
        time::sleep(Duration::from_micros(50));
        still_here("sleep");
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
        still_here("join");
        let (tx, rx) = channel::bounded(0);
        go!(move || tx.send(1).unwrap());
        rx.recv().unwrap();
        still_here("recv");
        blocking(|| thread::sleep(Duration::from_micros(10)));
        still_here("blocking");
    }
    set_owner(0);
}

/// Starts goroutines that roam over the threads until `stop` is set.
///
/// Each returns `true` if it ran on a thread to which another goroutine is locked.
fn roamers(stop: &Arc<AtomicBool>) -> Vec<JoinHandle<bool>> {
    let roam = |stop: Arc<AtomicBool>| {
        move || {
            let mut met = false;
            while !stop.load(Ordering::Relaxed) {
                met |= owner() != 0;
                yield_now();
                time::sleep(Duration::from_micros(20));
            }
            met
        }
    };
    (0..8).map(|_| spawn(roam(Arc::clone(stop)))).collect()
}

#[test]
fn a_locked_goroutine_has_its_thread_to_itself() {
    check(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let others = roamers(&stop);
        let locked: Vec<_> = (0..4)
            .map(|_| {
                spawn(|| {
                    let _guard = lock_os_thread();
                    leave_in_all_ways(20);
                })
            })
            .collect();
        locked.into_iter().for_each(|handle| handle.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        assert!(
            !others.into_iter().any(|other| other.join().unwrap()),
            "another goroutine ran on the thread of a locked goroutine"
        );
    });
}

#[test]
fn guards_nest() {
    check(|| {
        let handle = spawn(|| {
            let outer = lock_os_thread();
            let thread = thread_id();
            {
                let _inner = lock_os_thread();
                leave_in_all_ways(2);
            }
            leave_in_all_ways(2);
            assert_eq!(thread_id(), thread);
            let second = lock_os_thread();
            drop(outer);
            leave_in_all_ways(2);
            assert_eq!(thread_id(), thread, "one guard is left, so the goroutine stays locked");
            drop(second);
            // No longer locked, it may move to other threads.
            (0..10).for_each(|_| yield_now());
            let _again = lock_os_thread();
            leave_in_all_ways(2);
        });
        handle.join().unwrap();
    });
}

#[test]
fn goroutines_that_end_locked_block_no_others() {
    check(|| {
        for _ in 0..20 {
            spawn(|| std::mem::forget(lock_os_thread())).join().unwrap();
            spawn(|| {
                let _guard = lock_os_thread();
                greenthread::exit_goroutine();
            })
            .join()
            .unwrap_err();
        }
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn pinned_goroutines_stay_from_the_first_instruction() {
    check(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let others = roamers(&stop);
        let pinned: Vec<_> =
            (0..4).map(|_| Builder::new().pinned(true).spawn(|| leave_in_all_ways(20)).unwrap()).collect();
        pinned.into_iter().for_each(|handle| handle.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        assert!(
            !others.into_iter().any(|other| other.join().unwrap()),
            "another goroutine ran on the thread of a pinned goroutine"
        );
    });
}

#[test]
fn many_pinned_goroutines_share_one_p() {
    check_on(1, || {
        let (let_all_end, may_end) = channel::bounded::<()>(0);
        let (tx, rx) = channel::unbounded();
        let pinned: Vec<_> = (0..50)
            .map(|n| {
                let (tx, may_end) = (tx.clone(), may_end.clone());
                let body = move || {
                    tx.send(thread_id()).unwrap();
                    leave_in_all_ways(3);
                    assert!(may_end.recv().is_err());
                    n
                };
                Builder::new().pinned(true).name(format!("pinned {n}")).spawn(body).unwrap()
            })
            .collect();
        let threads: HashSet<ThreadId> = rx.iter().take(50).collect();
        assert_eq!(threads.len(), 50, "each pinned goroutine has a thread of its own");
        drop(let_all_end);
        for (n, handle) in pinned.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), n);
        }
    });
}

/// Two locked goroutines wake each other: each wake-up hands a P from one thread to the other.
#[test]
fn locked_goroutines_wake_each_other() {
    fn side(from: Receiver<u32>, to: Sender<u32>) -> u32 {
        let _guard = lock_os_thread();
        let thread = thread_id();
        let mut last = 0;
        for n in from {
            last = n;
            assert_eq!(thread_id(), thread);
            if to.send(n + 1).is_err() {
                break;
            }
        }
        last
    }
    check(|| {
        let ((ping, pinged), (pong, ponged)) = (channel::bounded(0), channel::bounded(0));
        let side = spawn(move || side(pinged, pong));
        let guard = lock_os_thread();
        let mut n = 0;
        while n < 1000 {
            ping.send(n).unwrap();
            n = ponged.recv().unwrap();
        }
        drop(guard);
        drop(ping);
        assert_eq!(side.join().unwrap(), 999);
    });
}

#[test]
fn locked_hogs_stay_on_their_thread() {
    check(|| {
        let locked: Vec<_> = (0..3)
            .map(|_| {
                spawn(|| {
                    let _guard = lock_os_thread();
                    for _ in 0..3 {
                        spin(Duration::from_millis(15));
                        leave_in_all_ways(1);
                        thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        let others: Vec<_> = (0..100).map(|n| spawn(move || n)).collect();
        assert_eq!(others.into_iter().map(|other| other.join().unwrap()).sum::<u32>(), 4950);
        locked.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn a_panic_of_a_locked_goroutine_reaches_join() {
    check(|| {
        let handle = spawn(|| {
            let _guard = lock_os_thread();
            leave_in_all_ways(1);
            panic!("expected");
        });
        assert_eq!(text(&*handle.join().unwrap_err()), "expected");
    });
}

#[test]
fn on_a_plain_thread_the_guard_does_nothing() {
    check_from_thread(|| {
        let _guard = lock_os_thread();
        yield_now();
        spawn(|| ()).join().unwrap();
    });
}

// The scope of std wakes the thread that entered it.
#[test]
fn std_scopes_work_while_locked() {
    check(|| {
        let round = || {
            let _here = lock_os_thread();
            let (tx, rx) = channel::bounded(0);
            thread::scope(|scope| {
                scope.spawn(move || {
                    tx.send(()).unwrap();
                    thread::sleep(Duration::from_micros(200));
                });
                rx.recv().unwrap();
                (0..3).for_each(|_| yield_now());
            });
        };
        let goroutines: Vec<_> = (0..4).map(|_| spawn(move || (0..20).for_each(|_| round()))).collect();
        goroutines.into_iter().for_each(|goroutine| goroutine.join().unwrap());
    });
}
