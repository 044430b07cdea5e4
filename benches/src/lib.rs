//! Code that the benchmarks share: the numbers of Ps, warm memory, percentiles, and what the kernel
//! says about this process.
//!
//! Every benchmark here has to avoid two traps. The first touch of memory that is new to the
//! process costs up to ten times more than the second, so whatever allocates runs once untimed. And
//! a thread that sleeps on another CPU takes 20 us to wake, so a figure of one operation between
//! two Ps mainly says how often they slept: give percentiles.

use std::fmt;
use std::process::exit;

mod crowd;

pub use crowd::Crowd;
pub use peer_harness::{Times, cpu_and_sleeps_of_others, gained_since, hog, resident_bytes, use_stack};

/// The numbers of Ps that every benchmark is run with.
pub const PROCS: [usize; 2] = [1, 2];

/// Runs `f` in a goroutine, on `procs` Ps, and returns its result.
pub fn on_procs<T: Send + 'static>(procs: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    let before = greenthread::set_gomaxprocs(procs);
    let result = greenthread::spawn(f).join().expect("a benchmark does not panic");
    greenthread::set_gomaxprocs(before);
    result
}

/// Reads the command line of a program whose options are all `--name NUMBER`.
///
/// `--help` prints `help` and the options with their default values, and ends the program.
pub fn numbers<const N: usize>(help: &str, options: [(&str, u64); N]) -> [u64; N] {
    let mut values = options.map(|(_, default)| default);
    let mut parser = lexopt::Parser::from_env();
    loop {
        let name = match parser.next() {
            Ok(None) => return values,
            Ok(Some(lexopt::Arg::Long("help") | lexopt::Arg::Short('h'))) => {
                println!("{help}\n\nOptions, with their defaults:");
                for (name, default) in options {
                    println!("  --{name} {default}");
                }
                exit(0);
            }
            Ok(Some(lexopt::Arg::Long(name))) => name.to_owned(),
            Ok(Some(other)) => refuse(&other.unexpected()),
            Err(error) => refuse(&error),
        };
        let Some(which) = options.iter().position(|&(option, _)| option == name) else {
            refuse(&format!("invalid option '--{name}'"))
        };
        let value = parser.value().map_err(|error| error.to_string());
        match value.and_then(|value| value.to_string_lossy().parse().map_err(|_| format!("--{name} takes a number"))) {
            Ok(value) => values[which] = value,
            Err(error) => refuse(&error),
        }
    }
}

fn refuse(error: &dyn fmt::Display) -> ! {
    eprintln!("{error}; try --help");
    exit(2);
}
