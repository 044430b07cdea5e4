//! The poller: polling by busy schedulers, by idle ones, for threads, beside timers, and while Ms
//! go away.

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
fn threads_may_wait_for_io() {
    check_from_thread(|| {
        // Only the thread waits, and all Ms sleep: one of them must be woken to poll.
        let (a, b) = Stream::pair();
        let echo = thread::spawn(move || b.echo());
        (0..500).for_each(|n| a.round_trip(n as u8));
        a.deadline(SHORT);
        assert_eq!(a.get(), Err(Ended::Deadline));
        drop(a);
        echo.join().unwrap();
        // The peer is a goroutine here.
        let (a, b) = Stream::pair();
        let echo = spawn(move || b.echo());
        (0..500).for_each(|n| a.round_trip(n as u8));
        drop(a);
        echo.join().unwrap();
    });
}

#[test]
fn a_thread_may_wait_while_all_ms_sleep() {
    check_from_thread(|| {
        for _ in 0..5 {
            let (a, mut b) = UnixStream::pair().unwrap();
            let a = Stream::new(a);
            // By then the Ms sleep, without a reason to poll.
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

/// Two goroutines that ready each other forever share one time slice, so that others get their
/// turns.
#[test]
fn a_chain_through_runnext_does_not_starve_io() {
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
fn io_goes_on_beside_hogs() {
    // Runs on a thread: a goroutine from before the hogs could be bound to the thread of one of
    // them (SAFETY.md).
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

/// Nothing else is runnable, so the hog keeps its P.
///
/// No other M polls, as all of them went to sleep before. Only sysmon is left to poll.
#[test]
fn sysmon_polls_beside_a_hog() {
    check_from_thread(|| {
        let (a, b) = Stream::pair();
        let stop = Arc::new(AtomicBool::new(false));
        let hog = {
            let stop = Arc::clone(&stop);
            spawn(move || {
                let reader = spawn(move || b.get());
                while !stop.load(Ordering::Relaxed) {
                    if debug::stats().io_waiters == 0 {
                        // Lets the reader run, before and after its wait.
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
fn a_locked_goroutine_may_wait_for_io() {
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
fn io_goes_on_while_the_number_of_ps_changes() {
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

/// Pairs of goroutines and threads exchange bytes, with random deadlines, timers and pauses.
#[test]
fn mixed_waits_lose_no_byte() {
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
                                Err(Ended::Closed) => panic!("the socket is not closed"),
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
