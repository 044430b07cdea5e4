//! The loop of a connection: read, run the commands, reply.
//!
//! A client may send many requests before it reads a reply. All requests that have arrived are
//! processed, and their replies are sent together, with one read and one write for all of them.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use greenthread::JoinHandle;
use greenthread::ctx::Context;
use greenthread::net::TcpStream;

use crate::Database;
use crate::commands::{self, Call};
use crate::outbox::Outbox;
use crate::pubsub::Subscriptions;
use crate::resp::{Malformed, Parser, Replies};

/// The size of a quiet client's input buffer, which is also the most that a busy client may keep
/// while it sends nothing.
const SMALL: usize = 1024;
const LARGE: usize = 64 * 1024;
/// If there are more bytes of replies than this, they are sent even before the last of the arrived
/// requests is processed.
const FLUSH: usize = 256 * 1024;

/// The server's state for one client.
pub(crate) struct Session<'a> {
    pub(crate) database: &'a Database,
    pub(crate) id: u64,
    pub(crate) name: Vec<u8>,
    /// Replies that have not been sent.
    pub(crate) replies: Replies,
    /// Present from the first SUBSCRIBE on.
    pub(crate) subscriptions: Option<Subscriptions<'a>>,
    /// The client has sent QUIT.
    pub(crate) quit: bool,
    ctx: &'a Context,
    stream: Arc<TcpStream>,
    pusher: Option<JoinHandle<()>>,
}

/// Serves a client until it disconnects or breaks the protocol, or until `signal` ends. If the
/// shutdown then takes too long, `ctx` ends it.
pub(crate) fn serve(database: &Database, signal: &Context, ctx: &Context, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Arc::new(stream);
    let mut session = Session {
        database,
        id: database.accepted.fetch_add(1, Ordering::Relaxed) + 1,
        name: Vec::new(),
        replies: Replies::default(),
        subscriptions: None,
        quit: false,
        ctx,
        stream: Arc::clone(&stream),
        pusher: None,
    };
    let mut input = Input::default();
    let mut parser = Parser::default();
    loop {
        let done = session.answer(&mut input, &mut parser);
        session.flush()?;
        if session.quit {
            return Ok(());
        }
        if let Err(malformed) = done {
            session.replies.error(&malformed);
            return session.flush();
        }
        if !input.read(&mut stream.with_ctx(signal))? {
            return Ok(());
        }
    }
}

impl Session<'_> {
    /// Processes the requests that have arrived.
    fn answer(&mut self, input: &mut Input, parser: &mut Parser) -> Result<(), Malformed> {
        // As in Redis, requests that arrived together see the same time.
        let now = Instant::now();
        let mut commands = 0;
        let result = loop {
            match parser.parse(input.filled(), self.database.limits) {
                Ok(Some(length)) => {
                    commands += 1;
                    commands::run(Call { request: parser.request(input.filled()), session: self, now });
                    parser.clear();
                    input.consume(length);
                }
                Ok(None) => break Ok(()),
                Err(malformed) => break Err(malformed),
            }
            if self.quit || (self.replies.bytes.len() >= FLUSH && self.flush().is_err()) {
                break Ok(());
            }
        };
        self.database.commands.fetch_add(commands, Ordering::Relaxed);
        result
    }

    /// Sends the replies, or passes them to the pusher.
    fn flush(&mut self) -> io::Result<()> {
        let bytes = &mut self.replies.bytes;
        if bytes.is_empty() {
            return Ok(());
        }
        match &self.subscriptions {
            Some(subscriptions) => {
                subscriptions.outbox().wait_for_room();
                subscriptions.outbox().reply(bytes);
            }
            None => self.stream.with_ctx(self.ctx).write_all(bytes)?,
        }
        bytes.clear();
        bytes.shrink_to(LARGE);
        Ok(())
    }
}

impl<'a> Session<'a> {
    /// Returns the subscriptions; from the first call on, all replies go through the outbox.
    pub(crate) fn subscribe(&mut self) -> &mut Subscriptions<'a> {
        let Self { database, id, replies, ctx, stream, pusher, subscriptions, .. } = self;
        let subscriptions = subscriptions.get_or_insert_with(|| {
            let outbox = Arc::new(Outbox::new(Arc::clone(stream), database.outbox));
            let (own, ctx) = (Arc::clone(&outbox), ctx.clone());
            *pusher = Some(greenthread::spawn(move || own.push(&ctx)));
            Subscriptions::new(&database.broker, *id, outbox)
        });
        // These replies come first.
        if !replies.bytes.is_empty() {
            subscriptions.outbox().reply(&std::mem::take(&mut replies.bytes));
        }
        subscriptions
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(subscriptions) = self.subscriptions.take() {
            subscriptions.outbox().end();
        }
        if let Some(pusher) = self.pusher.take() {
            // If the pusher panicked, the panic hook has printed the panic.
            let _ = pusher.join();
        }
    }
}

/// The bytes that have arrived but are not processed yet.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Input {
    fn filled(&self) -> &[u8] {
        &self.bytes[self.begin..self.end]
    }

    fn consume(&mut self, count: usize) {
        self.begin += count;
    }

    /// Reads more, and returns `false` at the end of the stream.
    fn read(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        self.make_room();
        loop {
            match stream.read(&mut self.bytes[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves the remaining bytes to the front, and doubles the memory if it is full. The pieces
    /// grow with the request, so each byte is moved only a few times, not once per read.
    fn make_room(&mut self) {
        let was_full = self.end == self.bytes.len();
        if self.begin > 0 {
            self.bytes.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        if self.end == 0 && self.bytes.len() > LARGE {
            self.bytes = Vec::new();
        }
        if self.bytes.is_empty() {
            self.bytes.resize(SMALL, 0);
        } else if was_full && (self.bytes.len() < LARGE || self.end > self.bytes.len() / 2) {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }
}
