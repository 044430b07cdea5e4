//! What the benchmarks share: the numbers of Ps, warm memory, percentiles, what the kernel says about this process.
//!
//! Two traps that every benchmark here has to get round. The first touch of memory that the process never had costs up
//! to ten times more than the second, so whatever allocates runs once untimed. And a thread that sleeps on another CPU
//! takes 20 us to wake, so a figure of one operation between two Ps says how often they slept: give percentiles.

use std::fmt;
use std::fs;
use std::process::exit;
use std::time::Duration;

mod crowd;

pub use crowd::Crowd;
pub use peer_harness::{Times, hog};

/// The numbers of Ps that every benchmark is run with.
pub const PROCS: [usize; 2] = [1, 2];

/// Runs `f` in a goroutine, on `procs` Ps, and hands back what it says.
pub fn on_procs<T: Send + 'static>(procs: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    let before = greenthread::gomaxprocs(procs);
    let result = greenthread::spawn(f).join().expect("a benchmark does not panic");
    greenthread::gomaxprocs(before);
    result
}

/// Reads the command line of a program whose options are all `--name NUMBER`; `--help` prints `help` and the options
/// with their values of today, and ends the program.
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

/// Bytes of memory that this process has: its pages and the page tables for them.
///
/// # Panics
/// Where there is no `/proc/self/status`.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this needs Linux's /proc");
    (field(&status, "VmRSS:") + field(&status, "VmPTE:")) * 1024
}

/// Bytes that this process has gained since it had `before`, for each of `count`.
pub fn gained_since(before: u64, count: u64) -> f64 {
    resident_bytes().saturating_sub(before) as f64 / count as f64
}

/// CPU time that the threads of this process other than the caller have used so far, and how often one of them has gone
/// to sleep.
///
/// # Panics
/// Where there is no `/proc/self/task`.
pub fn cpu_and_sleeps_of_others() -> (Duration, u64) {
    let caller = fs::read_link("/proc/thread-self").expect("this needs Linux's /proc");
    let (mut nanos, mut sleeps) = (0, 0);
    for task in fs::read_dir("/proc/self/task").expect("this needs Linux's /proc").flatten() {
        if caller.file_name() == Some(&task.file_name()) {
            continue;
        }
        let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        nanos += read("schedstat").split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        sleeps += field(&read("status"), "\nvoluntary_ctxt_switches:");
    }
    (Duration::from_nanos(nanos), sleeps)
}

fn field(text: &str, name: &str) -> u64 {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_number_after_its_name() {
        assert_eq!(field("VmPTE:\t  52 kB\nVmRSS:\t 1234 kB\n", "VmRSS:"), 1234);
        assert_eq!(field("VmPTE:\t  52 kB\n", "VmRSS:"), 0);
    }
}
