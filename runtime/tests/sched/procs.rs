//! `gomaxprocs` and `set_gomaxprocs`.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{Rng, check_from_thread, check_on, seed, spin};
use greenthread::{channel, debug, gomaxprocs, set_gomaxprocs, spawn, time, yield_now};

#[test]
fn set_returns_the_old_number() {
    check_on(2, || {
        assert_eq!(gomaxprocs(), 2);
        assert_eq!(set_gomaxprocs(5), 2);
        assert_eq!(gomaxprocs(), 5);
        assert_eq!(spawn(|| set_gomaxprocs(1)).join().unwrap(), 5);
        assert_eq!((gomaxprocs(), debug::stats().procs), (1, 1));
        assert_eq!(set_gomaxprocs(2), 1);
    });
}

#[test]
fn zero_ps_are_refused() {
    check_on(2, || {
        let payload = panic::catch_unwind(|| set_gomaxprocs(0)).unwrap_err();
        let text = "set_gomaxprocs: there must be at least one P; call gomaxprocs() to read the number";
        assert_eq!(payload.downcast_ref(), Some(&text));
        assert_eq!(gomaxprocs(), 2);
    });
}

#[test]
fn the_number_is_clamped() {
    check_on(2, || {
        set_gomaxprocs(1_000_000);
        assert_eq!(gomaxprocs(), 1024);
        let sum: usize =
            (0..2000).map(|n| spawn(move || n)).collect::<Vec<_>>().into_iter().map(|h| h.join().unwrap()).sum();
        assert_eq!(sum, 1999 * 1000);
        assert_eq!(set_gomaxprocs(1), 1024);
        spawn(|| ()).join().unwrap();
    });
}

#[test]
fn as_many_goroutines_run_at_once_as_there_are_ps() {
    check_from_thread(|| {
        let procs = gomaxprocs();
        let (running, met) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let handles: Vec<_> = (0..procs)
            .map(|_| {
                let (running, met) = (Arc::clone(&running), Arc::clone(&met));
                spawn(move || {
                    running.fetch_add(1, Ordering::SeqCst);
                    // The loop does not enter the scheduler, so all goroutines must be on Ps at the
                    // same time.
                    while !met.load(Ordering::Relaxed) {
                        if running.load(Ordering::SeqCst) == procs {
                            met.store(true, Ordering::Relaxed);
                        }
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

/// Returns how many goroutines ran at the same moment, at most.
///
/// They leave their P only by yielding.
fn most_at_once(rounds: usize) -> usize {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handles: Vec<_> = (0..8)
        .map(|_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            spawn(move || {
                for _ in 0..rounds {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    spin(Duration::from_micros(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                    yield_now();
                }
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    most.load(Ordering::SeqCst)
}

#[test]
fn no_more_goroutines_run_at_once_than_there_are_ps() {
    check_on(4, || {
        set_gomaxprocs(1);
        most_at_once(1);
        for _ in 0..20 {
            // On a busy machine a goroutine may be kept from its CPU for 10 ms. It then counts as a
            // hog and loses its P.
            let retakes = debug::stats().retakes;
            let most = most_at_once(20);
            assert!(most == 1 || debug::stats().retakes > retakes, "{most} goroutines ran at once on one P");
        }
    });
}

#[test]
fn an_idle_runtime_is_resized() {
    check_on(1, || {
        for procs in [4, 1, 2, 64, 1, 3] {
            set_gomaxprocs(procs);
            assert_eq!(spawn(gomaxprocs).join().unwrap(), procs);
        }
    });
}

#[test]
fn the_p_of_a_hog_can_be_removed() {
    check_on(4, || {
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..4)
            .map(|n| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    // The goroutines in the queue of a P that is removed must not be lost.
                    let left: Vec<_> = (0..100).map(|m| spawn(move || m + n)).collect();
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                    left.into_iter().map(|handle| handle.join().unwrap()).sum::<usize>()
                })
            })
            .collect();
        set_gomaxprocs(1);
        spawn(|| time::sleep(Duration::from_millis(1))).join().unwrap();
        stop.store(true, Ordering::Relaxed);
        for (n, hog) in hogs.into_iter().enumerate() {
            assert_eq!(hog.join().unwrap(), 4950 + 100 * n);
        }
    });
}

#[test]
fn many_may_resize_at_once_under_load() {
    check_on(2, || {
        let seed = seed();
        let mut random = Rng::new(seed);
        let stop = Arc::new(AtomicBool::new(false));
        let resize = |mut random: Rng, stop: Arc<AtomicBool>| {
            move || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    assert!((1..=8).contains(&set_gomaxprocs(1 + random.below(8) as usize)));
                    time::sleep(Duration::from_micros(random.below(500)));
                    count += 1;
                }
                count
            }
        };
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(resize(random.fork(), Arc::clone(&stop)))).collect();
        let goroutines: Vec<_> = (0..2).map(|_| spawn(resize(random.fork(), Arc::clone(&stop)))).collect();
        for _ in 0..20 {
            let (tx, rx) = channel::bounded(1);
            for n in 0..200_u64 {
                let tx = tx.clone();
                greenthread::go!(move || {
                    time::sleep(Duration::from_micros(n % 7 * 100));
                    spin(Duration::from_micros(n % 5));
                    tx.send(n).unwrap();
                });
            }
            drop(tx);
            assert_eq!(rx.iter().sum::<u64>(), 199 * 100);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() > 0));
        assert!(goroutines.into_iter().all(|goroutine| goroutine.join().unwrap() > 0));
    });
}
