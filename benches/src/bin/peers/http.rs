//! HTTP plaintext: each peer's server, loaded by wrk.
//!
//! A server with fewer workers than there are CPUs has one CPU for each of them, and wrk has the
//! others. If there are not more CPUs than workers, both share all CPUs. The server is started for
//! each turn, and answers for a second before it is measured, to fill caches, heaps, and stacks.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::child::{self, Failure, Server};
use crate::peer::{self, Missing, build_go, build_rust, peers_dir, program};

const CONNECTIONS: usize = 64;
/// In whole seconds: wrk accepts nothing else.
const WARM_UP: u64 = 1;
const MEASURED: f64 = 3.0;

const START_LIMIT: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const END_LIMIT: Duration = Duration::from_secs(15);
/// The time that wrk may take in addition to the time during which it loads the server.
const LOAD_LIMIT: Duration = Duration::from_secs(20);

const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";
const BODY: &str = "Hello, World!";

/// Returns the number of requests that a connection sends at once in `workload`, or `None` if this
/// is not an HTTP workload.
pub(crate) fn depth(workload: &str) -> Option<u64> {
    match workload {
        "http_64c" => Some(1),
        "http_64c_16" => Some(16),
        _ => None,
    }
}

/// A peer's server, built.
#[derive(Debug)]
pub(crate) struct Plaintext {
    program: PathBuf,
    /// The number of workers is passed by an option, and otherwise by `GOMAXPROCS`.
    has_option: bool,
}

impl Plaintext {
    /// Builds the server of `peer`.
    ///
    /// Returns `None` if the peer has no server.
    pub(crate) fn build(peer: &str) -> Option<Result<Self, Missing>> {
        let program = match peer {
            peer::GREENTHREAD => rust_program("../../examples", &["--bin", "http"], "http"),
            peer::GO => program("peer-http-go")
                .and_then(|program| build_go(&peers_dir().join("http/go"), &program).map(|_| program)),
            peer::TOKIO => rust_program("http/tokio", &[], "peer-http-tokio"),
            peer::MAY => rust_program("http/may", &[], "peer-http-may"),
            _ => return None,
        };
        Some(program.map(|program| Self { program, has_option: peer != peer::GREENTHREAD }))
    }

    /// Runs one turn: returns the figures of `workload`, under their names in the table.
    pub(crate) fn turn(
        &self,
        workload: &str,
        depth: u64,
        workers: usize,
        scale: f64,
    ) -> Result<Vec<(String, f64)>, Missing> {
        let (server_cpus, client_cpus) = cpus(workers).map_err(failed)?;
        // Not all servers print the port that port 0 became.
        let addr = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(failed)?;
        let server = on_cpus(&server_cpus, || Server::start(&mut self.command(addr, workers)))?;
        let line = server.line(START_LIMIT).map_err(Missing::Failed)?;
        if !line.starts_with("listening on ") {
            return Err(Missing::Failed(format!("unexpected line of output {line:?}")));
        }
        check(addr).map_err(|error| Missing::Failed(format!("a test request failed: {error}")))?;
        let load = |seconds| on_cpus(&client_cpus, || Load::run(addr, depth, seconds));
        load(WARM_UP)?;
        let before = cpu_time(server.id()).map_err(failed)?;
        let measured = load((MEASURED * scale).ceil() as u64)?;
        let cpu = cpu_time(server.id()).map_err(failed)? - before;
        server.end(END_LIMIT).map_err(Missing::Failed)?;
        let figure = |name, value| (format!("{workload}.{name}"), value);
        let mut figures =
            vec![figure("request", measured.micros * 1e3 / measured.requests), figure("cpu", cpu / measured.requests)];
        // When wrk corrects its latencies for requests that it could not send in time, it treats
        // each answer to a batch as that of a separate request. The percentiles are then wrong:
        // often 0.
        if depth == 1 {
            figures.push(figure("p99", measured.p99));
        }
        Ok(figures)
    }

    fn command(&self, addr: SocketAddr, workers: usize) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--addr", &addr.to_string()]);
        let workers = workers.to_string();
        if self.has_option {
            command.args(["--workers", &workers])
        } else {
            command.env("GOMAXPROCS", workers)
        };
        command
    }
}

fn rust_program(folder: &str, args: &[&str], name: &str) -> Result<PathBuf, Missing> {
    build_rust(&peers_dir().join(folder), args)?;
    program(name)
}

fn failed(error: impl ToString) -> Missing {
    Missing::Failed(error.to_string())
}

/// Returns the CPUs of the server and those of its client.
fn cpus(workers: usize) -> io::Result<(CpuSet, CpuSet)> {
    let allowed = sched_getaffinity(None)?;
    let (mut first, mut others) = (CpuSet::new(), CpuSet::new());
    for (n, cpu) in (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).enumerate() {
        if n < workers { first.set(cpu) } else { others.set(cpu) }
    }
    Ok(if others.count() == 0 { (first, first) } else { (first, others) })
}

