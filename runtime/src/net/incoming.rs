//! Connections, one after the other.

use std::io;
use std::iter::FusedIterator;

use super::tcp::{TcpListener, TcpStream};

/// The connections that a listener accepts: what `incoming` returns. It never ends; when the listener is closed, or its deadline
/// has passed, it gives the error each time.
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are used"]
pub struct Incoming<'a, L>(&'a L);

impl<'a, L> Incoming<'a, L> {
    pub(super) fn new(listener: &'a L) -> Self {
        Self(listener)
    }
}

impl Iterator for Incoming<'_, TcpListener> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.0.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_, TcpListener> {}
