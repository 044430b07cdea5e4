//! Shared test support: each body runs on threads, on goroutines and on a mix of both, with a
//! watchdog and leak checks.

// Each test file is a separate program, and uses only part of this module.
#![allow(dead_code, unreachable_pub)]

#[path = "../../../runtime/tests/common/apart.rs"]
pub mod apart;
pub mod census;
#[path = "../../../runtime/tests/common/random.rs"]
pub mod random;

use std::any::Any;
use std::fmt;
use std::io::{self, Write as _};
use std::panic;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use greenthread_scheduler as scheduler;
use random::{Rng, seed, storm_time};

pub use scheduler::yield_now;

/// A duration that no test exceeds, in any setting, even on the slowest machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The time within which a finished test must leave nothing behind.
const SETTLE: Duration = Duration::from_secs(10);

/// The numbers of Ps for goroutines.
const PROCS: [usize; 3] = [1, 2, 4];

/// Where the tasks of a test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// On threads that the runtime did not start.
    Threads,
    /// On goroutines with this number of Ps.
    Goroutines(usize),
    /// Each task on a thread or on a goroutine, with this number of Ps.
    Mixed(usize),
}

impl Setting {
    /// Returns all settings.
    ///
    /// The number of Ps in the mixed setting differs from run to run.
    fn all(random: &mut Rng) -> impl Iterator<Item = Self> + use<> {
        let mixed = Self::Mixed(PROCS[random.index(PROCS.len())]);
        [Self::Threads].into_iter().chain(PROCS.map(Self::Goroutines)).chain([mixed])
    }

    /// Returns the number of Ps that the setting needs.
    ///
    /// Threads need none, and run with any number of Ps.
    fn procs(self) -> Option<usize> {
        match self {
            Self::Threads => None,
            Self::Goroutines(procs) | Self::Mixed(procs) => Some(procs),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads => write!(f, "threads"),
            Self::Goroutines(procs) => write!(f, "goroutines on {procs} Ps"),
            Self::Mixed(procs) => write!(f, "threads and goroutines on {procs} Ps"),
        }
    }
}

/// Runs `body` as a task in every setting, and checks after each run that it leaves nothing behind.
pub fn everywhere(body: impl Fn() + Send + Sync + 'static) {
    if apart::runs_here() {
        Exclusive::take().run_everywhere(body, true);
    }
}

/// Runs `body` like [`everywhere`], but its tasks need not end.
pub fn everywhere_without_end(body: impl Fn() + Send + Sync + 'static) {
    if apart::runs_here() {
        Exclusive::take().run_everywhere(body, false);
    }
}

/// The choices for the running test. Only one test runs at a time.
struct Running {
    setting: Setting,
    random: Rng,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { setting: Setting::Threads, random: Rng::new(0) });

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the setting of the running test.
pub fn setting() -> Setting {
    running().setting
}

/// Returns a new generator for the running test.
///
/// The sequence of generators is the same for the same seed.
pub fn random() -> Rng {
    running().random.fork()
}

/// The right to change the number of Ps and to count leftovers, both of which affect the whole
/// process.
struct Exclusive {
    procs: usize,
    _lock: MutexGuard<'static, ()>,
}

impl Exclusive {
    fn take() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { procs: scheduler::gomaxprocs(), _lock: lock }
    }

    fn run_everywhere(&self, body: impl Fn() + Send + Sync + 'static, settles: bool) {
        // Printed here, on the test's thread, so that the harness shows the seed if the test fails.
        let mut seeds = Rng::new(seed());
        let body = Arc::new(body);
        for setting in Setting::all(&mut seeds) {
            scheduler::set_gomaxprocs(setting.procs().unwrap_or(self.procs));
            *running() = Running { setting, random: seeds.fork() };
            let _watchdog = watchdog(setting);
            let before = Leftovers::take();
            let body = Arc::clone(&body);
            if let Err(payload) = spawn(move || body()).wait() {
                println!("on {setting}: {}", text(&*payload));
                panic::resume_unwind(payload);
            }
            if settles {
                before.wait_until_gone(setting);
            }
        }
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        scheduler::set_gomaxprocs(self.procs);
        running().setting = Setting::Threads;
    }
}

/// The number of tasks that have not ended.
static TASKS: AtomicUsize = AtomicUsize::new(0);

/// Everything that a test could leave behind.
struct Leftovers {
    tasks: usize,
    goroutines: usize,
    timers: u64,
    stacks: u64,
}

