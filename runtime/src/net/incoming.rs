//! The iterator over the connections of a listener.

/// An iterator over the connections that a listener accepts: the result of `incoming`.
///
/// `next` blocks until there is a connection. The iterator never ends: once the listener is closed
/// or its deadline has passed, `next` returns an error each time.
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
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a, L> {
    pub(super) listener: &'a L,
}
