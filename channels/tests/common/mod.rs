//! What the tests share: each body runs on threads, on goroutines, and on a mix of both; with a watchdog and leak
//! checks.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]

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

/// Longer than any test may take, in each setting, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a finished test may take to leave nothing behind.
const SETTLE: Duration = Duration::from_secs(10);

/// The numbers of Ps that goroutines run on.
const PROCS: [usize; 3] = [1, 2, 4];

/// What the tasks of a test run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Threads that the runtime did not start.
    Threads,
    /// Goroutines on so many Ps.
    Goroutines(usize),
    /// Each task on a thread or on a goroutine, with so many Ps.
    Mixed(usize),
}

impl Setting {
    /// All of them; the mix on a number of Ps that differs from run to run.
    fn all(random: &mut Rng) -> impl Iterator<Item = Self> + use<> {
        let mixed = Self::Mixed(PROCS[random.index(PROCS.len())]);
        [Self::Threads].into_iter().chain(PROCS.map(Self::Goroutines)).chain([mixed])
    }

    /// How many Ps it wants. Threads want none, and get what was there.
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

/// Runs `body` in every setting, as a task itself, and checks each time that it leaves nothing behind.
pub fn everywhere(body: impl Fn() + Send + Sync + 'static) {
    Turn::take().run_everywhere(body, true);
}

/// As [`everywhere`], for a body whose tasks cannot end.
pub fn everywhere_without_end(body: impl Fn() + Send + Sync + 'static) {
    Turn::take().run_everywhere(body, false);
}

/// What the running test has chosen. One test runs at a time.
struct Now {
    setting: Setting,
    random: Rng,
}

static NOW: Mutex<Now> = Mutex::new(Now { setting: Setting::Threads, random: Rng::new(0) });

fn now() -> MutexGuard<'static, Now> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The setting in which the running test is.
pub fn setting() -> Setting {
    now().setting
}

/// A generator of the running test, other than those before. Asked for in the same order, they are the same for the
/// same seed.
pub fn random() -> Rng {
    now().random.fork()
}

/// The right to change the number of Ps and to count what is left, which both belong to the whole process.
struct Turn {
    procs: usize,
    _lock: MutexGuard<'static, ()>,
}

impl Turn {
    fn take() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { procs: scheduler::gomaxprocs(), _lock: lock }
    }

    fn run_everywhere(&self, body: impl Fn() + Send + Sync + 'static, settles: bool) {
        // Printed here, on the thread of the test: the harness shows it if the test fails.
        let mut seeds = Rng::new(seed());
        let body = Arc::new(body);
        for setting in Setting::all(&mut seeds) {
            scheduler::set_gomaxprocs(setting.procs().unwrap_or(self.procs));
            *now() = Now { setting, random: seeds.fork() };
            let _watchdog = watchdog(setting);
            let before = Left::take();
            let body = Arc::clone(&body);
            if let Err(payload) = spawn(move || body()).wait() {
                println!("on {setting}: {}", text(&*payload));
                panic::resume_unwind(payload);
            }
            if settles {
                before.settle(setting);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        scheduler::set_gomaxprocs(self.procs);
        now().setting = Setting::Threads;
    }
}

/// The tasks that have not ended.
static TASKS: AtomicUsize = AtomicUsize::new(0);

/// What could be left behind.
struct Left {
    tasks: usize,
    goroutines: usize,
    timers: u64,
    stacks: u64,
}

impl Left {
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

    /// Waits until there is no more than there was.
    fn settle(&self, setting: Setting) {
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

/// Something that runs beside the test.
pub enum Task<T> {
    Thread(thread::JoinHandle<T>),
    Goroutine(scheduler::JoinHandle<T>),
}

/// Runs `f` beside the caller: on a thread or on a goroutine, as the setting says.
#[track_caller]
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    /// Counts a task until it ends, also if it panics.
    struct Counted;

    impl Drop for Counted {
        fn drop(&mut self) {
            // ORDERING: release pairs with the acquire in `Left::take`.
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
        let mut now = now();
        match now.setting {
            Setting::Threads => false,
            Setting::Goroutines(_) => true,
            Setting::Mixed(_) => now.random.one_in(2),
        }
    };
    if on_goroutine {
        Task::Goroutine(scheduler::spawn(f, scheduler::Options::default()).expect("the default stack can be had"))
    } else {
        Task::Thread(thread::spawn(f))
    }
}

impl<T> Task<T> {
    /// Waits for the end; passes a panic on.
    pub fn join(self) -> T {
        self.wait().unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    fn wait(self) -> thread::Result<T> {
        match self {
            Self::Thread(handle) => scheduler::blocking(|| handle.join()),
            Self::Goroutine(handle) => handle.join(),
        }
    }

    /// Whether `f` has returned.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Thread(handle) => handle.is_finished(),
            Self::Goroutine(handle) => handle.is_finished(),
        }
    }
}

/// Aborts the process if it is not dropped in time. A test that hangs shall fail, and say where.
#[must_use]
struct Watchdog(Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>);

fn watchdog(setting: Setting) -> Watchdog {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let (alive, gone) = mpsc::channel();
    let thread = thread::spawn(move || {
        if gone.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Written past the harness, which would keep it to itself when the process aborts.
            let _ = writeln!(io::stderr(), "{test} on {setting}: still running after {LIMIT:?}");
            // On a thread of its own: what hangs may be what the dump needs.
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

/// Waits until `condition` holds, and lets others run; the watchdog bounds it.
pub fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now();
    }
}

/// So many rounds, or as many as there is time for: a busy machine shall have fewer of them rather than the watchdog's
/// bite. At least one.
pub fn rounds(most: usize) -> impl Iterator<Item = usize> {
    let end = Instant::now() + storm_time();
    (0..most).take_while(move |&round| round == 0 || Instant::now() < end)
}

/// Gives others a moment to do what they should not do. A test may rest on nothing happening in it, never on anything.
pub fn moment() {
    let end = Instant::now() + Duration::from_millis(10);
    until(|| Instant::now() >= end);
}

/// The text of a panic of `f`.
pub fn panic_text(f: impl FnOnce() + panic::UnwindSafe) -> String {
    text(&*panic::catch_unwind(f).expect_err("no panic")).to_owned()
}

fn text(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().copied().unwrap_or("a panic without a text"),
    }
}
