//! The life of OS threads: which goroutines they run, how many there are, and when they end.

mod common;

use std::collections::HashSet;
use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::check;
use common::child::{self, named};
use greenthread::{blocking, debug, gomaxprocs, spawn, time};
use greenthread_hazards::thread as thread_number;

fn main() -> ExitCode {
    child::main(TESTS, PROGRAMS)
}

const TESTS: &[child::Test] = named![threads_stay_and_are_used_again, the_thread_that_parked_last_is_used_first];

const PROGRAMS: &[child::Main] = &[];

/// How many threads a crowd keeps at once.
const CROWD: usize = 20;

/// Goroutines that block their threads, all at the same time; the numbers of their threads.
fn crowd() -> HashSet<i32> {
    let barrier = Arc::new(Barrier::new(CROWD));
    let meet = |barrier: Arc<Barrier>| {
        move || {
            blocking(|| {
                barrier.wait();
                thread_number()
            })
        }
    };
    let crowd: Vec<_> = (0..CROWD).map(|_| spawn(meet(Arc::clone(&barrier)))).collect();
    crowd.into_iter().map(|member| member.join().unwrap()).collect()
}

fn is_alive(thread: i32) -> bool {
    fs::exists(format!("/proc/self/task/{thread}")).unwrap()
}

/// A goroutine may have left a reference to a thread-local behind with another: see `scope`.
fn threads_stay_and_are_used_again() {
    check(|| {
        let first = crowd();
        assert_eq!(first.len(), CROWD);
        let most = debug::stats().threads;
        for _ in 0..5 {
            time::sleep(Duration::from_millis(5));
            crowd();
        }
        let now = debug::stats().threads;
        assert!(now <= most + gomaxprocs(0), "{most} threads, then {now}");
        assert!(first.into_iter().all(is_alive));
    });
}

fn the_thread_that_parked_last_is_used_first() {
    check(|| {
        crowd();
        let used: HashSet<i32> = (0..200).map(|_| spawn(|| blocking(thread_number)).join().unwrap()).collect();
        assert!(used.len() <= CROWD / 2, "{} threads for one goroutine at a time", used.len());
    });
}
