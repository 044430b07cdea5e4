//! TCP echo: how long a request takes, and what it costs the server.
//!
//! The server is in the peer's process. The client is in a process of its own, and is the same
//! program for all peers: a bare epoll loop that keeps one message of 64 bytes in flight on each
//! connection. The client reports when it begins to count and when it ends, and the server's
//! process reads its own CPU time then.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use rustix::time::{ClockId, clock_gettime};

use crate::Figures;

mod client;

pub(crate) use client::main as client;

/// The first argument of the program that acts as the client.
pub const CLIENT: &str = "echo-client";
/// The environment variable with the path of that program.
///
/// Without it, the peer is its own client.
pub const CLIENT_PROGRAM: &str = "PEER_CLIENT";

/// The length of a message.
pub const MESSAGE: usize = 64;

/// Returns the CPU time of all threads of this process, in microseconds.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Makes the client talk to a server over the given number of connections.
///
/// `serve` starts the server and returns its address at once. The server accepts that many
/// connections, and echoes what it receives until the client closes them.
pub fn echo(connections: usize, serve: impl FnOnce(usize) -> SocketAddr) -> Figures {
    let addr = serve(connections);
    let program = env::var_os(CLIENT_PROGRAM)
        .map_or_else(|| env::current_exe().expect("the path of this program is known"), Into::into);
    let mut command = Command::new(program);
    command.args([CLIENT, &addr.to_string(), &connections.to_string()]).stdout(Stdio::piped());
    let mut client = command.spawn().expect("the client starts");
    let mut lines = BufReader::new(client.stdout.take().expect("stdout is piped")).lines();
    let mut line = || lines.next().expect("the client prints another line").expect("a pipe can be read");
    assert_eq!(line(), "begin");
    let before = cpu_time();
    let end = line();
    let cpu = cpu_time() - before;
    assert!(client.wait().expect("the client can be waited for").success());
    let numbers: Vec<f64> = end.split(' ').map(|number| number.parse().expect("the client prints numbers")).collect();
    let [requests, nanos, p99] = numbers[..] else { panic!("unexpected output of the client: {end:?}") };
    vec![("request", nanos / requests), ("p99", p99 / 1e3), ("cpu", cpu / requests)]
}
