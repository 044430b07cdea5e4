//! Hogs: goroutines that keep their thread by computing, by sleeping in the kernel, or by waiting
//! for a pipe. The other goroutines go on.

use std::io::{self, Read, Write};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{check, check_from_thread, check_on, spin, text, until, without_chaos};
use greenthread::sync::Mutex;
use greenthread::{blocking, channel, debug, go, gomaxprocs, num_cpu, spawn, time, yield_now};

/// Runs many goroutines that must all end beside the hogs.
///
/// They use channels, locks, joins and timers.
fn others_finish() {
    let (tx, rx) = channel::bounded(4);
    let sum = Arc::new(Mutex::new(0));
    let workers: Vec<_> = (0..20)
        .map(|n| {
            let (tx, sum) = (tx.clone(), Arc::clone(&sum));
            spawn(move || {
                for _ in 0..20 {
                    tx.send(n).unwrap();
                    *sum.lock() += n;
                    yield_now();
                }
                time::sleep(Duration::from_millis(1));
            })
        })
        .collect();
    drop(tx);
    assert_eq!(rx.iter().sum::<u32>(), 20 * 190);
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(*sum.lock(), 20 * 190);
}

/// Does the work on this thread and in a new goroutine.
///
/// A goroutine that was started before the hogs could be tied to the thread of a hog (SAFETY.md),
/// and that hog waits for the caller.
fn beside_hogs() {
    others_finish();
    spawn(others_finish).join().unwrap();
}

/// Starts one more hog than there are Ps, waits until all of them hog, and returns their handles.
fn hogs<F>(hog: impl Fn(usize) -> F) -> Vec<greenthread::JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    let begun = Arc::new(AtomicUsize::new(0));
    let count = gomaxprocs() + 1;
    let handles = (0..count)
        .map(|n| {
            let (begun, hog) = (Arc::clone(&begun), hog(n));
            spawn(move || {
                begun.fetch_add(1, Ordering::Relaxed);
                hog();
                // When the hog is done, it gets a P again and is an ordinary goroutine.
                yield_now();
                time::sleep(Duration::from_micros(100));
                assert_eq!(spawn(|| 1).join().unwrap(), 1);
            })
        })
        .collect();
    until(|| begun.load(Ordering::Relaxed) == count);
    handles
}

fn run_beside_endless_loops() {
    let stop = Arc::new(AtomicBool::new(false));
    let handles = hogs(|_| {
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
    });
    beside_hogs();
    stop.store(true, Ordering::Relaxed);
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}

#[test]
fn others_go_on_beside_endless_loops() {
    check_from_thread(run_beside_endless_loops);
}

fn run_beside_sleeping_threads() {
    let stop = Arc::new(AtomicBool::new(false));
    let handles = hogs(|_| {
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(30));
            }
        }
    });
    beside_hogs();
    stop.store(true, Ordering::Relaxed);
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}

#[test]
fn others_go_on_beside_sleeping_threads() {
    check_from_thread(run_beside_sleeping_threads);
}

#[test]
fn others_go_on_beside_blocking_reads() {
    check_from_thread(|| {
        let mut writers = Vec::new();
        let mut readers: Vec<_> = (0..=gomaxprocs())
            .map(|_| {
                let (reader, writer) = io::pipe().unwrap();
                writers.push(writer);
                Some(reader)
            })
            .collect();
        let readers = std::cell::RefCell::new(&mut readers);
        let handles = hogs(|n| {
            let mut reader = readers.borrow_mut()[n].take().unwrap();
            move || {
                let mut byte = [0];
                reader.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [n as u8]);
            }
        });
        beside_hogs();
        assert!(handles.iter().all(|handle| !handle.is_finished()));
        for (n, writer) in writers.iter_mut().enumerate() {
            writer.write_all(&[n as u8]).unwrap();
        }
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

/// Here goroutines block on both sides: one writes what another, blocked one reads.
#[test]
fn goroutines_may_talk_through_a_blocking_pipe() {
    check(|| {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let reading = spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all.len()
        });
        let writing = spawn(move || {
            // This is more than a pipe holds, so the two sides block in turn.
            for _ in 0..200 {
                writer.write_all(&[7; 4096]).unwrap();
            }
        });
        writing.join().unwrap();
        assert_eq!(reading.join().unwrap(), 200 * 4096);
    });
}

