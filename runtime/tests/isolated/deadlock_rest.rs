//! The report that all goroutines are asleep, when the process has been idle for long: no thread
//! wakes up periodically to check, and a late change is still noticed.
//!
//! Stacks are trimmed for some seconds after goroutines have run, and sysmon checks during that
//! time as well. So these programs take longer than that, and all run at the same time.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, named, program};
use crate::common::quiescence;
use greenthread::__private::Mechanism;
use greenthread::channel::never;
use greenthread::{Builder, debug, go, spawn, yield_now};

const REPORT: &str = "fatal error: all goroutines are asleep - deadlock!";

/// A pause that is longer than the time during which stacks are trimmed.
const REST: Duration = Duration::from_secs(6);

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![late_changes_are_noticed_without_wakeups];

const PROGRAMS: &[child::Main] = named![
    becomes_idle,
    becomes_idle_unwatched,
    a_thread_ends,
    a_thread_ends_unwatched,
    a_thread_falls_asleep,
    hogs_come_back,
    pinned_hogs_come_back,
];

fn sleep_forever() {
    let _ = never::<()>().recv();
}

/// Checks that the process becomes idle; the main thread is the only one awake.
fn becomes_idle() -> ExitCode {
    go!(sleep_forever);
    assert!(quiescence::is_reached(), "threads keep waking up");
    ExitCode::SUCCESS
}

/// Checks the same on a kernel that does not report the end of a thread.
fn becomes_idle_unwatched() -> ExitCode {
    child::without(Mechanism::ThreadEnd);
    becomes_idle()
}

fn a_thread_ends() -> ExitCode {
    go!(sleep_forever);
    drop(thread::spawn(|| thread::sleep(REST)));
    sleep_forever();
    ExitCode::SUCCESS
}

fn a_thread_ends_unwatched() -> ExitCode {
    child::without(Mechanism::ThreadEnd);
    a_thread_ends()
}

fn a_thread_falls_asleep() -> ExitCode {
    go!(sleep_forever);
    thread::sleep(REST);
    sleep_forever();
    ExitCode::SUCCESS
}

static HOGS: AtomicU32 = AtomicU32::new(0);

fn hog() {
    HOGS.fetch_add(1, Ordering::Relaxed);
    thread::sleep(REST);
    sleep_forever();
}

/// Keeps the Ps busy until sysmon has retaken them from the hogs.
fn until_they_have_lost_their_ps(hogs: u32) {
    while HOGS.load(Ordering::Relaxed) < hogs || debug::stats().idle_procs < debug::stats().procs {
        let others: Vec<_> = (0..8).map(|_| spawn(yield_now)).collect();
        others.into_iter().for_each(|other| other.join().unwrap());
    }
}

fn hogs_come_back() -> ExitCode {
    for _ in 0..8 {
        go!(hog());
    }
    until_they_have_lost_their_ps(8);
    sleep_forever();
    ExitCode::SUCCESS
}

fn pinned_hogs_come_back() -> ExitCode {
    for _ in 0..4 {
        drop(Builder::new().pinned(true).spawn(hog).unwrap());
    }
    until_they_have_lost_their_ps(4);
    sleep_forever();
    ExitCode::SUCCESS
}

fn late_changes_are_noticed_without_wakeups() {
    let reported = |name| drop(program(name).env("GOMAXPROCS", "2").run().exits_with(2).says(REPORT));
    thread::scope(|scope| {
        scope.spawn(|| program("becomes_idle").run().exits_with(0).says_nothing());
        scope.spawn(|| program("becomes_idle_unwatched").run().exits_with(0).says_nothing());
        scope.spawn(|| reported("a_thread_ends"));
        scope.spawn(|| reported("a_thread_ends_unwatched"));
        scope.spawn(|| reported("a_thread_falls_asleep"));
        scope.spawn(|| reported("hogs_come_back"));
        scope.spawn(|| reported("pinned_hogs_come_back"));
    });
}
