//! Answers, as bytes.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

use crate::status::Status;

/// The content of an answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: Status,
    pub(crate) content_type: &'static str,
    /// The methods that are allowed, if the answer refuses the request's method.
    pub(crate) allow: Option<&'static str>,
    pub(crate) body: &'a [u8],
}

/// The form of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// The answer is in HTTP/1.0.
    pub(crate) old: bool,
    /// The body is left out: the request was HEAD.
    pub(crate) head_only: bool,
    /// The connection ends with this answer.
    pub(crate) close: bool,
}

impl<'a> Answer<'a> {
    /// Returns an answer with status 200.
    pub(crate) fn ok(content_type: &'static str, body: &'a [u8]) -> Self {
        Self { status: Status::Ok, content_type, allow: None, body }
    }

    /// Returns an answer whose body only repeats the status.
    pub(crate) fn plain(status: Status) -> Self {
        Self { status, content_type: "text/plain", allow: None, body: status.line().as_bytes() }
    }

    /// Returns an answer that refuses the method of the request.
    pub(crate) fn wrong_method(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::plain(Status::MethodNotAllowed) }
    }

    /// Appends the answer to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, manner: Manner, date: &Date) {
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        put(if manner.old { "HTTP/1.0 " } else { "HTTP/1.1 " });
        put(self.status.line());
        put("\r\nContent-Type: ");
        put(self.content_type);
        if let Some(allow) = self.allow {
            put("\r\nAllow: ");
            put(allow);
        }
        // The default is not written: an HTTP/1.1 connection stays open, and an HTTP/1.0 connection
        // does not.
        match (manner.close, manner.old) {
            (true, false) => put("\r\nConnection: close"),
            (false, true) => put("\r\nConnection: keep-alive"),
            _ => {}
        }
        put("\r\nDate: ");
        out.extend_from_slice(&date.text);
        write!(out, "\r\nContent-Length: {}\r\n\r\n", self.body.len()).expect("a vector takes everything");
        if !manner.head_only {
            out.extend_from_slice(self.body);
        }
    }
}

/// The current date, formatted again when the second changes.
///
/// Each connection has its own date, and no goroutine updates it. So connections share no cache
/// line, and an idle server does not wake up every second.
pub(crate) struct Date {
    second: u64,
    text: [u8; 29],
}

impl Date {
    /// Creates a date that must be [refreshed](Self::refresh) before use.
    pub(crate) fn new() -> Self {
        Self { second: u64::MAX, text: [b' '; 29] }
    }

    pub(crate) fn refresh(&mut self) {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.second {
            self.second = second;
            write!(&mut self.text[..], "{}", HttpDate::from(now)).expect("every date is 29 characters long");
        }
    }
}
