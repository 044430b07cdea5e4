//! The netpoller when there is a single M, which does everything.
//!
//! Each test runs in a process of its own: other tests leave Ms behind, and then one of those
//! polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::child::{self, named, without};
use crate::common::stream::{LONG, SHORT, Stream};
use crate::common::{check_on, parked, until};
use greenthread::__private::Mechanism;
use greenthread::{channel, spawn, time, yield_now};

const TESTS: &[child::Test] = named![
    the_poller_does_not_delay_timers,
    an_m_that_waits_for_a_timer_polls,
    timers_and_new_work_wake_the_poller,
    a_busy_scheduler_serves_io,
];

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, &[]).alone();

/// Checks that the M that polls also runs a P's timers on time, to the microsecond.
fn the_poller_does_not_delay_timers() {
    check_on(1, || {
        spawn(sleep_beside_a_reader).join().unwrap();
    });
}

fn sleep_beside_a_reader() {
    let (a, b) = Stream::pair();
    let reader = spawn(move || b.get());
    let run = || {
        let begin = Instant::now();
        (0..1000).for_each(|_| time::sleep(Duration::from_micros(50)));
        begin.elapsed()
    };
    let best = (0..5).any(|_| run() < Duration::from_millis(900));
    assert!(best, "1000 sleeps of 50 us beside a goroutine that waits for I/O always took more than 900 ms");
    // A longer sleep: the poll waits for the whole milliseconds, and the M for the rest.
    let begin = Instant::now();
    time::sleep(Duration::from_micros(3300));
    assert!(begin.elapsed() >= Duration::from_micros(3300));
    a.put(1);
    assert_eq!(reader.join().unwrap(), Ok(1));
}

// With sysmon asleep, only the M notices the data: it must sleep in the poll until its timer is
// due.
// Sysmon still wakes up about once a second to trim stacks, and polls then.
fn an_m_that_waits_for_a_timer_polls() {
    check_on(1, || {
        // Without it, sysmon sleeps as soon as all Ps are idle.
        without(Mechanism::Linger);
        let far = time::after_func(LONG, || ());
        let mut waited = Duration::ZERO;
        for n in 0..20 {
            let (a, b) = Stream::pair();
            let reader = spawn(move || b.get());
            until(|| parked("IO wait") == 1);
            // The M goes to sleep.
            thread::sleep(10 * SHORT);
            let begin = Instant::now();
            a.put(n);
            assert_eq!(reader.join().unwrap(), Ok(n));
            waited += begin.elapsed();
        }
        assert!(far.stop());
        assert!(waited < Duration::from_secs(4), "20 readers were woken after {waited:?}: only sysmon polls");
    });
}

/// Checks that an earlier timer and new work, both from a thread, wake the M that blocks in the
/// poll.
fn timers_and_new_work_wake_the_poller() {
    check_on(1, || {
        let (a, b) = Stream::pair();
        let reader = spawn(move || b.get());
        until(|| parked("IO wait") == 1);
        let far = time::after_func(LONG, || ());
        for _ in 0..200 {
            assert_eq!(spawn(|| 5).join().unwrap(), 5);
            let (tx, rx) = channel::bounded(1);
            drop(time::after_func(Duration::from_micros(300), move || tx.send(()).unwrap()));
            rx.recv().unwrap();
        }
        assert!(far.stop());
        a.put(1);
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

/// Checks that a scheduler that always has a runnable goroutine serves I/O as well.
fn a_busy_scheduler_serves_io() {
    check_on(1, || {
        spawn(|| [1, 8].into_iter().for_each(serve_io_beside)).join().unwrap();
    });
}

fn serve_io_beside(busy: usize) {
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..busy)
        .map(|_| {
            let stop = Arc::clone(&stop);
            spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    yield_now();
                }
            })
        })
        .collect();
    let (a, b) = Stream::pair();
    let echo = spawn(move || b.echo());
    // If only sysmon polled, every 2 ms at best, these would take 1.2 s; they take 20 ms.
    let best = (0..5).any(|_| {
        let begin = Instant::now();
        (0..300).for_each(|n| a.round_trip(n as u8));
        begin.elapsed() < Duration::from_millis(800)
    });
    stop.store(true, Ordering::Relaxed);
    drop(a);
    echo.join().unwrap();
    busy.into_iter().for_each(|busy| busy.join().unwrap());
    assert!(best, "300 round trips beside goroutines that yield always took more than 800 ms");
}
