//! A minimal HTTP/1.0 server for small examples: GET only, one request per connection, no header
//! fields.
//!
//! The example `http` is a real server. For a client, see `http_get.rs`.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::go;
use greenthread::net::{TcpListener, TcpStream};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }
}

/// A function that answers a GET request for a path, like Go's `http.Handler`.
pub(crate) trait Handler: Fn(&Context, &str) -> Answer + Send + Sync + 'static {}

impl<F: Fn(&Context, &str) -> Answer + Send + Sync + 'static> Handler for F {}

/// Serves on a port that the system chooses, with one goroutine for each request, until the context
/// ends. Returns the address.
pub(crate) fn serve(ctx: &Context, handler: impl Handler) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let ctx = ctx.clone();
    go!(move || {
        listener.serve(&ctx, Duration::ZERO, move |ctx, stream| {
            // A client that disconnects halfway is not an error for the server.
            let _ = answer(ctx, &stream, &handler);
        })
    });
    Ok(addr)
}

fn answer(ctx: &Context, stream: &TcpStream, handler: &impl Handler) -> io::Result<()> {
    let mut head = BufReader::new(stream.with_ctx(ctx)).lines();
    let mut next = || head.next().unwrap_or_else(|| Err(ErrorKind::UnexpectedEof.into()));
    let request = next()?;
    while !next()?.is_empty() {}
    let path = request.split(' ').nth(1).ok_or(ErrorKind::InvalidData)?;
    let Answer { status, body } = handler(ctx, path);
    stream.with_ctx(ctx).write_all(format!("HTTP/1.0 {status} \r\n\r\n{body}").as_bytes())
}
