//! What the Rust programs of the peer benchmark share: the command line, the warming-up, the repetitions, the output.
//!
//! The protocol is in `benches/peers/README.md`; Go's program speaks it too. A peer hands [`main`] its lists of
//! workloads. How many operations a repetition has is the peer's business: a figure is per operation.

use std::env;
use std::hint::black_box;
use std::process::exit;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub mod echo;
pub mod fairness;
pub mod hogs;
mod memory;
mod sleepers;
mod times;

pub use memory::{Arrivals, Crowd, cpu_and_sleeps_of_others, crowd_workloads, gained_since, resident_bytes, use_stack};
pub use sleepers::{Night, Sleeper};
pub use times::Times;

/// Timed repetitions in one process, after an untimed one that warms memory and caches.
const REPETITIONS: usize = 3;
/// The same for a workload whose repetition takes seconds.
const FEW_REPETITIONS: usize = 1;
/// Those figures of a [`Workload::fresh`] that are bytes.
const BYTES: [&str; 2] = [".bytes", ".rest"];

/// How a line begins that says why there are no figures.
pub const GAVE_UP: &str = "gave up: ";

static WORKERS: OnceLock<usize> = OnceLock::new();

/// What one repetition of a workload with several figures gives: their names, without the workload's, and values.
pub type Figures = Vec<(&'static str, f64)>;

/// One workload of one peer.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    name: &'static str,
    run: Run,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    /// So many operations; the figure is nanoseconds for each.
    Each(u64, fn(u64) -> Duration),
    /// The figure is for the whole, in a unit of so many nanoseconds.
    Whole(f64, fn() -> Duration),
    Several(fn() -> Figures),
    Once(fn() -> Figures),
    /// So many goroutines, or what the peer has instead.
    Fresh(u64, fn(u64) -> Figures),
}

impl Workload {
    /// A workload of `count` operations, whose figure is nanoseconds per operation. `run` is told how many to do, which
    /// is another number if the command line scales it, and says how long they took.
    pub const fn each(name: &'static str, count: u64, run: fn(u64) -> Duration) -> Self {
        Self { name, run: Run::Each(count, run) }
    }

    /// A workload that is one piece, whose figure is milliseconds. `run` says how long it took.
    pub const fn whole(name: &'static str, run: fn() -> Duration) -> Self {
        Self { name, run: Run::Whole(1e6, run) }
    }

    /// The same in microseconds.
    pub const fn whole_us(name: &'static str, run: fn() -> Duration) -> Self {
        Self { name, run: Run::Whole(1e3, run) }
    }

    /// A workload with several figures, which takes seconds and is repeated less often.
    pub const fn several(name: &'static str, run: fn() -> Figures) -> Self {
        Self { name, run: Run::Several(run) }
    }

    /// The same of so many goroutines, where some of the figures are the bytes that they keep. Those come from the first
    /// repetition, which is otherwise the untimed one: later ones find memory that the first has freed, and gain less.
    const fn fresh(name: &'static str, count: u64, run: fn(u64) -> Figures) -> Self {
        Self { name, run: Run::Fresh(count, run) }
    }

    /// A workload with several figures, for which nothing has to be warm.
    const fn once(name: &'static str, run: fn() -> Figures) -> Self {
        Self { name, run: Run::Once(run) }
    }

    fn repetitions(&self) -> usize {
        match self.run {
            Run::Once(_) => 0,
            Run::Each(..) | Run::Whole(..) => REPETITIONS,
            Run::Several(_) | Run::Fresh(..) => FEW_REPETITIONS,
        }
    }

    /// Runs it once, and gives its figures.
    fn repeat(&self, scale: f64) -> Vec<(String, f64)> {
        let one = |value| vec![(self.name.to_owned(), value)];
        let several = |figures: Figures| {
            figures.into_iter().map(|(figure, value)| (format!("{}.{figure}", self.name), value)).collect()
        };
        let scaled = |count: u64| (count as f64 * scale).max(1.0) as u64;
        match self.run {
            Run::Each(count, run) => {
                let count = scaled(count);
                one(run(count).as_nanos() as f64 / count as f64)
            }
            Run::Whole(unit, run) => one(run().as_nanos() as f64 / unit),
            Run::Several(run) | Run::Once(run) => several(run()),
            Run::Fresh(count, run) => several(run(scaled(count))),
        }
    }

    /// Whether a figure is that of the first repetition, which is untimed for all others.
    fn comes_first(&self, figure: &str) -> bool {
        match self.run {
            Run::Once(_) => true,
            Run::Fresh(..) => BYTES.iter().any(|bytes| figure.ends_with(bytes)),
            Run::Each(..) | Run::Whole(..) | Run::Several(_) => false,
        }
    }
}

/// A peer's `main`: does what the command line says. `start` makes the runtime use so many workers.
pub fn main(start: impl FnOnce(usize), lists: &[&[Workload]]) {
    let workloads = || lists.iter().copied().flatten();
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, workers, scale) = match args[..] {
        [echo::CLIENT, ..] => return play_client(&args),
        [fairness::CLIENT, addr] => return play_trips(addr),
        ["list"] => return workloads().for_each(|workload| println!("{}", workload.name)),
        [name, workers] => (name, workers, "1"),
        [name, workers, scale] => (name, workers, scale),
        _ => refuse("usage: list, or: WORKLOAD WORKERS [SCALE]"),
    };
    let Some(workload) = workloads().find(|workload| workload.name == name) else { refuse("no such workload") };
    let Some(workers) = workers.parse().ok().filter(|&workers| workers > 0) else { refuse("WORKERS is a number") };
    let Some(scale) = scale.parse().ok().filter(|&scale| scale > 0.0) else { refuse("SCALE is a positive number") };
    set_workers(workers);
    start(workers);
    for n in 0..=workload.repetitions() {
        let mut figures = workload.repeat(scale);
        figures.retain(|(figure, _)| workload.comes_first(figure) == (n == 0));
        figures.iter().for_each(|(figure, value)| println!("{figure} {value}"));
    }
}

/// Keeps the CPU for `time` without entering the scheduler.
pub fn hog(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        for n in 0..100 {
            black_box(n);
        }
    }
}

fn set_workers(workers: usize) {
    // A test may come after another one.
    let _ = WORKERS.set(workers);
}

/// How many workers this process was started with.
pub fn workers() -> usize {
    *WORKERS.get().expect("the command line has been read")
}

/// Ends the process: what the workload is to show, this peer cannot do. The reason goes into the report.
pub fn give_up(why: &str) -> ! {
    println!("{GAVE_UP}{why}");
    exit(0);
}

/// What the program does whose arguments begin with [`echo::CLIENT`]: it plays the client of another peer, and ends.
pub fn play_client(args: &[&str]) {
    let [_, addr, connections] = args else { refuse("usage: echo-client ADDRESS CONNECTIONS") };
    let Some(connections) = connections.parse().ok().filter(|&n| n > 0) else { refuse("CONNECTIONS is a number") };
    if let Err(error) = echo::client(addr, connections) {
        eprintln!("the client of the echo server: {error}");
        exit(1);
    }
}

/// What the program does whose arguments are [`fairness::CLIENT`] and an address.
fn play_trips(addr: &str) {
    match fairness::trips(addr) {
        Ok([p50, p99]) => println!("{p50} {p99}"),
        Err(error) => {
            eprintln!("the client of the echo server: {error}");
            exit(1);
        }
    }
}

fn refuse(why: &str) -> ! {
    eprintln!("{why}");
    exit(2);
}