/// Runs `start` on a new thread with the given CPUs, which a child that it starts inherits.
fn on_cpus<T: Send>(cpus: &CpuSet, start: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sched_setaffinity(None, cpus).expect("the CPUs are among the allowed ones");
            start()
        });
        thread.join().expect("the thread does not panic")
    })
}

/// Checks that the server gives the right answer.
fn check(addr: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(REQUEST)?;
    let (mut answer, mut bytes) = (String::new(), [0; 1024]);
    while !answer.ends_with(&format!("\r\n\r\n{BODY}")) {
        let n = stream.read(&mut bytes)?;
        answer.push_str(&String::from_utf8_lossy(&bytes[..n]));
        if n == 0 || answer.len() > bytes.len() {
            return Err(io::Error::other(format!("unexpected answer {answer:?}")));
        }
    }
    if !answer.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(format!("unexpected answer {answer:?}")));
    }
    Ok(())
}

/// Returns the CPU time of a process so far, in microseconds.
fn cpu_time(process: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let ticks = ticks(&stat).ok_or_else(|| io::Error::other(format!("unexpected /proc/PID/stat {stat:?}")))?;
    Ok(ticks as f64 * 1e6 / clock_ticks_per_second() as f64)
}

/// Returns the sum of user and system time in a line of `/proc/PID/stat`.
fn ticks(stat: &str) -> Option<u64> {
    // The name of the program is in parentheses, and may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The results of wrk.
#[derive(Debug, PartialEq)]
struct Load {
    requests: f64,
    micros: f64,
    p99: f64,
}

impl Load {
    fn run(addr: SocketAddr, depth: u64, seconds: u64) -> Result<Self, Missing> {
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--connections", &CONNECTIONS.to_string()]);
        command.args(["--duration", &seconds.to_string(), "--script"]).arg(peers_dir().join("http.lua"));
        command.args([&format!("http://{addr}/plaintext"), "--", &depth.to_string()]);
        let output = child::output(&mut command, LOAD_LIMIT + Duration::from_secs(seconds));
        let text = output.map_err(|failure| match failure {
            Failure::NotStarted(error) => {
                Missing::Unavailable(format!("cannot start wrk, which loads the servers: {error}; put `wrk` on PATH"))
            }
            Failure::Failed(why) => Missing::Failed(format!("wrk: {why}")),
        })?;
        Self::parse(&text).ok_or_else(|| Missing::Failed(format!("unexpected output of wrk {text:?}")))
    }

    /// Reads what `http.lua` prints.
    ///
    /// Returns `None` if a request has failed.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("result "))?;
        let numbers: Vec<f64> = line.split(' ').map_while(|number| number.parse().ok()).collect();
        match numbers[..] {
            [requests, micros, p99, 0.0] if requests > 0.0 => Some(Self { requests, micros, p99 }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_without_errors_is_read() {
        let text = "Running 1s test\nresult 1000 2000000 150 0\nRequests/sec: 500\n";
        assert_eq!(Load::parse(text), Some(Load { requests: 1000.0, micros: 2e6, p99: 150.0 }));
        for text in ["result 1000 2000000 150 1\n", "result 0 2000000 0 0\n", "result 1 2\n", "unable to connect\n"] {
            assert_eq!(Load::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn cpu_time_is_found_after_any_program_name() {
        let stat = "17 (a) b) 0) S 1 2 3 4 5 6 7 8 9 10 40 2 13 14\n";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("17 (a) S 1 2"), None);
    }

    #[test]
    fn only_the_new_thread_has_the_given_cpus() {
        let (first, others) = cpus(1).expect("the kernel reports the allowed CPUs");
        assert_eq!(first.count(), 1);
        assert_ne!(others.count(), 0);
        let before = sched_getaffinity(None).expect("the kernel reports the allowed CPUs");
        assert_eq!(on_cpus(&first, || sched_getaffinity(None)), Ok(first));
        assert_eq!(sched_getaffinity(None), Ok(before));
    }

    #[test]
    fn only_the_right_answer_is_accepted() {
        let answer = |text: &'static str| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let addr = listener.local_addr().expect("the listener is bound");
            thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = listener.accept().expect("the client connects");
                    stream.read_exact(&mut [0; REQUEST.len()]).expect("a request");
                    stream.write_all(text.as_bytes()).expect("the client listens");
                });
                check(addr)
            })
        };
        assert!(answer("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!").is_ok());
        assert!(answer("HTTP/1.1 404 No\r\nContent-Length: 13\r\n\r\nHello, World!").is_err());
        assert!(answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHey").is_err());
    }
}
