//! The code that the Rust programs of the peer benchmark share: command line, warm-up, repetitions,
//! output.
//!
//! The protocol is in `benches/peers/README.md`; Go's program implements it too. A peer passes its
//! lists of workloads to [`main`]. Each peer chooses the number of operations in a repetition: a
//! figure is per operation.

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
/// The figures of a [`Workload::fresh`] that are bytes.
const BYTES: [&str; 2] = [".bytes", ".rest"];

/// The beginning of a line that gives the reason why there are no figures.
pub const GAVE_UP: &str = "gave up: ";

static WORKERS: OnceLock<usize> = OnceLock::new();

/// The result of one repetition of a workload with several figures: their names, without the
/// workload's, and their values.
pub type Figures = Vec<(&'static str, f64)>;

/// One workload of one peer.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    name: &'static str,
    run: Run,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    /// A number of operations; the figure is nanoseconds per operation.
    Each(u64, fn(u64) -> Duration),
    /// The figure is for the whole, in a unit of the given number of nanoseconds.
    Whole(f64, fn() -> Duration),
    Several(fn() -> Figures),
    Once(fn() -> Figures),
    /// A number of goroutines, or the peer's equivalent.
    Fresh(u64, fn(u64) -> Figures),
}

impl Workload {
    /// Returns a workload of `count` operations, whose figure is nanoseconds per operation.
    ///
    /// `run` is passed the number of operations, which the command line can scale, and returns how
    /// long they took.
    pub const fn each(name: &'static str, count: u64, run: fn(u64) -> Duration) -> Self {
        Self { name, run: Run::Each(count, run) }
    }

    /// Returns a workload that cannot be divided, whose figure is milliseconds.
    ///
    /// `run` returns how long it took.
    pub const fn whole(name: &'static str, run: fn() -> Duration) -> Self {
        Self { name, run: Run::Whole(1e6, run) }
    }

    /// Returns a workload like that of [`whole`](Self::whole), but in microseconds.
    pub const fn whole_us(name: &'static str, run: fn() -> Duration) -> Self {
        Self { name, run: Run::Whole(1e3, run) }
    }

    /// Returns a workload with several figures, which takes seconds and is repeated less often.
    pub const fn several(name: &'static str, run: fn() -> Figures) -> Self {
        Self { name, run: Run::Several(run) }
    }

    /// Returns a workload like that of [`several`](Self::several), but with `count` goroutines,
    /// where some of the figures are the bytes that they keep.
    ///
    /// Those come from the first repetition, which is otherwise the untimed one: later ones find
    /// memory that the first has freed, and gain less.
    const fn fresh(name: &'static str, count: u64, run: fn(u64) -> Figures) -> Self {
        Self { name, run: Run::Fresh(count, run) }
    }

    /// Returns a workload with several figures that needs no warm-up.
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

    /// Runs it once, and returns its figures.
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

    /// Returns `true` if a figure is that of the first repetition, which is untimed for all others.
    fn is_of_first_repetition(&self, figure: &str) -> bool {
        match self.run {
            Run::Once(_) => true,
            Run::Fresh(..) => BYTES.iter().any(|bytes| figure.ends_with(bytes)),
            Run::Each(..) | Run::Whole(..) | Run::Several(_) => false,
        }
    }
}

/// Runs a peer's `main`: does what the command line asks for.
///
/// `start` makes the runtime use the given number of workers.
pub fn main(start: impl FnOnce(usize), lists: &[&[Workload]]) {
    let workloads = || lists.iter().copied().flatten();
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, workers, scale) = match args[..] {
        [echo::CLIENT, ..] => return play_client(&args),
        [fairness::CLIENT, addr] => return run_trips_client(addr),
        ["list"] => return workloads().for_each(|workload| println!("{}", workload.name)),
        [name, workers] => (name, workers, "1"),
        [name, workers, scale] => (name, workers, scale),
        _ => refuse("usage: list, or: WORKLOAD WORKERS [SCALE]"),
    };
    let Some(workload) = workloads().find(|workload| workload.name == name) else {
        refuse("unknown workload; `list` prints the names")
    };
    let Some(workers) = workers.parse().ok().filter(|&workers| workers > 0) else {
        refuse("WORKERS must be a positive number")
    };
    let Some(scale) = scale.parse().ok().filter(|&scale| scale > 0.0) else {
        refuse("SCALE must be a positive number")
    };
    set_workers(workers);
    start(workers);
    for n in 0..=workload.repetitions() {
        let mut figures = workload.repeat(scale);
        figures.retain(|(figure, _)| workload.is_of_first_repetition(figure) == (n == 0));
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
    // Fails if another test of this process has set it.
    let _ = WORKERS.set(workers);
}

/// Returns the number of workers that this process was started with.
pub fn workers() -> usize {
    *WORKERS.get().expect("the command line has been read")
}

/// Ends the process, because this peer cannot do what the workload measures.
///
/// The reason goes into the report.
pub fn give_up(why: &str) -> ! {
    println!("{GAVE_UP}{why}");
    exit(0);
}

/// Acts as the client of another peer, and returns at its end.
///
/// The arguments begin with [`echo::CLIENT`].
pub fn play_client(args: &[&str]) {
    let [_, addr, connections] = args else { refuse("usage: echo-client ADDRESS CONNECTIONS") };
    let Some(connections) = connections.parse().ok().filter(|&n| n > 0) else {
        refuse("CONNECTIONS must be a positive number")
    };
    if let Err(error) = echo::client(addr, connections) {
        eprintln!("the client of the echo server: {error}");
        exit(1);
    }
}

/// Acts as the client of `busy_io` for another peer.
///
/// The program's arguments are [`fairness::CLIENT`] and an address.
fn run_trips_client(addr: &str) {
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
