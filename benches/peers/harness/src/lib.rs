//! What the Rust programs of the peer benchmark share: the command line, the warming-up, the repetitions, the output.
//!
//! The protocol is in `benches/peers/README.md`; Go's program speaks it too. A peer hands [`main`] its lists of
//! workloads. How many operations a repetition has is the peer's business: a figure is per operation.

use std::env;
use std::process::exit;
use std::time::Duration;

/// Timed repetitions in one process, after an untimed one that warms memory and caches.
const REPETITIONS: usize = 5;

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
    /// The figure is milliseconds for the whole.
    Whole(fn() -> Duration),
}

impl Workload {
    /// A workload of `count` operations, whose figure is nanoseconds per operation. `run` is told how many to do, which
    /// is another number if the command line scales it, and says how long they took.
    pub const fn each(name: &'static str, count: u64, run: fn(u64) -> Duration) -> Self {
        Self { name, run: Run::Each(count, run) }
    }

    /// A workload that is one piece, whose figure is milliseconds. `run` says how long it took.
    pub const fn whole(name: &'static str, run: fn() -> Duration) -> Self {
        Self { name, run: Run::Whole(run) }
    }

    /// Runs it once, and gives its figure.
    fn repeat(&self, scale: f64) -> f64 {
        match self.run {
            Run::Each(count, run) => {
                let count = (count as f64 * scale).max(1.0) as u64;
                run(count).as_nanos() as f64 / count as f64
            }
            Run::Whole(run) => run().as_nanos() as f64 / 1e6,
        }
    }
}

/// A peer's `main`: does what the command line says. `start` makes the runtime use so many workers.
pub fn main(start: impl FnOnce(usize), lists: &[&[Workload]]) {
    let workloads = || lists.iter().copied().flatten();
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, workers, scale) = match args[..] {
        ["list"] => return workloads().for_each(|workload| println!("{}", workload.name)),
        [name, workers] => (name, workers, "1"),
        [name, workers, scale] => (name, workers, scale),
        _ => refuse("usage: list, or: WORKLOAD WORKERS [SCALE]"),
    };
    let Some(workload) = workloads().find(|workload| workload.name == name) else { refuse("no such workload") };
    let Some(workers) = workers.parse().ok().filter(|&workers| workers > 0) else { refuse("WORKERS is a number") };
    let Some(scale) = scale.parse().ok().filter(|&scale| scale > 0.0) else { refuse("SCALE is a positive number") };
    start(workers);
    workload.repeat(scale);
    for _ in 0..REPETITIONS {
        println!("{name} {}", workload.repeat(scale));
    }
}

fn refuse(why: &str) -> ! {
    eprintln!("{why}");
    exit(2);
}
