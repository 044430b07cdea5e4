//! A TCP server that echoes: one thread and one epoll loop, as in C. The other servers are measured
//! against it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use peer_harness::Workload;
use peer_harness::echo::echo;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

pub(crate) const WORKLOADS: &[Workload] =
    &[Workload::several("echo_64c", || echo(64, serve)), Workload::several("echo_512c", || echo(512, serve))];

fn serve(connections: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("the listener is bound");
    thread::spawn(move || {
        let accept = |_| listener.accept().expect("the client connects").0;
        talk((0..connections).map(accept).collect());
    });
    addr
}

/// Echoes until all clients have closed their connections.
fn talk(streams: Vec<TcpStream>) {
    let poll = epoll::create(CreateFlags::CLOEXEC).expect("there are free descriptors");
    for (n, stream) in streams.iter().enumerate() {
        stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).expect("the stream is open");
        epoll::add(&poll, stream, EventData::new_u64(n as u64), EventFlags::IN).expect("the stream is open");
    }
    let mut open = streams.len();
    let mut bytes = [0; 1024];
    let mut events = Vec::with_capacity(512);
    while open > 0 {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), None).expect("the arguments are right");
        for event in &events {
            let mut stream = &streams[event.data.u64() as usize];
            // The answer fits into the socket's buffer, since the client waits for it.
            let echoed = match stream.read(&mut bytes) {
                Ok(0) => false,
                Ok(n) => stream.write_all(&bytes[..n]).is_ok(),
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            };
            if !echoed {
                epoll::delete(&poll, stream).expect("the stream was added");
                open -= 1;
            }
        }
    }
}
