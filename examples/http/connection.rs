//! A connection: reads requests and writes answers until one side ends it.
//!
//! Answers collect in a buffer. The buffer is written when no complete request is left, right
//! before a wait. So a client that sends sixteen requests at once gets sixteen answers at once.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use greenthread::ctx::Context;

use crate::answer::{Answer, Date, Manner};
use crate::framer::{Framer, Limits, Next, Part};
use crate::head::Method;
use crate::routes::{self, Route};
use crate::status::Status;
use crate::wire::{Got, Wire};
use greenthread::net::TcpStream;

/// The number of bytes of answers at which the buffer is written even if there are more requests,
/// so that the client does not wait too long.
const ENOUGH: usize = 64 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The time limits for a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) limits: Limits,
    /// From one request to the next.
    pub(crate) idle: Duration,
    /// For a head, from its first byte.
    pub(crate) head: Duration,
    /// For a body, from the end of the head.
    pub(crate) body: Duration,
    /// Until the client has taken the answers.
    pub(crate) write: Duration,
}

/// Serves a connection. `ctx` is the connection's own context; when `drain` ends, the current
/// request is the last.
pub(crate) fn serve(ctx: &Context, drain: &Context, stream: TcpStream, patience: &Patience) {
    let connection = Connection {
        ctx,
        drain,
        patience,
        wire: Wire::new(stream, drain, ctx),
        framer: Framer::new(patience.limits),
        answers: Vec::new(),
        date: Date::new(),
        part: Part::First,
        since: Instant::now(),
    };
    // An error here means that the client cannot be reached anymore, which does not affect other
    // connections.
    let _ = connection.run();
}

struct Connection<'a> {
    ctx: &'a Context,
    drain: &'a Context,
    patience: &'a Patience,
    wire: Wire,
    framer: Framer,
    /// The answers that have not been written yet.
    answers: Vec<u8>,
    date: Date,
    /// The part that the last read was for, and the time at which that part began.
    part: Part,
    since: Instant,
}

impl Connection<'_> {
    fn run(mut self) -> io::Result<()> {
        self.date.refresh();
        loop {
            let goes_on = match self.framer.next() {
                Ok(Next::Request) => self.respond()?,
                Ok(Next::Continue) => self.invite(),
                Ok(Next::More(part)) => match self.read(part)? {
                    Got::Bytes(1..) => true,
                    _ if part == Part::First => return Ok(()),
                    Got::Bytes(0) => self.refuse(Status::BadRequest),
                    Got::TimedOut => self.refuse(Status::RequestTimeout),
                    Got::Ending => self.refuse(Status::ServiceUnavailable),
                },
                Err(status) => self.refuse(status),
            };
            if !goes_on {
                self.flush()?;
                return self.wire.linger();
            }
            if self.answers.len() >= ENOUGH {
                self.flush()?;
            }
        }
    }

    /// Waits for more input from the client.
    fn read(&mut self, part: Part) -> io::Result<Got> {
        self.flush()?;
        if part != self.part || part == Part::First {
            (self.part, self.since) = (part, Instant::now());
        }
        let limit = match part {
            Part::First => self.patience.idle,
            Part::Head => self.patience.head,
            Part::Body => self.patience.body,
        };
        let got = self.wire.read(self.framer.space(), self.since, limit, part == Part::First)?;
        if let Got::Bytes(len) = got {
            self.framer.filled(len);
        }
        self.date.refresh();
        Ok(got)
    }

    /// Answers the request, and returns `false` if it was the last.
    fn respond(&mut self) -> io::Result<bool> {
        self.part = Part::First;
        let mut manner = self.manner();
        match routes::find(self.framer.request()) {
            Route::Answer(answer) => answer.write(&mut self.answers, manner, &self.date),
            Route::Sleep(duration) => {
                // The client should get the earlier answers now.
                self.flush()?;
                let slept = self.wire.watched(self.ctx, &mut self.framer, |ctx| {
                    ctx.sleep(duration).inspect_err(|error| {
                        let why = ctx.cause().map_or(error.to_string(), |cause| cause.to_string());
                        eprintln!("http: /slow?ms={} is canceled: {why}", duration.as_millis());
                    })
                });
                self.date.refresh();
                // The drain may have begun during the sleep.
                manner.close |= self.is_draining() || slept.is_err();
                let text = format!("slept for {} ms\n", duration.as_millis());
                let answer = match slept {
                    Ok(()) => Answer::ok("text/plain", text.as_bytes()),
                    Err(_) => Answer::plain(Status::ServiceUnavailable),
                };
                answer.write(&mut self.answers, manner, &self.date);
            }
        }
        Ok(!manner.close)
    }

    /// Returns `true` if the answer must be the last. The context knows about the drain before the
    /// wire does, because the callback of the wire runs on its own goroutine.
    fn is_draining(&self) -> bool {
        self.drain.err().is_some()
    }

    fn manner(&self) -> Manner {
        let request = self.framer.request();
        Manner {
            old: request.old,
            head_only: request.method == Method::Head,
            close: !request.keep_alive || self.is_draining(),
        }
    }

    /// Invites a client that waits for `100 Continue` to send the body. If the answer is an error
    /// in any case, writes that answer instead and returns `false`.
    fn invite(&mut self) -> bool {
        let manner = Manner { close: true, ..self.manner() };
        match routes::find(self.framer.request()) {
            Route::Answer(answer) if answer.status != Status::Ok => {
                answer.write(&mut self.answers, manner, &self.date);
                false
            }
            _ => {
                self.answers.extend_from_slice(CONTINUE);
                true
            }
        }
    }

    /// Sends an error as the last answer; always returns `false`.
    fn refuse(&mut self, status: Status) -> bool {
        let manner = Manner { old: false, head_only: false, close: true };
        Answer::plain(status).write(&mut self.answers, manner, &self.date);
        false
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.answers.is_empty() {
            return Ok(());
        }
        let written = self.wire.write_all(&self.answers, self.patience.write);
        // One large answer must not occupy memory for as long as the connection lives.
        if self.answers.capacity() > 2 * ENOUGH {
            drop(mem::take(&mut self.answers));
        }
        self.answers.clear();
        written
    }
}
