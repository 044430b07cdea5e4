//! Connections, one after the other.

use std::io;
use std::iter::FusedIterator;

use super::tcp::{TcpListener, TcpStream};
use super::unix::{UnixListener, UnixStream};

/// The connections that a listener accepts: what `incoming` returns. `next` blocks until there is one. It never ends; when
/// the listener is closed, or its deadline has passed, it gives the error each time.
///
/// ```
/// use greenthread::net::{Incoming, TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let _client = TcpStream::connect(listener.local_addr()?)?;
/// let mut connections: Incoming<'_, TcpListener> = listener.incoming();
/// println!("{:?}", connections.next().unwrap()?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are used"]
pub struct Incoming<'a, L>(&'a L);

impl<'a, L> Incoming<'a, L> {
    pub(super) fn new(listener: &'a L) -> Self {
        Self(listener)
    }
}

macro_rules! incoming {
    ($($listener:ty => $stream:ty;)*) => {
        $(
            impl Iterator for Incoming<'_, $listener> {
                type Item = io::Result<$stream>;

                fn next(&mut self) -> Option<io::Result<$stream>> {
                    Some(self.0.accept().map(|(stream, _)| stream))
                }
            }

            impl FusedIterator for Incoming<'_, $listener> {}
        )*
    };
}

incoming! {
    TcpListener => TcpStream;
    UnixListener => UnixStream;
}