#[test]
fn hogs_keep_their_thread() {
    check(|| {
        let handles: Vec<_> = (0..6)
            .map(|_| {
                spawn(|| {
                    let before = thread::current().id();
                    spin(Duration::from_millis(40));
                    before == thread::current().id()
                })
            })
            .collect();
        others_finish();
        assert!(handles.into_iter().all(|handle| handle.join().unwrap()));
    });
}

#[test]
fn a_hog_wakes_others_when_it_has_lost_its_p() {
    check(|| {
        for _ in 0..5 {
            let (tx, rx) = channel::bounded(0);
            let hog = spawn(move || {
                for n in 0..3 {
                    spin(Duration::from_millis(15));
                    tx.send(n).unwrap();
                    spin(Duration::from_millis(15));
                    go!(|| ());
                }
            });
            others_finish();
            assert_eq!(rx.iter().sum::<u32>(), 3);
            hog.join().unwrap();
        }
    });
}

#[test]
fn thousands_of_short_blocking_calls() {
    check(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..50)
            .map(|_| {
                let count = Arc::clone(&count);
                spawn(move || {
                    for n in 0..50 {
                        blocking(|| {
                            if n % 10 == 0 {
                                thread::sleep(Duration::from_micros(200));
                            }
                            count.fetch_add(1, Ordering::Relaxed)
                        });
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(count.load(Ordering::Relaxed), 2500);
    });
}

#[test]
fn blocking_nests_parks_and_spawns() {
    check(|| {
        let handles: Vec<_> = (0..20)
            .map(|n| {
                spawn(move || {
                    blocking(|| {
                        let (tx, rx) = channel::bounded(0);
                        go!(move || tx.send(n).unwrap());
                        let inner = blocking(|| {
                            time::sleep(Duration::from_micros(100));
                            yield_now();
                            blocking(|| spawn(move || n).join().unwrap())
                        });
                        rx.recv().unwrap() + inner
                    })
                })
            })
            .collect();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), 2 * n);
        }
    });
    check_from_thread(|| assert_eq!(blocking(|| 3), 3, "on a plain thread"));
}

#[test]
fn a_panic_in_blocking() {
    check(|| {
        let handles: Vec<_> = (0..20)
            .map(|n| {
                spawn(move || {
                    let caught = panic::catch_unwind(|| {
                        blocking(|| {
                            thread::sleep(Duration::from_micros(50 * n));
                            panic!("expected");
                        })
                    });
                    assert!(!thread::panicking());
                    let payload: Box<dyn std::any::Any + Send> = caught.unwrap_err();
                    assert_eq!(text(&*payload), "expected");
                    yield_now();
                    spawn(|| 5).join().unwrap()
                })
            })
            .collect();
        others_finish();
        assert!(handles.into_iter().all(|handle| handle.join().unwrap() == 5));
        let uncaught = spawn(|| {
            blocking(|| {
                if true {
                    panic!("expected")
                }
            })
        });
        assert_eq!(text(&*uncaught.join().unwrap_err()), "expected");
        others_finish();
    });
}

#[test]
fn exit_goroutine_in_blocking() {
    check(|| {
        for _ in 0..20 {
            let handle = spawn(|| blocking(|| greenthread::exit_goroutine()));
            assert!(handle.join().unwrap_err().is::<greenthread::Exited>());
        }
        others_finish();
    });
}

// A hog keeps its P if nothing else needs the P. A distant timer does not need it yet.
#[test]
fn a_distant_timer_does_not_cost_a_hog_its_p() {
    check_on(1, || {
        let retakes = spawn(|| {
            let hour = Duration::from_secs(3600);
            let far = time::after_func(hour, || ());
            let before = debug::stats().retakes;
            // The timers are armed on the hog's own P each time, and beside the other timer in its
            // heap.
            let end = Instant::now() + Duration::from_millis(80);
            while Instant::now() < end {
                assert!(time::after_func(hour, || ()).stop());
            }
            let retakes = debug::stats().retakes - before;
            assert!(far.stop());
            retakes
        });
        assert_eq!(retakes.join().unwrap(), 0);
    });
}

