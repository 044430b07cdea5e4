//! A TCP server that echoes, with a goroutine for each connection.

use std::io::{Read, Write};
use std::net::SocketAddr;

use peer_harness::Workload;
use peer_harness::echo::echo;

use crate::{TcpListener, TcpStream, spawn};

pub(crate) const WORKLOADS: &[Workload] =
    &[Workload::several("echo_64c", || echo(64, serve)), Workload::several("echo_512c", || echo(512, serve))];

pub(crate) fn serve(connections: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("the listener is bound");
    spawn(move || {
        for _ in 0..connections {
            let (stream, _) = listener.accept().expect("the client connects");
            spawn(move || talk(stream));
        }
    });
    addr
}

fn talk(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("the stream is open");
    let mut bytes = [0; 1024];
    // At the end the client closes the connection, which may be a reset.
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..n]).is_err() {
            return;
        }
    }
}
