//! One GET request, from the connection to the last byte.

use std::io::{self, ErrorKind, Read, Write};

use greenthread::ctx::Context;
use httparse::{EMPTY_HEADER, Header, Response, Status};

use crate::chunked::{Chunked, Piece};
use crate::url::Url;
use greenthread::net::TcpStream;

/// The largest head of an answer, and the largest number of its fields.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;

/// Gets `url` and returns the status. Passes the body to `on_data` piece by piece, without the
/// framing of the transfer. Ends with the context's error when the context ends.
pub(crate) fn get(ctx: &Context, url: &Url, on_data: impl FnMut(&[u8])) -> io::Result<u16> {
    let stream = TcpStream::connect_ctx(ctx, (&*url.host, url.port))?;
    let mut stream = stream.with_ctx(ctx);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.target,
        url.authority,
        env!("CARGO_BIN_NAME"),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(request.as_bytes())?;
    answer(stream, on_data)
}

/// Reads the answer to a GET request on a connection that has no other use.
fn answer(stream: impl Read, on_data: impl FnMut(&[u8])) -> io::Result<u16> {
    let mut source = Source { stream, buffer: vec![0; MAX_HEAD], start: 0, end: 0 };
    loop {
        let (status, length) = source.head()?;
        // 100 Continue and other interim answers precede the final one.
        if !(100..200).contains(&status) {
            return source.body(length, on_data).map(|()| status);
        }
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy)]
enum Length {
    Known(u64),
    Chunked,
    UntilClose,
}

impl Length {
    fn of(status: u16, headers: &[Header<'_>]) -> io::Result<Self> {
        if matches!(status, 100..200 | 204 | 304) {
            return Ok(Self::Known(0));
        }
        let mut found = None;
        for Header { name, value } in headers {
            let length = if name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(malformed("unknown transfer encoding"));
                }
                Self::Chunked
            } else if name.eq_ignore_ascii_case("content-length") {
                let digits = str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let length = digits.and_then(|digits| digits.parse().ok());
                Self::Known(length.ok_or_else(|| malformed("malformed content length"))?)
            } else {
                continue;
            };
            if found.replace(length).is_some() {
                return Err(malformed("more than one length"));
            }
        }
        Ok(found.unwrap_or(Self::UntilClose))
    }
}

/// The connection, with a read buffer.
struct Source<R> {
    stream: R,
    buffer: Vec<u8>,
    /// `buffer[start..end]` was read but is not consumed yet.
    start: usize,
    end: usize,
}

impl<R: Read> Source<R> {
    fn input(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads more, and returns `false` at the end of the stream. The buffer must not be full.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let len = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += len;
        Ok(len > 0)
    }

    /// Reads more like [`fill`](Self::fill), but the end of the stream or a full buffer is an
    /// error.
    fn need(&mut self) -> io::Result<()> {
        if self.input().len() == self.buffer.len() {
            return Err(malformed("the head of the answer is too large"));
        }
        if self.fill()? {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection ended before the answer did"))
    }

    fn head(&mut self) -> io::Result<(u16, Length)> {
        loop {
            let mut headers = [EMPTY_HEADER; MAX_HEADERS];
            let mut response = Response::new(&mut headers);
            let parsed =
                response.parse(self.input()).map_err(|error| malformed(&format!("malformed answer: {error}")))?;
            if let (Status::Complete(len), Some(status)) = (parsed, response.code) {
                let length = Length::of(status, response.headers)?;
                self.start += len;
                return Ok((status, length));
            }
            self.need()?;
        }
    }

    /// Reads the body, and passes it to `on_data`.
    fn body(&mut self, length: Length, mut on_data: impl FnMut(&[u8])) -> io::Result<()> {
        match length {
            Length::Known(mut left) => loop {
                let input = self.input();
                let len = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                on_data(&input[..len]);
                self.start += len;
                left -= len as u64;
                if left == 0 {
                    return Ok(());
                }
                self.need()?;
            },
            Length::UntilClose => loop {
                on_data(self.input());
                self.start = self.end;
                if !self.fill()? {
                    return Ok(());
                }
            },
            Length::Chunked => {
                let mut chunked = Chunked::Size;
                loop {
                    match chunked.next(self.input()).map_err(|_| malformed("malformed chunk"))? {
                        Piece::Data(data) => {
                            on_data(data);
                            self.start += data.len();
                        }
                        Piece::Framing(len) => self.start += len,
                        Piece::End(len) => {
                            self.start += len;
                            return Ok(());
                        }
                        Piece::Partial => self.need()?,
                    }
                }
            }
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