/// Returns a function that takes `millis` ms of CPU time, however many threads share the CPU.
fn work(millis: u32) -> impl Fn() + Clone + Send + 'static {
    let steps = |count: u32| (0..count).fold(1_u32, |n, step| std::hint::black_box(n.wrapping_mul(step | 1)));
    let sample = 20_000;
    let quickest = (0..20).map(|_| {
        let begin = Instant::now();
        std::hint::black_box(steps(sample));
        begin.elapsed()
    });
    let quickest = quickest.min().unwrap().max(Duration::from_nanos(1));
    let samples = (u128::from(millis) * 1_000_000 / quickest.as_nanos()) as u32;
    move || (0..samples).for_each(|_| _ = std::hint::black_box(steps(sample)))
}

/// Runs `count` goroutines that do `work`, beside one that sleeps again and again.
///
/// Returns how many of them were between their begin and their end at the same moment, at most:
/// each of those has a thread.
fn most_at_once(count: usize, work: impl Fn() + Clone + Send + 'static) -> usize {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let sleeper = spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                time::sleep(Duration::from_millis(1));
            }
        }
    });
    let hogs: Vec<_> = (0..count)
        .map(|_| {
            let (now, most, work) = (Arc::clone(&now), Arc::clone(&most), work.clone());
            spawn(move || {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                work();
                now.fetch_sub(1, Ordering::Relaxed);
            })
        })
        .collect();
    hogs.into_iter().for_each(|hog| hog.join().unwrap());
    stop.store(true, Ordering::Relaxed);
    sleeper.join().unwrap();
    most.load(Ordering::Relaxed)
}

/// Each hog keeps its P for several time slices.
///
/// If every retaken P went to the next hog, all hogs would have threads at once.
#[test]
fn hogs_do_not_all_get_threads_at_once() {
    without_chaos(|| {
        for procs in [1, 2] {
            check_on(procs, || {
                let count = 10 * (procs + num_cpu());
                let most = most_at_once(count, work(30));
                assert!(most <= count / 2, "{most} of {count} computed at once on {procs} Ps");
            });
        }
    });
}

// The hogs compute until all of them have begun.
#[test]
fn hogs_that_wait_for_each_other_all_begin() {
    check(|| {
        let count = gomaxprocs() + num_cpu() + 2;
        let begun = Arc::new(AtomicUsize::new(0));
        let hogs: Vec<_> = (0..count)
            .map(|_| {
                let begun = Arc::clone(&begun);
                spawn(move || {
                    begun.fetch_add(1, Ordering::Relaxed);
                    while begun.load(Ordering::Relaxed) < count {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
}

/// There are more hogs than Ps and CPUs together, so another goroutine begins only if it is lent a
/// P.
#[test]
fn others_begin_beside_many_hogs() {
    check(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..4 * (gomaxprocs() + num_cpu()))
            .map(|_| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            time::sleep(Duration::from_millis(10));
            spawn(|| spawn(others_finish).join().unwrap()).join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
}

/// At first sysmon takes 2 ms or more to find a goroutine that blocks its thread.
///
/// In a crowd of them, that must not be 2 ms for each.
#[test]
fn a_crowd_of_blocked_threads_is_found_quickly() {
    const CROWD: usize = 200;
    let crowd = || {
        let begin = Instant::now();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..CROWD)
            .map(|_| {
                let (tx, rx) = std::sync::mpsc::channel::<()>();
                (tx, spawn(move || rx.recv().unwrap_err()))
            })
            .unzip();
        // This goroutine is queued behind all of them.
        spawn(|| ()).join().unwrap();
        let took = begin.elapsed();
        drop(senders);
        receivers.into_iter().for_each(|receiver| _ = receiver.join().unwrap());
        took
    };
    let one_by_one = CROWD as u32 * Duration::from_millis(2);
    // Many attempts: on a busy machine 200 threads take long to start.
    without_chaos(|| {
        check_on(1, || {
            assert!((0..40).any(|_| crowd() < one_by_one / 2), "sysmon found the blocked threads one by one")
        })
    });
}
