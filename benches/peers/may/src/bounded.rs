//! A bounded channel, which may does not have: its unbounded one, and a semaphore that counts the
//! free slots.

use std::sync::Arc;
use std::sync::mpsc::{RecvError, SendError};

use may::sync::{Semphore, mpsc};

#[derive(Clone)]
pub(crate) struct Sender<T> {
    tx: mpsc::Sender<T>,
    free: Arc<Semphore>,
}

/// The channel's only receiver.
pub(crate) struct Receiver<T> {
    /// Taken by `drop`.
    rx: Option<mpsc::Receiver<T>>,
    free: Arc<Semphore>,
}

pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = mpsc::channel();
    let free = Arc::new(Semphore::new(capacity));
    (Sender { tx, free: Arc::clone(&free) }, Receiver { rx: Some(rx), free })
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.free.wait();
        self.tx.send(value)
    }
}

impl<T> Receiver<T> {
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        let value = self.rx.as_ref().expect("only `drop` takes it").recv()?;
        self.free.post();
        Ok(value)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.rx = None;
        // A sender that waits for a slot now finds that the channel is closed. No channel here has
        // more than one sender.
        self.free.post();
    }
}