impl Leftovers {
    fn take() -> Self {
        let stats = scheduler::stats();
        Self {
            // ORDERING: acquire pairs with the release in `Counted::drop`.
            tasks: TASKS.load(Ordering::Acquire),
            goroutines: scheduler::num_goroutine(),
            timers: stats.timers,
            stacks: stats.stacks_in_use,
        }
    }

    /// Waits until there are no more leftovers than before the test.
    fn wait_until_gone(&self, setting: Setting) {
        let end = Instant::now() + SETTLE;
        loop {
            let Self { tasks, goroutines, timers, stacks } = Self::take();
            if tasks <= self.tasks && goroutines <= self.goroutines && timers <= self.timers && stacks <= self.stacks {
                return;
            }
            assert!(
                Instant::now() < end,
                "left behind on {setting}: {tasks} tasks, {goroutines} goroutines, {timers} timers, {stacks} stacks\n\
                 {}",
                scheduler::dump()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A task that runs concurrently with the test.
pub enum Task<T> {
    Thread(thread::JoinHandle<T>),
    Goroutine(scheduler::JoinHandle<T>),
}

/// Runs `f` concurrently with the caller, on a thread or on a goroutine as the setting requires.
#[track_caller]
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    /// Counts a task until it ends, even if it panics.
    struct Counted;

    impl Drop for Counted {
        fn drop(&mut self) {
            // ORDERING: release pairs with the acquire in `Leftovers::take`.
            TASKS.fetch_sub(1, Ordering::Release);
        }
    }

    TASKS.fetch_add(1, Ordering::Relaxed);
    let counted = Counted;
    let f = move || {
        let _counted = counted;
        f()
    };
    let on_goroutine = {
        let mut running = running();
        match running.setting {
            Setting::Threads => false,
            Setting::Goroutines(_) => true,
            Setting::Mixed(_) => running.random.one_in(2),
        }
    };
    if on_goroutine {
        Task::Goroutine(scheduler::spawn(f, scheduler::Options::default()).expect("the default stack can be had"))
    } else {
        Task::Thread(thread::spawn(f))
    }
}

impl<T> Task<T> {
    /// Waits for the task to end, and propagates a panic.
    pub fn join(self) -> T {
        self.wait().unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    fn wait(self) -> thread::Result<T> {
        match self {
            Self::Thread(handle) => scheduler::blocking(|| handle.join()),
            Self::Goroutine(handle) => handle.join(),
        }
    }

    /// Returns `true` if `f` has returned.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Thread(handle) => handle.is_finished(),
            Self::Goroutine(handle) => handle.is_finished(),
        }
    }
}

/// Aborts the process if it is not dropped in time, so that a test that hangs fails and reports
/// where.
#[must_use]
struct Watchdog(Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>);

fn watchdog(setting: Setting) -> Watchdog {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let (alive, gone) = mpsc::channel();
    let thread = thread::spawn(move || {
        if gone.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Written directly to stderr, bypassing the harness, which would lose it when the
            // process aborts.
            let _ = writeln!(io::stderr(), "{test} on {setting}: still running after {LIMIT:?}");
            // The dump runs on its own thread, because it may need something that hangs.
            thread::spawn(|| writeln!(io::stderr(), "{}", scheduler::dump()));
            thread::sleep(Duration::from_secs(5));
            process::abort();
        }
    });
    Watchdog(Some((alive, thread)))
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let (alive, thread) = self.0.take().expect("dropped once");
        drop(alive);
        thread.join().expect("a watchdog does not panic");
    }
}

/// Waits until `condition` is `true`, and lets others run.
///
/// The watchdog limits the wait.
pub fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now();
    }
}

/// Returns up to `most` rounds, or as many as time allows, but at least one.
///
/// On a busy machine, the watchdog would otherwise end the test.
pub fn rounds(most: usize) -> impl Iterator<Item = usize> {
    let end = Instant::now() + storm_time();
    (0..most).take_while(move |&round| round == 0 || Instant::now() < end)
}

/// Gives others some time to do something that they must not do.
///
/// A test may rely on nothing happening in that time, but never on anything happening.
pub fn moment() {
    let end = Instant::now() + Duration::from_millis(10);
    until(|| Instant::now() >= end);
}

/// Returns the text of the panic that `f` raises.
pub fn panic_text(f: impl FnOnce() + panic::UnwindSafe) -> String {
    text(&*panic::catch_unwind(f).expect_err("no panic")).to_owned()
}

fn text(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().copied().unwrap_or("a panic without a text"),
    }
}
