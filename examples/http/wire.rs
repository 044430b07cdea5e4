//! The socket of a connection, with its time limits and its shutdown.
//!
//! # Who uses the socket
//!
//! The connection reads and writes. When the server shuts down, other goroutines run two callbacks:
//! the *drain* (no further request) and later the *abort* (nothing further at all). Each callback
//! records itself in `end`, then wakes a reader with a read deadline in the past. The connection
//! sets its own deadline first, then checks `end`. So whichever of the two deadlines is set last,
//! either the read fails at once or the connection has seen the record. The reason is that both
//! sides store first and then load what the other side stores, and that all of these operations are
//! sequentially consistent.
//!
//! A read that fails before the connection's own deadline was woken for such a record. It is tried
//! again if the record does not apply to it: during a drain, the body of a request that has already
//! begun may still arrive.
//!
//! # Deadlines that are rarely set
//!
//! A deadline needs a timer, and a request takes only a few microseconds. So a deadline that is up
//! to an eighth too early stays as it is. A connection that is never idle for a long time then sets
//! a deadline only every few seconds. A limit of 8 s is really a limit of 7 to 8 s.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use greenthread::ctx::{Context, Stop};

use crate::framer::Framer;
use greenthread::net::TcpStream;

const OPEN: u8 = 0;
const DRAIN: u8 = 1;
const ABORT: u8 = 2;

/// The time that an aborted connection has to write its last answer, and the time that a closing
/// connection still listens.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The outcome of a read.
pub(crate) enum Got {
    /// This many bytes arrived; 0 if the client will send no more.
    Bytes(usize),
    /// Nothing arrived in time.
    TimedOut,
    /// The server is shutting down.
    Ending,
}

/// A connection's socket; see the [module](self).
pub(crate) struct Wire {
    socket: Arc<Socket>,
    /// The deadlines of the socket, unless a callback has set them.
    read_by: Option<Instant>,
    write_by: Option<Instant>,
    callbacks: [Stop; 2],
}

impl Wire {
    /// Creates a wire that drains when `drain` ends, and aborts when `abort` ends.
    pub(crate) fn new(stream: TcpStream, drain: &Context, abort: &Context) -> Self {
        let socket = Arc::new(Socket { stream, end: AtomicU8::new(OPEN) });
        let callbacks = [(drain, DRAIN), (abort, ABORT)].map(|(ctx, how)| {
            let socket = Arc::clone(&socket);
            ctx.after_func(move || socket.end(how))
        });
        Self { socket, read_by: None, write_by: None, callbacks }
    }

    /// Waits for bytes until `limit` after `since`. If `may_drain` is `true`, a drain also ends the
    /// wait.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        since: Instant,
        limit: Duration,
        may_drain: bool,
    ) -> io::Result<Got> {
        let by = since + limit;
        loop {
            if !is_near(self.read_by, by, limit) {
                self.socket.stream.set_read_deadline(Some(by))?;
                self.read_by = Some(by);
            }
            if self.socket.end.load(Ordering::SeqCst) >= if may_drain { DRAIN } else { ABORT } {
                return Ok(Got::Ending);
            }
            match (&self.socket.stream).read(buffer) {
                Ok(len) => return Ok(Got::Bytes(len)),
                Err(error) if error.kind() != ErrorKind::TimedOut => return Err(error),
                Err(_) if self.read_by.is_some_and(|by| by <= Instant::now()) => return Ok(Got::TimedOut),
                // The next iteration finds out why the read was woken.
                Err(_) => self.read_by = None,
            }
        }
    }

    /// Writes all of the bytes within `limit`.
    pub(crate) fn write_all(&mut self, bytes: &[u8], limit: Duration) -> io::Result<()> {
        let by = Instant::now() + limit;
        if !is_near(self.write_by, by, limit) {
            self.socket.stream.set_write_deadline(Some(by))?;
            self.write_by = Some(by);
            if self.socket.end.load(Ordering::SeqCst) == ABORT {
                self.socket.hurry();
            }
        }
        (&self.socket.stream).write_all(bytes)
    }

    /// Runs `work` under a child of `ctx` that also ends when the client disconnects or shuts down
    /// its sending side (the two look the same). Bytes that the client sends during the work go
    /// into `framer`; once the framer is full, the watch ends.
    pub(crate) fn watched<T>(&mut self, ctx: &Context, framer: &mut Framer, work: impl FnOnce(&Context) -> T) -> T {
        let (ctx, cancel) = ctx.with_cancel_cause();
        let socket = &*self.socket;
        let over = AtomicBool::new(false);
        self.read_by = None;
        greenthread::scope(|s| {
            s.spawn(|| {
                if socket.is_left(framer, &over) {
                    cancel.cancel("the client disconnected");
                }
            });
            // Ends the watch even if `work` panics, because the scope waits for the watcher.
            let _end_of_watch = EndOfWatch { socket, over: &over };
            work(&ctx)
        })
    }

    /// Shuts down the sending side, and waits briefly for the client to notice. Closing a socket
    /// with unread bytes resets the connection, and a reset may overtake the answer.
    pub(crate) fn linger(&mut self) -> io::Result<()> {
        self.socket.stream.shutdown(Shutdown::Write)?;
        let mut ignored = vec![0; 4096];
        let now = Instant::now();
        while let Got::Bytes(1..) = self.read(&mut ignored, now, LAST_WORDS, false)? {}
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for callback in &self.callbacks {
            callback.stop();
        }
    }
}

/// Returns `true` if a deadline at `armed` is close enough to a deadline at `by`.
fn is_near(armed: Option<Instant>, by: Instant, limit: Duration) -> bool {
    armed.is_some_and(|armed| armed <= by && by - armed <= limit / 8)
}

/// The state that the connection, the callbacks, and the watcher share.
struct Socket {
    stream: TcpStream,
    /// `OPEN`, `DRAIN`, or `ABORT`; it only grows.
    end: AtomicU8,
}

impl Socket {
    /// Runs a drain or an abort, from its callback.
    fn end(&self, how: u8) {
        self.end.fetch_max(how, Ordering::SeqCst);
        self.wake_reader();
        if how == ABORT {
            self.hurry();
        }
    }

    // Only a closed socket refuses a deadline, and closing it also wakes every waiter.
    fn wake_reader(&self) {
        let _ = self.stream.set_read_deadline(Some(Instant::now()));
    }

    fn hurry(&self) {
        let _ = self.stream.set_write_deadline(Some(Instant::now() + LAST_WORDS));
    }

    /// Waits until the client has disconnected and returns `true`, or returns `false` when the
    /// watch ends.
    fn is_left(&self, framer: &mut Framer, over: &AtomicBool) -> bool {
        loop {
            if self.stream.set_read_deadline(None).is_err() {
                return true;
            }
            if over.load(Ordering::SeqCst) {
                return false;
            }
            let space = framer.space();
            if space.is_empty() {
                return false;
            }
            match (&self.stream).read(space) {
                Ok(0) => return true,
                Ok(len) => framer.filled(len),
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(_) => return true,
            }
        }
    }
}

/// Ends the watch when it is dropped.
struct EndOfWatch<'a> {
    socket: &'a Socket,
    over: &'a AtomicBool,
}

impl Drop for EndOfWatch<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.socket.wake_reader();
    }
}
