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
    /// Whose thread this is, while a goroutine is locked to it.
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

/// Every way to leave the CPU, `rounds` times; panics if the goroutine comes back on another thread, or if another one was there
/// meanwhile and left its mark.
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

/// Goroutines that roam, and mark each thread that they run on as nobody's; true if one met a locked thread.
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
fn a_locked_goroutine_stays_and_is_alone() {
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
        assert!(!others.into_iter().any(|other| other.join().unwrap()), "somebody ran on a locked thread");
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
            assert_eq!(thread_id(), thread, "one guard of two is left");
            drop(second);
            // Free again, and a goroutine like any other.
            (0..10).for_each(|_| yield_now());
            let _again = lock_os_thread();
            leave_in_all_ways(2);
        });
        handle.join().unwrap();
    });
}

#[test]
fn goroutines_that_end_locked_stop_nobody() {
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
        assert!(!others.into_iter().any(|other| other.join().unwrap()), "somebody ran on a pinned thread");
    });
}

#[test]
fn many_pinned_on_one_p() {
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
        assert_eq!(threads.len(), 50, "each has a thread of its own");
        drop(let_all_end);
        for (n, handle) in pinned.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), n);
        }
    });
}

/// Two locked goroutines that wake each other: each wake-up hands a P from thread to thread.
#[test]
fn a_ping_pong_of_locked_goroutines() {
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
fn a_locked_hog() {
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
fn a_panic_of_a_locked_goroutine() {
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

/// std's scope wakes the thread on which it was entered.
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
