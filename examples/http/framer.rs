//! Splits the bytes of a client into requests. The framer does no I/O: the connection fills the
//! buffer, and asks for the requests in it.
//!
//! One buffer receives the bytes, and a complete head is parsed in place. A body is copied out of
//! the buffer, so that the buffer never needs more room than a head. All memory is reused for the
//! next request.

use crate::chunked::{Chunked, Piece};
use crate::head::{self, Head, Length, Method};
use crate::status::Status;

/// The initial buffer, enough for a client that sends one small request at a time. It doubles each
/// time a read fills it, up to the size of sixteen such requests, and grows beyond that only when a
/// head needs more.
const INITIAL: usize = 1024;
const PIPELINE: usize = 2048;

/// A body with more capacity than this is not kept for the next request.
const KEPT_BODY: usize = 64 * 1024;

/// The limits on what a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest head, and the largest trailer section, in bytes.
    pub(crate) head: usize,
    /// The largest body, in bytes.
    pub(crate) body: usize,
}

/// A complete request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: String,
    /// The request is in HTTP/1.0, not 1.1.
    pub(crate) old: bool,
    pub(crate) keep_alive: bool,
    pub(crate) body: Vec<u8>,
}

/// The next action for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Answer [`Framer::request`].
    Request,
    /// Tell the waiting client to send the body. The request has no body yet.
    Continue,
    /// Read more of this part.
    More(Part),
}

/// The part of a request that a read would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The first byte of a request.
    First,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

enum State {
    Head,
    Known(usize),
    Chunked(Chunked),
}

/// The splitter of requests; see the [module](self).
pub(crate) struct Framer {
    limits: Limits,
    input: Vec<u8>,
    /// `input[start..end]` was read but is not consumed yet.
    start: usize,
    end: usize,
    state: State,
    expects: bool,
    request: Request,
}

impl Framer {
    pub(crate) fn new(limits: Limits) -> Self {
        let request =
            Request { method: Method::Other, target: String::new(), old: false, keep_alive: false, body: Vec::new() };
        let input = vec![0; INITIAL.min(limits.head)];
        Self { limits, input, start: 0, end: 0, state: State::Head, expects: false, request }
    }

    /// Returns the space to read into. It is empty only if the client has sent a whole buffer
    /// ahead.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        let was_filled = self.end == self.input.len();
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if was_filled && self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let full = self.end == self.input.len();
        let long_body = matches!(self.state, State::Known(left) if left > self.input.len());
        let pipeline = was_filled && self.input.len() < PIPELINE;
        if full || pipeline || long_body {
            let wanted = if long_body { self.limits.head } else { self.input.len() * 2 };
            self.input.resize(wanted.min(self.limits.head), 0);
        }
        &mut self.input[self.end..]
    }

    /// Records that `len` bytes were read into the [`space`](Self::space).
    pub(crate) fn filled(&mut self, len: usize) {
        self.end += len;
    }

    /// Returns the request that [`next`](Self::next) announced.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the next action. After an error, it is unknown where the next request begins.
    pub(crate) fn next(&mut self) -> Result<Next, Status> {
        let part = if matches!(self.state, State::Head) { self.head()? } else { None };
        if let Some(part) = part {
            return Ok(Next::More(part));
        }
        if self.body()? {
            self.state = State::Head;
            self.expects = false;
            return Ok(Next::Request);
        }
        if std::mem::take(&mut self.expects) {
            return Ok(Next::Continue);
        }
        Ok(Next::More(Part::Body))
    }

    /// Parses a head, or returns what is missing.
    fn head(&mut self) -> Result<Option<Part>, Status> {
        let input = &self.input[self.start..self.end];
        if input.is_empty() {
            return Ok(Some(Part::First));
        }
        let Some(head) = head::parse(input)? else {
            return if input.len() < self.limits.head {
                Ok(Some(Part::Head))
            } else {
                Err(Status::HeaderFieldsTooLarge)
            };
        };
        let Head { method, target, old, keep_alive, expects, body, len } = head;
        self.state = match body {
            Length::Chunked => State::Chunked(Chunked::Size),
            Length::Known(length) => match usize::try_from(length) {
                Ok(length) if length <= self.limits.body => State::Known(length),
                _ => return Err(Status::ContentTooLarge),
            },
        };
        let request = &mut self.request;
        (request.method, request.old, request.keep_alive) = (method, old, keep_alive);
        request.target.clear();
        request.target.push_str(target);
        request.body.clear();
        request.body.shrink_to(KEPT_BODY);
        self.expects = expects;
        self.start += len;
        Ok(None)
    }

    /// Takes the available part of the body, and returns `true` if the body is complete.
    fn body(&mut self) -> Result<bool, Status> {
        let body = &mut self.request.body;
        loop {
            let input = &self.input[self.start..self.end];
            match &mut self.state {
                State::Head => unreachable!("the head was read"),
                State::Known(left) => {
                    let taken = input.len().min(*left);
                    body.extend_from_slice(&input[..taken]);
                    self.start += taken;
                    *left -= taken;
                    return Ok(*left == 0);
                }
                State::Chunked(chunked) => match chunked.next(input).map_err(|_| Status::BadRequest)? {
                    Piece::Data(data) if data.len() > self.limits.body - body.len() => {
                        return Err(Status::ContentTooLarge);
                    }
                    Piece::Data(data) => {
                        body.extend_from_slice(data);
                        self.start += data.len();
                    }
                    Piece::Framing(len) => self.start += len,
                    Piece::End(len) => {
                        self.start += len;
                        return Ok(true);
                    }
                    Piece::Partial if input.len() == self.limits.head => return Err(Status::HeaderFieldsTooLarge),
                    Piece::Partial => return Ok(false),
                },
            }
        }
    }
}
