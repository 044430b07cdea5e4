//! Work beside goroutines, or the peer's equivalent, that compute in long turns or block their
//! threads.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Figures, Times, hog};

/// The number of goroutines that compute in turns beside the reader.
const BUSY: usize = 4;
/// The length of each turn.
const TURN: Duration = Duration::from_millis(2);
const TRIPS: usize = 200;
/// The pause between two round trips, which fits no pattern of the turns.
const BETWEEN: Duration = Duration::from_millis(7);

/// The number of goroutines that compute without giving way to others.
const HOGS: usize = 60;
/// The number of goroutines that block their threads.
const BLOCKED: usize = 300;
/// How long each of them blocks.
const CALL: Duration = Duration::from_millis(20);

/// The work of a goroutine that computes in turns.
#[derive(Debug)]
pub struct Busy {
    stop: Arc<AtomicBool>,
    _alive: Sender<()>,
}

impl Busy {
    /// Computes for one turn, and returns `false` if that was the last one.
    ///
    /// The caller yields after each turn.
    pub fn turn(&self) -> bool {
        hog(TURN);
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Measures how long a byte and its echo take, in microseconds: the median and the 99th percentile.
///
/// `serve` starts a server that echoes on the given number of connections, and `spawn` starts a
/// goroutine that computes in turns. The caller is a thread outside the runtime.
pub fn trips_beside_busy(serve: impl FnOnce(usize) -> SocketAddr, spawn: impl Fn(Busy)) -> Figures {
    let addr = serve(1);
    let stop = Arc::new(AtomicBool::new(false));
    let (alive, busy) = channel();
    (0..BUSY).for_each(|_| spawn(Busy { stop: Arc::clone(&stop), _alive: alive.clone() }));
    drop(alive);
    let [p50, p99] = trips(addr).expect("the server answers");
    stop.store(true, Ordering::Relaxed);
    wait_for_all(&busy);
    vec![("p50", p50), ("p99", p99)]
}

/// The first argument that makes a program the client of another peer's server:
/// `trips-client ADDRESS`.
///
/// The program prints the two figures.
pub(crate) const CLIENT: &str = "trips-client";

/// Returns the two figures of a client of the server at `addr`.
pub(crate) fn trips(addr: impl ToSocketAddrs) -> io::Result<[f64; 2]> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let mut trip = || {
        let begin = Instant::now();
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        Ok(begin.elapsed())
    };
    trip()?;
    let trips = (0..TRIPS).map(|_| {
        thread::sleep(BETWEEN);
        trip()
    });
    let trips = Times::new(trips.collect::<io::Result<_>>()?);
    Ok([50.0, 99.0].map(|percent| trips.percentile(percent).as_nanos() as f64 / 1e3))
}

/// The work of a goroutine that only computes.
#[derive(Debug)]
pub struct Job {
    steps: u64,
    _alive: Sender<()>,
}

impl Job {
    /// Uses about 50 ms of CPU time, however many threads share the CPU.
    pub fn compute(self) {
        spin(self.steps);
    }
}

fn spin(steps: u64) {
    let mut number = 1_u64;
    for step in 0..steps {
        number = std::hint::black_box(number.wrapping_mul(step | 1));
    }
}

/// Measures how many milliseconds all of them take together, and the largest number of threads in
/// the process during that time.
pub fn hogs(spawn: impl Fn(Job)) -> Figures {
    let sample = 1_000_000;
    let quickest = (0..10).map(|_| {
        let begin = Instant::now();
        spin(sample);
        begin.elapsed()
    });
    let steps = sample * 50_000_000 / quickest.min().map_or(1, |time| time.as_nanos().max(1) as u64);
    let (alive, jobs) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let most = Arc::new(AtomicUsize::new(0));
    let watcher = thread::spawn({
        let (stop, most) = (Arc::clone(&stop), Arc::clone(&most));
        move || {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(threads(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        }
    });
    let begin = Instant::now();
    (0..HOGS).for_each(|_| spawn(Job { steps, _alive: alive.clone() }));
    drop(alive);
    wait_for_all(&jobs);
    let took = begin.elapsed();
    stop.store(true, Ordering::Relaxed);
    watcher.join().expect("counting does not panic");
    // Except for the watcher.
    vec![("ms", took.as_nanos() as f64 / 1e6), ("threads", (most.load(Ordering::Relaxed) - 1) as f64)]
}

/// Returns the number of threads in this process, or 1 where the system does not report it.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count).max(1)
}

/// The work of a goroutine that blocks its thread once.
#[derive(Debug)]
pub struct Blocker {
    _alive: Sender<()>,
}

impl Blocker {
    /// Blocks the thread.
    pub fn block(self) {
        thread::sleep(CALL);
    }
}

/// Measures the time until all of them have blocked their threads and continued.
pub fn blockers(spawn: impl Fn(Blocker)) -> Duration {
    let (alive, blockers) = channel();
    let begin = Instant::now();
    (0..BLOCKED).for_each(|_| spawn(Blocker { _alive: alive.clone() }));
    drop(alive);
    wait_for_all(&blockers);
    begin.elapsed()
}

/// Returns when all senders are gone.
fn wait_for_all(alive: &Receiver<()>) {
    alive.recv().expect_err("nothing is ever sent");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn every_measurement_works_with_threads() {
        let serve = |connections| {
            assert_eq!(connections, 1);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                io::copy(&mut &stream, &mut &stream).unwrap();
            });
            addr
        };
        let figures = trips_beside_busy(serve, |busy| drop(thread::spawn(move || while busy.turn() {})));
        assert!(matches!(figures[..], [("p50", p50), ("p99", p99)] if 0.0 < p50 && p50 <= p99), "{figures:?}");
        let figures = hogs(|job| drop(thread::spawn(|| job.compute())));
        assert!(matches!(figures[..], [("ms", ms), ("threads", threads)] if ms > 0.0 && threads > 0.0), "{figures:?}");
        assert!(blockers(|blocker| drop(thread::spawn(|| blocker.block()))) >= CALL);
    }
}
