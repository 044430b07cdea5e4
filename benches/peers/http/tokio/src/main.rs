//! The plaintext server on hyper, with a task for each connection on tokio's multi-thread runtime.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

#[path = "../../options.rs"]
mod options;

fn main() -> io::Result<()> {
    let options = options::parse();
    let runtime = Builder::new_multi_thread().worker_threads(options.workers).enable_all().build()?;
    // On a worker: `block_on` runs its own future on this thread.
    runtime.block_on(runtime.spawn(serve(options.addr))).expect("the server does not panic")
}

async fn serve(addr: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(talk(stream));
    }
}

async fn talk(stream: TcpStream) {
    stream.set_nodelay(true).expect("the stream is open");
    // At the end the client closes the connection, which may be a reset.
    let _ = http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if request.uri().path() == "/plaintext" {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        *response.body_mut() = Full::new(Bytes::from_static(b"Hello, World!"));
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}
