//! How late sleepers wake, alone and beside goroutines that never enter the scheduler.
//!
//! Timed: from the requested end of the sleep to the return of `sleep`. The hogs compute, or sit in
//! system calls of 100 ms that are not announced with `blocking`, with a yield between them, until
//! a row is complete. So with as many hogs as Ps, sysmon has to retake a P from one of them before
//! a sleeper can run: the lateness may be up to 10 ms there. With more computing threads than CPUs,
//! the time slices of the OS scheduler are part of the figures too.
//!
//! The rival's equivalent is Go's `time.Sleep` beside `for {}` (asynchronous preemption, 10 ms as
//! well).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use greenthread::time::sleep;
use greenthread_benches::{PROCS, Times, hog, numbers, on_procs};

const HELP: &str = "sleep: how late sleepers wake, alone and beside hogs";

/// What a hog does between two checks of the stop flag.
#[derive(Clone, Copy, Debug)]
enum Hog {
    Computes,
    Blocks,
}

impl Hog {
    fn step(self) {
        match self {
            Hog::Computes => hog(Duration::from_micros(100)),
            Hog::Blocks => {
                thread::sleep(Duration::from_millis(100));
                greenthread::yield_now();
            }
        }
    }
}

fn lateness(count: u64, kind: Hog, hogs: u64, time: Duration) -> Times {
    let stop = Arc::new(AtomicBool::new(false));
    let hogs: Vec<_> = (0..hogs)
        .map(|_| {
            let stop = Arc::clone(&stop);
            greenthread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    kind.step();
                }
            })
        })
        .collect();
    sleep(Duration::from_millis(20));
    let times = (0..count).map(|_| {
        let start = Instant::now();
        sleep(time);
        start.elapsed() - time
    });
    let times = Times::new(times.collect());
    stop.store(true, Ordering::Relaxed);
    for hog in hogs {
        hog.join().expect("a hog does not panic");
    }
    times
}

fn main() {
    let [count, micros] = numbers(HELP, [("count", 200), ("sleep-us", 1000)]);
    let time = Duration::from_micros(micros);
    println!("lateness of {count} sleeps of {time:?}");
    for procs in PROCS {
        let times = on_procs(procs, move || lateness(count, Hog::Computes, 0, time));
        println!("procs={procs} alone      {times}");
        for (kind, name) in [(Hog::Computes, "computing"), (Hog::Blocks, "blocked")] {
            for hogs in [1, 2, 4] {
                let times = on_procs(procs, move || lateness(count, kind, hogs, time));
                println!("procs={procs} {hogs} {name:<9} {times}");
            }
        }
    }
}
