//! TCP echo: how long a request takes, and what it costs the server.
//!
//! The server is in the peer's process, the client in one of its own, which is the same program for all peers: a bare epoll loop that
//! keeps one message of 64 bytes under way on each connection. The client says when it begins to count and when it ends, and the
//! server's process looks at its own CPU time then.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use rustix::time::{ClockId, clock_gettime};

use crate::Figures;

mod client;

pub(crate) use client::main as client;

/// The first argument of the program that is to play the client.
pub const CLIENT: &str = "echo-client";
/// Where the path of that program stands; without it, it is the peer's own.
pub const CLIENT_PROGRAM: &str = "PEER_CLIENT";

/// The length of a message.
pub const MESSAGE: usize = 64;

/// CPU time of this process, of all its threads, in microseconds.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Has the client talk to a server over so many connections. `serve` starts the server, which accepts as many, and
/// echoes what comes until the client hangs up; it returns the address at once.
pub fn echo(connections: usize, serve: impl FnOnce(usize) -> SocketAddr) -> Figures {
    let addr = serve(connections);
    let program = env::var_os(CLIENT_PROGRAM).map_or_else(|| env::current_exe().expect("known"), Into::into);
    let mut command = Command::new(program);
    command.args([CLIENT, &addr.to_string(), &connections.to_string()]).stdout(Stdio::piped());
    let mut client = command.spawn().expect("the client starts");
    let mut lines = BufReader::new(client.stdout.take().expect("it is piped")).lines();
    let mut line = || lines.next().expect("the client says more").expect("a pipe can be read");
    assert_eq!(line(), "begin");
    let before = cpu_time();
    let end = line();
    let cpu = cpu_time() - before;
    assert!(client.wait().expect("it is ours").success());
    let numbers: Vec<f64> = end.split(' ').map(|number| number.parse().expect("the client says numbers")).collect();
    let [requests, nanos, p99] = numbers[..] else { panic!("the client says {end:?}") };
    vec![("request", nanos / requests), ("p99", p99 / 1e3), ("cpu", cpu / requests)]
}
