//! Sockets whose operations end when a context ends.

use greenthread_ctx::Context;

/// A view of a socket with operations that end when a context ends: the result of `with_ctx`.
///
/// Views of streams implement [`Read`](std::io::Read) and [`Write`](std::io::Write). Views of
/// listeners have `accept`, and views of datagram sockets have `send`, `send_to`, `recv` and
/// `recv_from`.
///
/// Once the context has ended, operations return its error as an [`io::Error`](std::io::Error),
/// even if they would not have to wait. Deadlines and timeouts of the socket also apply. The socket
/// itself stays usable for other operations.
///
/// ```
/// use greenthread::ctx::{Context, Error};
/// use greenthread::net::{TcpListener, TcpStream};
/// use std::io::{ErrorKind, Read};
/// use std::time::Duration;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(2));
/// let error = stream.with_ctx(&ctx).read(&mut [0; 10]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// assert_eq!(error.downcast::<Error>().unwrap(), Error::DeadlineExceeded);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a view does nothing by itself: call one of its operations"]
pub struct WithCtx<'a, S> {
    pub(super) socket: &'a S,
    pub(super) ctx: &'a Context,
}

impl<'a, S> WithCtx<'a, S> {
    pub(super) fn new(socket: &'a S, ctx: &'a Context) -> Self {
        Self { socket, ctx }
    }
}

impl<S> Clone for WithCtx<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for WithCtx<'_, S> {}

/// A view of an [`Async`](super::Async) with operations that end when a context ends: the result of
/// [`with_ctx_mut`](super::Async::with_ctx_mut).
///
/// Like [`WithCtx`], but for values that read and write only through an exclusive reference.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::net::Async;
/// use std::io::{Read, Write};
/// use std::process::{Command, Stdio};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut stdin = Async::new(child.stdin.take().unwrap())?;
/// let mut stdout = Async::new(child.stdout.take().unwrap())?;
/// let (ctx, _cancel) = Context::background().with_cancel();
/// stdin.with_ctx_mut(&ctx).write_all(b"hello")?;
/// drop(stdin);
/// let mut text = String::new();
/// stdout.with_ctx_mut(&ctx).read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// child.wait()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a view does nothing by itself: call one of its operations"]
pub struct WithCtxMut<'a, S> {
    pub(super) socket: &'a mut S,
    pub(super) ctx: &'a Context,
}
