//! Crowds that park: how much memory each goroutine keeps, how long the crowd takes to create and
//! to wake, and what it costs while nothing happens.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Figures, Workload};

/// How long goroutines that have used their stacks stay parked, and how long the cost of idling is
/// measured.
const REST: Duration = Duration::from_secs(3);
/// New goroutines settle, and workers that were looking for work go to sleep.
const SETTLING: Duration = Duration::from_secs(3);
const IDLE: u64 = 10_000;

/// A peer's way to create goroutines that park, or its equivalent.
pub trait Crowd {
    /// Starts `count` goroutines, which call `first`, count themselves in, and park on one channel.
    ///
    /// The closure that it returns closes the channel, and returns when all have ended. A thread
    /// outside the runtime calls both.
    fn gather(count: u64, arrivals: Arc<Arrivals>, first: fn()) -> impl FnOnce();
}

/// The number of goroutines of a crowd that have yet to arrive.
#[derive(Debug)]
pub struct Arrivals {
    missing: AtomicU64,
    complete: SyncSender<()>,
}

impl Arrivals {
    /// Records that a goroutine has arrived and is about to park.
    pub fn count_in(&self) {
        // Relaxed: this only counts, and no data of the goroutines is read.
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.complete.send(()).expect("the creator waits for the last one");
        }
    }
}

/// Returns the workloads with crowds, for a peer that can keep `parked` goroutines parked, or
/// `deep` of them with used stacks.
pub const fn crowd_workloads<C: Crowd>(parked: u64, deep: u64) -> [Workload; 4] {
    [
        Workload::fresh("parked_1m", parked, |count| measure_crowd::<C>(count, || {}, None)),
        Workload::fresh("deep_6k", deep, |count| measure_crowd::<C>(count, use_stack::<{ 6 << 10 }>, Some(REST))),
        Workload::fresh("deep_24k", deep, |count| measure_crowd::<C>(count, use_stack::<{ 24 << 10 }>, Some(REST))),
        Workload::once("idle_10k", idle::<C>),
    ]
}

/// Uses `BYTES` of the stack, and a little more.
#[inline(never)]
pub fn use_stack<const BYTES: usize>() {
    let mut frame = [0_u8; BYTES];
    black_box(&mut frame).iter_mut().step_by(64).for_each(|byte| *byte += 1);
    assert_eq!(black_box(&frame).iter().map(|&byte| usize::from(byte)).sum::<usize>(), BYTES / 64);
}

/// Returns when `count` have arrived.
///
/// The closure that it returns wakes them.
fn gather<C: Crowd>(count: u64, first: fn()) -> impl FnOnce() {
    let (complete, completed) = sync_channel(1);
    let wake = C::gather(count, Arc::new(Arrivals { missing: AtomicU64::new(count), complete }), first);
    completed.recv().expect("all arrive");
    wake
}

/// Measures a crowd that arrives, stays parked for `rest`, and is woken.
fn measure_crowd<C: Crowd>(count: u64, first: fn(), rest: Option<Duration>) -> Figures {
    let nanos_since = |start: Instant| start.elapsed().as_nanos() as f64 / count as f64;
    let before = resident_bytes();
    let start = Instant::now();
    let wake = gather::<C>(count, first);
    let mut figures = vec![("make", nanos_since(start)), ("bytes", gained_since(before, count))];
    if let Some(rest) = rest {
        sleep(rest);
        figures.push(("rest", gained_since(before, count)));
    }
    let start = Instant::now();
    wake();
    figures.push(("wake", nanos_since(start)));
    figures
}

/// Measures microseconds of CPU and wake-ups, per second.
fn idle<C: Crowd>() -> Figures {
    let wake = gather::<C>(IDLE, || {});
    sleep(SETTLING);
    let start = Instant::now();
    let (cpu_before, sleeps_before) = cpu_and_sleeps_of_others();
    sleep(REST);
    let seconds = start.elapsed().as_secs_f64();
    let (cpu, sleeps) = cpu_and_sleeps_of_others();
    wake();
    let (cpu, sleeps) = (cpu.saturating_sub(cpu_before), sleeps.saturating_sub(sleeps_before));
    vec![("cpu", cpu.as_nanos() as f64 / 1e3 / seconds), ("switches", sleeps as f64 / seconds)]
}

/// Returns the bytes of memory that this process has: its pages and the page tables for them.
///
/// # Panics
/// If there is no `/proc/self/status`.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this needs Linux's /proc");
    (field(&status, "VmRSS:") + field(&status, "VmPTE:")) * 1024
}

/// Returns the bytes that this process has gained since it had `before`, divided by `count`.
pub fn gained_since(before: u64, count: u64) -> f64 {
    resident_bytes().saturating_sub(before) as f64 / count as f64
}

/// Returns the CPU time that all threads of this process except the caller have used so far, and
/// how often one of them has gone to sleep.
///
/// # Panics
/// If there is no `/proc/self/task`.
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
    use std::thread::spawn;

    use super::*;

    struct Threads;

    impl Crowd for Threads {
        fn gather(count: u64, arrivals: Arc<Arrivals>, first: fn()) -> impl FnOnce() {
            let threads = (0..count).map(|_| {
                let (gate, waiting) = sync_channel::<()>(0);
                let arrivals = Arc::clone(&arrivals);
                let thread = spawn(move || {
                    first();
                    arrivals.count_in();
                    assert!(waiting.recv().is_err(), "nothing is ever sent");
                });
                (gate, thread)
            });
            let (gates, threads): (Vec<_>, Vec<_>) = threads.unzip();
            move || {
                drop(gates);
                threads.into_iter().for_each(|thread| thread.join().expect("a thread does not panic"));
            }
        }
    }

    #[test]
    fn a_crowd_stays_parked_if_a_pause_is_requested() {
        let names = |figures: Figures| figures.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(measure_crowd::<Threads>(3, || {}, None)), ["make", "bytes", "wake"]);
        let rest = Duration::from_millis(20);
        let start = Instant::now();
        let figures = measure_crowd::<Threads>(3, use_stack::<{ 6 << 10 }>, Some(rest));
        assert!(start.elapsed() >= rest, "the crowd stayed parked");
        assert_eq!(names(figures), ["make", "bytes", "rest", "wake"]);
    }

    #[test]
    fn a_field_is_the_number_after_its_name() {
        assert_eq!(field("VmPTE:\t  52 kB\nVmRSS:\t 1234 kB\n", "VmRSS:"), 1234);
        assert_eq!(field("VmPTE:\t  52 kB\n", "VmRSS:"), 0);
    }
}
