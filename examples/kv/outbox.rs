//! What a subscriber has yet to be sent.
//!
//! Messages come from other connections, at any time, and a publisher must not wait for a
//! subscriber that does not read. So a connection that subscribes gets a second goroutine, the
//! pusher, and everything that it is sent goes through its outbox. A publisher only appends. A
//! subscriber that is so slow that its outbox is full is disconnected: it has lost a message, and
//! must notice.
//!
//! The subscriber's own replies take the same way, which keeps their places among the messages; but
//! its own goroutine can wait until there is room.

use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::Arc;

use greenthread::ctx::Context;
use greenthread::net::TcpStream;
use greenthread::sync::{Condvar, Mutex};

pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Notified when there is something to send, or at the end.
    filled: Condvar,
    /// Notified when something has been taken out, or at the end.
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

    /// Appends a message without waiting, or disconnects the subscriber if there is no room.
    /// Returns `true` if it was appended.
    pub(crate) fn publish(&self, message: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.ended {
            return false;
        }
        if !state.bytes.is_empty() && state.bytes.len() + message.len() > self.limit {
            *state = State { bytes: Vec::new(), ended: true };
            drop(state);
            self.tell_the_end();
            // Both goroutines of the connection may be waiting for the client, and nothing else can
            // end their waits.
            let _ = self.stream.shutdown(Shutdown::Both);
            return false;
        }
        self.append(&mut state, message);
        true
    }

    /// Appends replies of any number; call [`wait_for_room`](Self::wait_for_room) first.
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

    /// Waits until there is room, or until the end.
    pub(crate) fn wait_for_room(&self) {
        self.emptied.wait_while(&mut self.state.lock(), |state| !state.ended && state.bytes.len() >= self.limit);
    }

    /// Accepts nothing more. What is in the outbox is still sent.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.tell_the_end();
    }

    fn tell_the_end(&self) {
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Runs the pusher: sends what comes in, until the end.
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
