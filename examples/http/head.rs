//! The head of a request: the output of `httparse`, checked against the rules that keep requests
//! apart.
//!
//! If two readers disagree on where a request ends, an attacker can hide a second request in the
//! body of the first. So there is only one way to give a length, and everything else is refused
//! (RFC 9112, 6.3): both Content-Length and Transfer-Encoding, either of them twice, a
//! Content-Length with anything but digits, a coding other than `chunked`, and any coding in
//! HTTP/1.0.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::status::Status;

/// The largest number of header fields of a request, and the usual largest number.
///
/// The fields are read into an array on the stack. An array with room for the largest number would
/// grow most goroutines' stacks to a second page. A stack keeps its pages, so this would cost 4 KiB
/// for each connection, even when the connection is quiet later.
const MAX_HEADERS: usize = 64;
const USUAL_HEADERS: usize = 16;

/// The methods that the router distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// The length of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Known(u64),
    Chunked,
}

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: Method,
    /// The path and the query, even if the target is in absolute form.
    pub(crate) target: &'a str,
    /// The request is in HTTP/1.0, not 1.1.
    pub(crate) old: bool,
    pub(crate) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects: bool,
    pub(crate) body: Length,
    /// The number of bytes of the input that the head takes.
    pub(crate) len: usize,
}

/// Parses the head at the front of `input`; returns `None` if it is not complete.
///
/// An input that is refused stays refused, whatever follows it, so the answer does not depend on
/// how the bytes arrive.
pub(crate) fn parse(input: &[u8]) -> Result<Option<Head<'_>>, Status> {
    match parse_up_to::<USUAL_HEADERS>(input) {
        Err(Status::HeaderFieldsTooLarge) => parse_up_to::<MAX_HEADERS>(input),
        parsed => parsed,
    }
}

/// Not inlined, so that the larger array exists only in this function's own frame.
#[inline(never)]
fn parse_up_to<const COUNT: usize>(input: &[u8]) -> Result<Option<Head<'_>>, Status> {
    let mut headers = [const { MaybeUninit::uninit() }; COUNT];
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(input, &mut headers) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Status::HeaderFieldsTooLarge),
        Err(httparse::Error::Version) => return Err(Status::VersionNotSupported),
        Err(_) => return Err(Status::BadRequest),
    };
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Status::BadRequest);
    };
    let old = version == 0;
    let fields = Fields::read(request.headers)?;
    if fields.hosts > 1 || (fields.hosts == 0 && !old) {
        return Err(Status::BadRequest);
    }
    let body = match (fields.length, fields.chunked) {
        (Some(_), true) => return Err(Status::BadRequest),
        (None, true) if old => return Err(Status::BadRequest),
        (None, true) => Length::Chunked,
        (length, false) => Length::Known(length.unwrap_or(0)),
    };
    Ok(Some(Head {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => Method::Other,
        },
        target: path(target).ok_or(Status::BadRequest)?,
        old,
        keep_alive: !fields.close && (!old || fields.keep_alive),
        expects: fields.expects && !old,
        body,
        len,
    }))
}

/// Returns the path and the query of a target in origin form, in absolute form, or `*`.
fn path(target: &str) -> Option<&str> {
    if target.starts_with('/') || target == "*" {
        return Some(target);
    }
    let rest = target.strip_prefix("http://")?;
    Some(rest.find('/').map_or("/", |slash| &rest[slash..]))
}

/// The header fields that the server itself uses.
#[derive(Default)]
struct Fields {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
}

impl Fields {
    fn read(headers: &[Header<'_>]) -> Result<Self, Status> {
        let mut fields = Self::default();
        for Header { name, value } in headers {
            // Most fields are none of these, and their lengths show this at once.
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => fields.hosts += 1,
                6 if name.eq_ignore_ascii_case("expect") => {
                    if !value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Status::ExpectationFailed);
                    }
                    fields.expects = true;
                }
                10 if name.eq_ignore_ascii_case("connection") => fields.connection(value),
                14 if name.eq_ignore_ascii_case("content-length") => fields.length(value)?,
                17 if name.eq_ignore_ascii_case("transfer-encoding") => fields.coding(value)?,
                _ => {}
            }
        }
        Ok(fields)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Status> {
        // `u64::from_str` would accept a sign.
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Status::BadRequest);
        }
        // A length that overflows the number also exceeds the limit.
        let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        match self.length.replace(value.iter().fold(0, add)) {
            Some(_) => Err(Status::BadRequest),
            None => Ok(()),
        }
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Status> {
        if self.chunked {
            return Err(Status::BadRequest);
        }
        self.chunked = value.eq_ignore_ascii_case(b"chunked");
        if self.chunked { Ok(()) } else { Err(Status::NotImplemented) }
    }
}
