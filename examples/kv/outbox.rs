//! What a subscriber is still to be sent.
//!
//! Messages come from other connections, at any time, and nobody who publishes may wait for a subscriber that does not
//! read. So a connection that subscribes gets a second goroutine, the pusher, and all that it is sent goes through its
//! outbox. Who publishes only appends. If a subscriber is so slow that the outbox is full it is cut off: it has lost a
//! message, and that it notices.
//!
//! The subscriber's own replies take the same way, so that they keep their places among the messages; but its own
//! goroutine can wait until there is room.

use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::Arc;

use greenthread::ctx::Context;
use greenthread::net::TcpStream;
use greenthread::sync::{Condvar, Mutex};

pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Something to send has come, or the end.
    filled: Condvar,
    /// Something has been taken out, or the end.
    emptied: Condvar,
    limit: usize,
    stream: Arc<TcpStream>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Nothing more comes in.
    ended: bool,
}

impl Outbox {
    pub(crate) fn new(stream: Arc<TcpStream>, limit: usize) -> Self {
        let state = Mutex::new(State::default());
        Self { state, filled: Condvar::new(), emptied: Condvar::new(), limit, stream }
    }

    /// Appends a message, or cuts the subscriber off if there is no room. Never waits for it. Whether it was appended.
    pub(crate) fn publish(&self, message: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.ended {
            return false;
        }
        if !state.bytes.is_empty() && state.bytes.len() + message.len() > self.limit {
            *state = State { bytes: Vec::new(), ended: true };
            drop(state);
            self.tell_the_end();
            // Both goroutines of the connection may be waiting for the client. It has no other end to be told of.
            let _ = self.stream.shutdown(Shutdown::Both);
            return false;
        }
        self.append(&mut state, message);
        true
    }

    /// Appends replies, however many: after [`wait_for_room`](Self::wait_for_room).
    pub(crate) fn reply(&self, replies: &[u8]) {
        let mut state = self.state.lock();
        if !state.ended {
            self.append(&mut state, replies);
        }
    }

    fn append(&self, state: &mut State, bytes: &[u8]) {
        state.bytes.extend_from_slice(bytes);
        self.filled.notify_one();
    }

    /// Waits until there is room, or the end has come.
    pub(crate) fn wait_for_room(&self) {
        self.emptied.wait_while(&mut self.state.lock(), |state| !state.ended && state.bytes.len() >= self.limit);
    }

    /// Lets nothing in any more. What is in is still sent.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.tell_the_end();
    }

    fn tell_the_end(&self) {
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// The pusher: sends what comes in, until the end.
    pub(crate) fn push(&self, ctx: &Context) {
        if self.push_all(ctx).is_err() {
            *self.state.lock() = State { bytes: Vec::new(), ended: true };
            self.tell_the_end();
        }
    }

    fn push_all(&self, ctx: &Context) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let mut state = self.state.lock();
            self.filled.wait_while(&mut state, |state| state.bytes.is_empty() && !state.ended);
            if state.bytes.is_empty() {
                return Ok(());
            }
            std::mem::swap(&mut state.bytes, &mut bytes);
            drop(state);
            self.emptied.notify_all();
            self.stream.with_ctx(ctx).write_all(&bytes)?;
            bytes.clear();
            bytes.shrink_to(16 * 1024);
        }
    }
}
