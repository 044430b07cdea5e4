//! Sockets whose operations end with a context.

use greenthread_ctx::Context;

/// A socket whose operations end when a context does: what `with_ctx` returns. Streams are [`Read`](std::io::Read) and
/// [`Write`](std::io::Write), listeners have `accept`, datagram sockets `send`, `send_to`, `recv` and `recv_from`.
///
/// If the context has ended, operations fail with its error as an [`io::Error`](std::io::Error), also if they would not have to
/// wait. Deadlines and timeouts of the socket count too. The socket stays as it is, for other operations.
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

/// An [`Async`](super::Async) whose operations end when a context does: what
/// [`with_ctx_mut`](super::Async::with_ctx_mut) returns. As [`WithCtx`], for what reads and writes only by an exclusive
/// reference.
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
pub struct WithCtxMut<'a, S> {
    pub(super) socket: &'a mut S,
    pub(super) ctx: &'a Context,
}
