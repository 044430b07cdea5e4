//! Checks that run a test on several numbers of Ps, with a watchdog and a check for leaks; seeds,
//! and child processes.

// No test program uses all of this.
#![allow(dead_code, unreachable_pub, unused_imports, unused_macros)]

pub mod apart;
#[macro_use]
pub mod auto_traits;
pub mod child;
pub mod drops;
pub mod queue;
pub mod quiescence;
pub mod random;
pub mod stream;
pub mod unwinding;
pub mod watchdog;

use std::env;
use std::fs;
use std::panic;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use greenthread::debug::{self, GoroutineState};

pub use random::{Rng, seed, storm_time};
pub use watchdog::{LIMIT, patiently, watchdog, watchdog_after};

/// The time within which a finished test must leave nothing behind.
const CLEANUP_LIMIT: Duration = Duration::from_secs(10);

/// The numbers of Ps that every check runs on.
const PROCS: [usize; 3] = [1, 2, 4];

/// Runs `body` as a goroutine on 1, 2 and 4 Ps, and checks each time that it leaves nothing behind.
pub fn check(body: impl Fn() + Send + Sync + 'static) {
    check_within(LIMIT, body);
}

/// Checks `body` like [`check`], but with a limit of its own for each number of Ps.
pub fn check_within(limit: Duration, body: impl Fn() + Send + Sync + 'static) {
    let body = Arc::new(body);
    check_all(limit, || {
        let body = Arc::clone(&body);
        if let Err(payload) = greenthread::spawn(move || body()).join() {
            panic::resume_unwind(payload);
        }
    });
}

/// Checks `body` like [`check`], but on the thread of the test, a foreign thread.
pub fn check_from_thread(body: impl Fn()) {
    check_all(LIMIT, body);
}

fn check_all(limit: Duration, body: impl Fn()) {
    if !apart::runs_here() {
        return;
    }
    let exclusive = Exclusive::take();
    for procs in PROCS {
        exclusive.run(procs, limit, &body);
    }
}

/// Checks `body` like [`check_from_thread`], but on `procs` Ps alone.
pub fn check_on(procs: usize, body: impl FnOnce()) {
    if !apart::runs_here() {
        return;
    }
    let exclusive = Exclusive::take();
    exclusive.run(procs, LIMIT, body);
}

/// Runs `round` in a loop for [`storm_time`] as a goroutine, with other random numbers each time,
/// on 1, 2 and 4 Ps.
pub fn storm(round: impl Fn(&mut Rng) + Send + Sync + 'static) {
    check(move || {
        let mut random = Rng::new(seed());
        let end = Instant::now() + storm_time();
        while Instant::now() < end {
            round(&mut random);
        }
    });
}

/// Runs `test` without chaos, which hides starvation as it polls all queues all the time.
///
/// If chaos is on in this process, the calling test runs in a process of its own without it.
pub fn without_chaos(test: impl FnOnce()) {
    const CHAOS: &str = "GREENTHREAD_CHAOS";
    if env::var_os(CHAOS).is_none() {
        return test();
    }
    let thread = thread::current();
    apart::run_apart(thread.name().expect("the harness names threads by their tests"), &[CHAOS]);
}

/// The exclusive right to change the number of Ps, which belongs to the whole process.
///
/// Restores the number when dropped.
struct Exclusive {
    procs: usize,
    _lock: MutexGuard<'static, ()>,
}

impl Exclusive {
    fn take() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { procs: greenthread::gomaxprocs(), _lock: lock }
    }

    fn run(&self, procs: usize, limit: Duration, body: impl FnOnce()) {
        greenthread::set_gomaxprocs(procs);
        let _watchdog = watchdog_after(limit, &format!("{procs} Ps"));
        let before = descriptors();
        body();
        wait_for_cleanup(before);
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        greenthread::set_gomaxprocs(self.procs);
    }
}

/// Waits until no goroutine, timer, stack, or wait for I/O is left, and no more descriptors than
/// before.
///
/// # Panics
/// If that takes too long, with what is left.
fn wait_for_cleanup(open_before: usize) {
    let nothing_is_left = || {
        let stats = debug::stats();
        let io = stats.io_descriptors + stats.io_waiters;
        stats.goroutines == 0 && stats.timers + stats.stacks_in_use + io == 0 && descriptors() <= open_before
    };
    let end = Instant::now() + patiently(CLEANUP_LIMIT);
    while !nothing_is_left() {
        let open = descriptors();
        assert!(Instant::now() < end, "left behind: {open} descriptors, {:?}\n{}", debug::stats(), debug::dump());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns how many descriptors this process has open.
///
/// The runtime's own descriptors do not count: it opens those for the poller and for the use of its
/// stacks when it first needs them. The number may be too high for a moment, as sysmon also reads
/// files. It is 0 where the system cannot tell, and under a sanitizer, which opens descriptors for
/// its reports, even for suppressed ones.
pub fn descriptors() -> usize {
    if env::var_os("GREENTHREAD_SANITIZER").is_some() {
        return 0;
    }
    let kinds = ["pagemap", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[pidfd]"];
    let of_the_runtime = |path: PathBuf| kinds.iter().any(|kind| path.ends_with(kind));
    fs::read_dir("/proc/self/fd")
        .map_or(0, |all| all.flatten().filter(|fd| !fs::read_link(fd.path()).is_ok_and(of_the_runtime)).count())
}

/// Yields until `condition` holds, on a goroutine or a thread.
///
/// The watchdog bounds the wait.
pub fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        greenthread::yield_now();
    }
}

/// Returns how many goroutines are parked for `reason`, as dumps name it.
pub fn parked(reason: &str) -> usize {
    parked_ids(reason).len()
}

/// Returns the ids of the goroutines that are parked for `reason`.
pub fn parked_ids(reason: &str) -> Vec<u64> {
    let waits = |state| matches!(state, GoroutineState::Waiting(why) if why.as_str().starts_with(reason));
    debug::goroutines().iter().filter(|goroutine| waits(goroutine.state)).map(|goroutine| goroutine.id).collect()
}

/// Computes for `duration` without calling the runtime.
pub fn spin(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Returns the text in the payload of a panic.
pub fn text(payload: &(dyn std::any::Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().expect("the payload is a text"),
    }
}

/// Returns the text with which `f` panics.
#[track_caller]
pub fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let payload = panic::catch_unwind(panic::AssertUnwindSafe(f)).err().expect("the closure panics");
    text(&*payload).to_owned()
}

/// Yields until this goroutine is the only one.
pub fn until_alone() {
    until(|| greenthread::num_goroutine() == 1);
}
