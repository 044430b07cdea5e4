//! A TCP server that echoes, with a goroutine for each connection.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use go_lib::go;
use go_lib::net::{TcpListener, TcpStream};
use peer_harness::Workload;
use peer_harness::echo::echo;
use rustix::net::sockopt::set_tcp_nodelay;

use crate::on_goroutine;

pub(crate) const WORKLOADS: &[Workload] =
    &[Workload::several("echo_64c", || echo(64, serve)), Workload::several("echo_512c", || echo(512, serve))];

fn serve(connections: usize) -> SocketAddr {
    on_goroutine(move || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("the listener is bound");
        go!(move || {
            for _ in 0..connections {
                let stream = listener.accept().expect("the client connects");
                go!(move || talk(stream));
            }
        });
        addr
    })
}

fn talk(mut stream: TcpStream) {
    // go-lib has no call for this option. SAFETY: the descriptor stays open during the borrow,
    // because `stream` outlives it.
    let fd = unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) };
    set_tcp_nodelay(fd, true).expect("the stream is open");
    let mut bytes = [0; 1024];
    // At the end the client closes the connection, which may be a reset.
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..n]).is_err() {
            return;
        }
    }
}
