//! The client: one thread, one epoll.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::MESSAGE;
use crate::Times;

/// How long the client talks before it counts, and while it counts.
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(2);

struct Connection {
    stream: TcpStream,
    sent: Instant,
    /// Bytes of the answer that have arrived.
    received: usize,
}

impl Connection {
    fn send(&mut self) -> io::Result<()> {
        self.received = 0;
        self.sent = Instant::now();
        // One message always fits.
        self.stream.write_all(&[b'x'; MESSAGE])
    }

    /// Returns `true` if the answer is complete.
    fn receive(&mut self) -> io::Result<bool> {
        let mut bytes = [0; MESSAGE];
        match self.stream.read(&mut bytes[self.received..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                self.received += n;
                Ok(self.received == MESSAGE)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Talks to the server, and prints "begin" when it begins to count.
///
/// At the end it prints the number of requests, the nanoseconds that they took together, and the
/// 99th percentile of the nanoseconds of a request.
pub(crate) fn main(addr: &str, connections: usize) -> io::Result<()> {
    // The peer may be confined to a few CPUs; the client must not inherit that.
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
    sched_setaffinity(None, &all)?;

    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut all = Vec::with_capacity(connections);
    for n in 0..connections {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&poll, &stream, EventData::new_u64(n as u64), EventFlags::IN)?;
        all.push(Connection { stream, sent: Instant::now(), received: 0 });
    }
    all.iter_mut().try_for_each(Connection::send)?;
    let mut events = Vec::with_capacity(512);
    let warm = Instant::now();
    while warm.elapsed() < WARM_UP {
        turn(&poll, &mut events, &mut all, |_| ())?;
    }
    println!("begin");
    let begin = Instant::now();
    let mut times = Vec::with_capacity(1 << 20);
    while begin.elapsed() < MEASURED {
        turn(&poll, &mut events, &mut all, |time| times.push(time))?;
    }
    let (took, requests) = (begin.elapsed(), times.len());
    println!("{requests} {} {}", took.as_nanos(), Times::new(times).percentile(99.0).as_nanos());
    Ok(())
}

/// Takes the answers that have arrived, or waits for some, and sends as many messages.
fn turn(
    poll: &OwnedFd,
    events: &mut Vec<Event>,
    all: &mut [Connection],
    mut done: impl FnMut(Duration),
) -> io::Result<()> {
    events.clear();
    epoll::wait(poll, spare_capacity(events), None)?;
    for event in events {
        let connection = &mut all[event.data.u64() as usize];
        if connection.receive()? {
            done(connection.sent.elapsed());
            connection.send()?;
        }
    }
    Ok(())
}
