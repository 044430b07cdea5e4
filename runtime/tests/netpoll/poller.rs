//! Who polls: busy schedulers, idle ones, threads, timers, and Ms that go away.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::stream::{SHORT, Stream};
use crate::common::{Rng, check, check_from_thread, check_on, seed, until};
use greenthread::{blocking, channel, debug, go, lock_os_thread, spawn, time, yield_now};
use greenthread_scheduler::{Direction, Ended};

#[test]
fn threads_wait_too() {
    check_from_thread(|| {
        // Nobody but the thread waits, and all Ms sleep: somebody must be told to poll.
        let (a, b) = Stream::pair();
        let echo = thread::spawn(move || b.echo());
        (0..500).for_each(|n| a.round_trip(n as u8));
        a.deadline(SHORT);
        assert_eq!(a.get(), Err(Ended::Deadline));
        drop(a);
        echo.join().unwrap();
        // A goroutine at the other end.
        let (a, b) = Stream::pair();
        let echo = spawn(move || b.echo());
        (0..500).for_each(|n| a.round_trip(n as u8));
        drop(a);
        echo.join().unwrap();
    });
}

#[test]
fn a_thread_that_begins_to_wait_when_all_sleep() {
    check_from_thread(|| {
        for _ in 0..5 {
            let (a, mut b) = UnixStream::pair().unwrap();
            let a = Stream::new(a);
            // The Ms have gone to sleep by then, without a reason to poll.
            thread::sleep(SHORT);
            let writer = thread::spawn(move || {
                thread::sleep(SHORT);
                b.write_all(&[5]).unwrap();
            });
            assert_eq!(a.get(), Ok(5));
            writer.join().unwrap();
        }
    });
}

/// Two that ready each other forever share one time slice; others have their turn all the same.
#[test]
fn a_chain_through_runnext_does_not_keep_io_waiting() {
    check(|| {
        let (ping, pinged) = channel::bounded(0);
        let (pong, ponged) = channel::bounded(0);
        let stop = Arc::new(AtomicBool::new(false));
        let player = spawn(move || pinged.iter().for_each(|()| pong.send(()).unwrap()));
        let server = {
            let stop = Arc::clone(&stop);
            spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    ping.send(()).unwrap();
                    ponged.recv().unwrap();
                }
            })
        };
        let (a, b) = Stream::pair();
        let echo = spawn(move || b.echo());
        (0..20).for_each(|n| a.round_trip(n));
        stop.store(true, Ordering::Relaxed);
        drop(a);
        [echo, server, player].into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn io_beside_goroutines_that_never_come_back() {
    // A goroutine that was there before the hogs could have to go back to the thread of one (SAFETY.md).
    check_from_thread(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..4)
            .map(|_| {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        let (a, b) = Stream::pair();
        let echo = spawn(move || b.echo());
        (0..5).for_each(|n| a.round_trip(n));
        stop.store(true, Ordering::Relaxed);
        drop(a);
        echo.join().unwrap();
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
}

/// Nothing else is runnable, so nobody takes the hog's P away; and no other M polls, as all went to sleep before.
#[test]
fn only_the_monitor_looks() {
    check_from_thread(|| {
        let (a, b) = Stream::pair();
        let stop = Arc::new(AtomicBool::new(false));
        let hog = {
            let stop = Arc::clone(&stop);
            spawn(move || {
                let reader = spawn(move || b.get());
                while !stop.load(Ordering::Relaxed) {
                    if debug::stats().io_waiters == 0 {
                        // The reader is to run, before and after.
                        yield_now();
                    }
                }
                reader
            })
        };
        until(|| debug::stats().io_waiters == 1);
        thread::sleep(Duration::from_millis(30));
        a.put(6);
        until(|| debug::stats().io_waiters == 0);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(hog.join().unwrap().join().unwrap(), Ok(6));
    });
}

#[test]
fn a_goroutine_that_is_locked_to_its_thread_waits_for_io() {
    check_from_thread(|| {
        let (a, b) = Stream::pair();
        let locked = spawn(move || {
            let _locked = lock_os_thread();
            b.echo();
        });
        (0..100).for_each(|n| a.round_trip(n));
        drop(a);
        locked.join().unwrap();
    });
}

#[test]
fn the_number_of_ps_changes_under_io() {
    check_on(4, || {
        let pairs: Vec<_> = (0..20)
            .map(|_| {
                let (a, b) = Stream::pair();
                let echo = spawn(move || b.echo());
                spawn(move || {
                    for n in 0..400 {
                        a.round_trip(n as u8);
                        if n % 50 == 0 {
                            time::sleep(Duration::from_micros(300));
                        }
                    }
                    drop(a);
                    echo.join().unwrap();
                })
            })
            .collect();
        for procs in [1, 3, 1, 4, 2, 1, 4] {
            greenthread::set_gomaxprocs(procs);
            thread::sleep(SHORT);
        }
        pairs.into_iter().for_each(|pair| pair.join().unwrap());
    });
}

/// Everything at once: pairs that talk over goroutines and threads, with deadlines that come and go, timers and pauses.
#[test]
fn everything_at_once() {
    check(move || {
        let seed = seed();
        let mut random = Rng::new(seed);
        let pairs: Vec<_> = (0..30)
            .map(|_| {
                let (a, b) = Stream::pair();
                let mut random = random.fork();
                if random.one_in(5) {
                    drop(thread::spawn(move || b.echo()))
                } else {
                    go!(move || b.echo())
                }
                spawn(move || {
                    for n in 0..100 {
                        a.put(n);
                        if random.one_in(3) {
                            a.deadline(Duration::from_micros(random.below(200)));
                        }
                        loop {
                            match a.get() {
                                Ok(byte) => break assert_eq!(byte, n),
                                Err(Ended::Deadline) => a.io.set_deadline(Direction::Read, None).unwrap(),
                                Err(Ended::Closed) => panic!("nobody closes"),
                            }
                        }
                        a.io.set_deadline(Direction::Read, None).unwrap();
                        match random.below(8) {
                            0 => time::sleep(Duration::from_micros(random.below(500))),
                            1 => blocking(|| thread::sleep(Duration::from_micros(100))),
                            2 => yield_now(),
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        pairs.into_iter().for_each(|pair| pair.join().unwrap());
    });
}
