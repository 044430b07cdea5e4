//! A TCP server that echoes, with a task for each connection.

use std::net::SocketAddr;

use peer_harness::Workload;
use peer_harness::echo::echo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;

use crate::on_worker;

pub(crate) const WORKLOADS: &[Workload] =
    &[Workload::several("echo_64c", || echo(64, serve)), Workload::several("echo_512c", || echo(512, serve))];

pub(crate) fn serve(connections: usize) -> SocketAddr {
    on_worker(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let addr = listener.local_addr().expect("the listener is bound");
        spawn(async move {
            for _ in 0..connections {
                let (stream, _) = listener.accept().await.expect("the client connects");
                spawn(talk(stream));
            }
        });
        addr
    })
}

async fn talk(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("the stream is open");
    let mut bytes = [0; 1024];
    // At the end the client closes the connection, which may be a reset.
    while let Ok(n @ 1..) = stream.read(&mut bytes).await {
        if stream.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}
