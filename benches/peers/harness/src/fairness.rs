//! Work beside goroutines, or what the peer calls them, that compute in long turns or block their threads.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Figures, Times, hog};

/// How many compute in turns beside the reader.
const BUSY: usize = 4;
/// How long each turn is.
const TURN: Duration = Duration::from_millis(2);
const TRIPS: usize = 200;
/// The pause between two trips: it meets no pattern of the turns.
const BETWEEN: Duration = Duration::from_millis(7);

/// How many compute without a turn for others.
const HOGS: usize = 60;
/// How many block their threads.
const BLOCKED: usize = 300;
/// How long each of them blocks.
const CALL: Duration = Duration::from_millis(20);

/// One that computes in turns.
#[derive(Debug)]
pub struct Busy {
    stop: Arc<AtomicBool>,
    _alive: Sender<()>,
}

impl Busy {
    /// Computes for one turn; false if that was the last. Others are to have a turn then.
    pub fn turn(&self) -> bool {
        hog(TURN);
        !self.stop.load(Ordering::Relaxed)
    }
}

/// How long a byte and its answer are on the way, in microseconds: half of them at most, and nearly all. `serve` starts a
/// server that echoes for so many connections, `spawn` one that computes in turns. The caller is a thread outside of the
/// runtime.
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

/// How a program is asked to be the client of another peer's server: `trips-client ADDRESS`. It prints the two figures.
pub(crate) const CLIENT: &str = "trips-client";

/// The two figures of a client of the server at `addr`.
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

/// One that computes, and does nothing else.
#[derive(Debug)]
pub struct Job {
    steps: u64,
    _alive: Sender<()>,
}

impl Job {
    /// Takes a CPU for 50 ms or so, however many threads share it.
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

/// How many milliseconds they take together, and the most threads that the process had meanwhile.
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
    watcher.join().expect("it only counts");
    // But for the watcher.
    vec![("ms", took.as_nanos() as f64 / 1e6), ("threads", (most.load(Ordering::Relaxed) - 1) as f64)]
}

/// The threads of this process; 0 where the system does not tell.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count).max(1)
}

/// One that blocks its thread once.
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

/// How long until all of them have blocked their threads and gone on.
pub fn blockers(spawn: impl Fn(Blocker)) -> Duration {
    let (alive, blockers) = channel();
    let begin = Instant::now();
    (0..BLOCKED).for_each(|_| spawn(Blocker { _alive: alive.clone() }));
    drop(alive);
    wait_for_all(&blockers);
    begin.elapsed()
}

/// Returns when nobody has the other side any more.
fn wait_for_all(alive: &Receiver<()>) {
    alive.recv().expect_err("nobody sends");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn threads_can_do_all_of_it() {
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
