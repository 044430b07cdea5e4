//! What the tests of the runtime share: every number of Ps in turn, a watchdog, leak checks, seeds, and child processes.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]

pub mod child;
pub mod drops;
pub mod queue;

use std::fs;
use std::io::{self, Write as _};
use std::panic;
use std::path::PathBuf;
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use greenthread::debug;

/// Longer than any test may take on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How long a finished test may take to leave nothing behind.
const SETTLE: Duration = Duration::from_secs(10);

/// How long a storm goes on, on each number of Ps.
const STORM: Duration = Duration::from_millis(1200);

/// The numbers of Ps that everything runs on.
const PROCS: [usize; 3] = [1, 2, 4];

/// Runs `body` as a goroutine on 1, 2 and 4 Ps, and checks each time that it leaves nothing behind.
pub fn check(body: impl Fn() + Send + Sync + 'static) {
    let body = Arc::new(body);
    check_from_thread(|| {
        let body = Arc::clone(&body);
        if let Err(payload) = greenthread::spawn(move || body()).join() {
            panic::resume_unwind(payload);
        }
    });
}

/// As [`check`], with `body` on the thread of the test: one that the runtime did not start.
pub fn check_from_thread(body: impl Fn()) {
    let turn = Turn::take();
    for procs in PROCS {
        greenthread::gomaxprocs(procs);
        turn.run(&format!("{procs} Ps"), &body);
    }
}

/// As [`check_from_thread`], on `procs` Ps alone.
pub fn check_on(procs: usize, body: impl FnOnce()) {
    let turn = Turn::take();
    greenthread::gomaxprocs(procs);
    turn.run(&format!("{procs} Ps"), body);
}

/// Runs `round` again and again as a goroutine, with other random numbers each time, for about a second on each number of Ps.
pub fn storm(round: impl Fn(&mut Rng) + Send + Sync + 'static) {
    let seed = seed();
    check(move || {
        let mut random = Rng::new(seed);
        let end = Instant::now() + STORM;
        while Instant::now() < end {
            round(&mut random);
        }
    });
}

/// The right to change the number of Ps, which belongs to the whole process; puts it back at the end.
struct Turn {
    procs: usize,
    _lock: MutexGuard<'static, ()>,
}

impl Turn {
    fn take() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { procs: greenthread::gomaxprocs(0), _lock: lock }
    }

    fn run(&self, what: &str, body: impl FnOnce()) {
        let _watchdog = watchdog(what);
        let before = descriptors();
        body();
        settle(before);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        greenthread::gomaxprocs(self.procs);
    }
}

/// Waits until no goroutine, timer or stack is left, and no more descriptors than there were.
fn settle(open_before: usize) {
    let nothing_is_left = || {
        let stats = debug::stats();
        stats.goroutines == 0 && stats.timers == 0 && stats.stacks_in_use == 0 && descriptors() <= open_before
    };
    let end = Instant::now() + SETTLE;
    while !nothing_is_left() {
        let open = descriptors();
        assert!(Instant::now() < end, "left behind: {open} descriptors, {:?}\n{}", debug::stats(), debug::dump());
        thread::sleep(Duration::from_millis(1));
    }
}

/// How many descriptors this process has open; 0 where that cannot be asked. Others may just be reading a file, as the monitor does. The
/// one by which the runtime asks for the use of its stacks is opened when it is needed first, and does not count.
fn descriptors() -> usize {
    let of_the_runtime = |path: PathBuf| path.ends_with("pagemap");
    fs::read_dir("/proc/self/fd")
        .map_or(0, |all| all.flatten().filter(|fd| !fs::read_link(fd.path()).is_ok_and(of_the_runtime)).count())
}

/// Aborts the process if it is not dropped in time. A test that hangs shall fail, and say where.
#[must_use]
pub struct Watchdog(Option<mpsc::Sender<()>>, Option<thread::JoinHandle<()>>);

/// Starts a watchdog for the test that this thread runs.
pub fn watchdog(what: &str) -> Watchdog {
    let name = format!("{} ({what})", thread::current().name().unwrap_or("a test"));
    let (alive, gone) = mpsc::channel();
    let thread = thread::spawn(move || {
        if gone.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Written past the harness, which would keep it to itself when the process aborts.
            let _ = writeln!(io::stderr(), "{name}: still running after {LIMIT:?}");
            // On a thread of its own: what hangs may be what the dump needs.
            thread::spawn(|| writeln!(io::stderr(), "{}", debug::dump()));
            thread::sleep(Duration::from_secs(5));
            process::abort();
        }
    });
    Watchdog(Some(alive), Some(thread))
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.take());
        self.1.take().expect("dropped once").join().expect("a watchdog does not panic");
    }
}

/// Waits until `condition` holds; the watchdog bounds it. Yields, so it may be called from a goroutine and from a thread.
pub fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        greenthread::yield_now();
    }
}

/// How many goroutines are parked for `reason`, as the dump names it.
pub fn parked(reason: &str) -> usize {
    debug::dump().matches(&format!("[{reason}")).count()
}

/// Computes for `duration`, without a look at the scheduler.
pub fn spin(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// The text that a panic's payload carries.
pub fn text(payload: &(dyn std::any::Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().expect("the payload is a text"),
    }
}

/// A seed from `GREENTHREAD_TEST_SEED`, or from the clock. Prints it: the test harness shows it if the test fails.
pub fn seed() -> u64 {
    let from_clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    let seed =
        std::env::var("GREENTHREAD_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(from_clock);
    println!("GREENTHREAD_TEST_SEED={seed}");
    seed
}

/// A small generator of random numbers (xorshift), good enough to mix things up.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds are spread, and no state is zero.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A generator that goes its own way.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// True one time in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
