//! A minimal HTTP/1.0 client for small examples. The example `fetch` is a real client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use greenthread::ctx::Context;
use greenthread::net::TcpStream;

use crate::http::Answer;

/// Gets `path` from the server at `addr`. Ends with the context.
///
/// # Errors
/// If the connection fails, if the context ends first, or if the server does not speak HTTP.
pub(crate) fn get(ctx: &Context, addr: SocketAddr, path: &str) -> io::Result<Answer> {
    let stream = TcpStream::connect_ctx(ctx, addr)?;
    let mut stream = stream.with_ctx(ctx);
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    Ok(Answer::new(status, body))
}
