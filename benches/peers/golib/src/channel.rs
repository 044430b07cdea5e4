//! go-lib's channels and goroutines behind the interface that the shared workloads use: results,
//! iterators, handles.

use std::convert::Infallible;
use std::sync::Arc;

use go_lib::chan::{self, chan};
use go_lib::go;

/// The channel is closed and empty.
#[derive(Debug, PartialEq)]
pub(crate) struct Closed;

pub(crate) struct Sender<T: Send + 'static> {
    tx: chan::Sender<T>,
    open: Arc<Open<T>>,
}

/// Shared by all senders of a channel, so that the last one closes it. go-lib does not do this,
/// contrary to its README.
struct Open<T: Send + 'static>(chan::Sender<T>);

pub(crate) struct Receiver<T>(pub(crate) chan::Receiver<T>);

/// An iterator over the values of a receiver.
pub(crate) struct Values<T>(chan::Receiver<T>);

/// The receiving end of a goroutine's result.
pub(crate) struct JoinHandle<T>(chan::Receiver<T>);

pub(crate) fn bounded<T: Send + 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = chan(capacity);
    let open = Arc::new(Open(tx.clone()));
    (Sender { tx, open }, Receiver(rx))
}

pub(crate) fn unbuffered<T: Send + 'static>() -> (Sender<T>, Receiver<T>) {
    bounded(0)
}

/// Spawns a goroutine and returns a handle, which `go!` does not. go-lib makes its handles like
/// this for the goroutines of a `scope`.
pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let (tx, rx) = chan(1);
    go!(move || tx.send(f()));
    JoinHandle(rx)
}

impl<T: Send + 'static> Drop for Open<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T: Send + 'static> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone(), open: Arc::clone(&self.open) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> Sender<T> {
    /// Sends a value.
    ///
    /// Without receivers it waits forever, as in Go.
    pub(crate) fn send(&self, value: T) -> Result<(), Infallible> {
        self.tx.send(value);
        Ok(())
    }
}

impl<T: Send + 'static> Receiver<T> {
    pub(crate) fn recv(&self) -> Result<T, Closed> {
        self.0.recv().ok_or(Closed)
    }
}

impl<T: Send + 'static> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = Values<T>;

    fn into_iter(self) -> Values<T> {
        Values(self.0)
    }
}

impl<T: Send + 'static> Iterator for Values<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv()
    }
}

impl<T: Send + 'static> JoinHandle<T> {
    pub(crate) fn join(self) -> Result<T, Closed> {
        self.0.recv().ok_or(Closed)
    }
}
