//! The messages and replies that are waiting to be sent to a subscriber.
//!
//! Messages can arrive from other connections at any time, and a publisher must not wait for a
//! subscriber that does not read. So a connection that subscribes gets a second goroutine, the
//! pusher, and everything sent to the subscriber goes through its outbox. A publisher only appends.
//! A subscriber that is so slow that its outbox is full is disconnected, because it has lost a
//! message and must notice the loss.
//!
//! The replies to the subscriber's own commands also go through the outbox, which keeps them in
//! order with the messages. But the subscriber's own goroutine, unlike a publisher, can wait until
//! there is room.

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
    /// Notified when something has been removed, or at the end.
    emptied: Condvar,
    limit: usize,
    stream: Arc<TcpStream>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// No more messages or replies are accepted.
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

    /// Appends replies of any size; call [`wait_for_room`](Self::wait_for_room) first.
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

    /// Accepts nothing more. The current contents of the outbox are still sent.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.tell_the_end();
    }

    fn tell_the_end(&self) {
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Runs the pusher, which sends everything that is added to the outbox, until the end.
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
