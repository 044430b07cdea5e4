//! What all sockets have, written once: conversions, deadlines, closing, reading and writing.

/// The interface of every socket. `$make` is an expression for the examples.
macro_rules! socket {
    ($name:ident, $std:ty, $make:literal) => {
        impl $name {
            /// Makes a socket from one of `std`.
            ///
            /// The socket, and each duplicate of it, is non-blocking from now on. Its timeouts (`SO_RCVTIMEO`,
            /// `SO_SNDTIMEO`) stay in force. Does not block.
            ///
            /// # Errors
            /// If the socket cannot be registered with the poller or made non-blocking. The socket is closed then; a
            /// duplicate of it is as it was before.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// // To `std`'s type, and back.
            #[doc = concat!("let socket = ", stringify!($name), "::from_std(socket.into_std()?)?;")]
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn from_std(socket: $std) -> std::io::Result<Self> {
                let fd = super::fd::Fd::new(socket).map_err(|(error, _)| error)?;
                fd.keep_mode();
                Ok(Self { fd: std::sync::Arc::new(fd) })
            }

            /// Converts the socket into one of `std`, which blocks, and has the timeouts that were set here.
            ///
            /// If there are other handles, the result is a duplicate, which is non-blocking, as they are. Does not
            /// block.
            ///
            /// # Errors
            /// If there are other handles and no descriptor is free for a duplicate, or if the socket cannot be made
            /// blocking. This handle is closed then.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let socket = socket.into_std()?;
            /// # let _ = socket;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn into_std(self) -> std::io::Result<$std> {
                match std::sync::Arc::try_unwrap(self.fd) {
                    Ok(fd) => {
                        let socket = fd.into_inner();
                        socket.set_nonblocking(false)?;
                        Ok(socket)
                    }
                    Err(fd) => fd.lend().try_clone(),
                }
            }

            /// A socket that was made here.
            fn own(socket: $std) -> std::io::Result<Self> {
                Ok(Self { fd: std::sync::Arc::new(super::fd::Fd::own(socket)?) })
            }

            /// Another handle on this socket. It shares everything, deadlines and [`close`](Self::close) too, and takes
            /// no descriptor. Does not block.
            ///
            /// # Errors
            /// None; the signature is `std`'s.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::os::fd::AsRawFd;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let clone = socket.try_clone()?;
            /// assert_eq!(clone.as_raw_fd(), socket.as_raw_fd());
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(Self { fd: std::sync::Arc::clone(&self.fd) })
            }

            /// Takes the error that the system keeps for the socket (`SO_ERROR`). Does not block.
            ///
            /// # Errors
            /// If the socket is closed.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// println!("{:?}", socket.take_error()?);
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.fd.open()?.take_error()
            }

            /// Whether operations return [`WouldBlock`](std::io::ErrorKind::WouldBlock) instead of waiting: for this
            /// handle and all its clones. The descriptor itself never blocks. Does not block.
            ///
            /// # Errors
            /// If the socket is closed.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_nonblocking(true)?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.fd.set_nonblocking(nonblocking)
            }

            /// Closes the socket, under all of its handles: who waits in an operation, and who begins one later, gets
            /// an error ([`NotConnected`](std::io::ErrorKind::NotConnected), "use of closed network connection"). The
            /// peer is told, and an address is free again. Closing once more does nothing. Does not block. Go's
            /// `Close`.
            ///
            /// Dropping the last handle closes too. The number of the descriptor is used again only after that.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::io::ErrorKind;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.close();
            /// assert_eq!(socket.take_error().unwrap_err().kind(), ErrorKind::NotConnected);
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn close(&self) {
                self.fd.close();
            }
        }

        super::macros::deadline!([] $name, $make);

        /// Like [`from_std`](Self::from_std).
        impl TryFrom<$std> for $name {
            type Error = std::io::Error;

            fn try_from(socket: $std) -> std::io::Result<Self> {
                Self::from_std(socket)
            }
        }

        /// Like `into_std`.
        impl TryFrom<$name> for $std {
            type Error = std::io::Error;

            fn try_from(socket: $name) -> std::io::Result<Self> {
                socket.into_std()
            }
        }

        /// Like [`from_std`](Self::from_std).
        impl TryFrom<std::os::fd::OwnedFd> for $name {
            type Error = std::io::Error;

            fn try_from(fd: std::os::fd::OwnedFd) -> std::io::Result<Self> {
                Self::from_std(fd.into())
            }
        }

        /// Like `into_std`.
        impl TryFrom<$name> for std::os::fd::OwnedFd {
            type Error = std::io::Error;

            fn try_from(socket: $name) -> std::io::Result<Self> {
                Ok(socket.into_std()?.into())
            }
        }

        impl std::os::fd::AsFd for $name {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.fd.lend().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $name {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.fd.lend().as_raw_fd()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.fd.get().fmt(f)
            }
        }
    };
}

/// What ends operations in both directions.
macro_rules! deadline {
    ([$($generics:tt)*] $name:ty, $make:literal) => {
        impl<$($generics)*> $name {
            /// Sets the time until which operations may wait, those that wait now and all to come; `None` takes it
            /// back. Once it has passed they fail with [`TimedOut`](std::io::ErrorKind::TimedOut), also if they would
            /// not have to wait, until there is another. Does not block. Go's `SetDeadline`.
            ///
            /// # Errors
            /// If the socket is closed.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
            /// socket.set_deadline(None)?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self.fd.set_deadline(greenthread_scheduler::Direction::Read, deadline)?;
                self.fd.set_deadline(greenthread_scheduler::Direction::Write, deadline)
            }

            /// The same socket, with operations that end when `ctx` does, with its error. Does not block, and costs nothing.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use greenthread::ctx::Context;
            /// use std::time::Duration;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(5));
            /// let view = socket.with_ctx(&ctx);
            /// # let _ = view;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn with_ctx<'a>(&'a self, ctx: &'a greenthread_ctx::Context) -> super::WithCtx<'a, Self> {
                super::WithCtx::new(self, ctx)
            }
        }
    };
}

/// Limits for each direction.
macro_rules! limits {
    ([$($generics:tt)*] $name:ty, $make:literal) => {
        impl<$($generics)*> $name {
            /// As [`set_deadline`](Self::set_deadline), for what reads. Go's `SetReadDeadline`.
            ///
            /// # Errors
            /// If the socket is closed.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_read_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self.fd.set_deadline(greenthread_scheduler::Direction::Read, deadline)
            }

            /// As [`set_deadline`](Self::set_deadline), for what writes. Go's `SetWriteDeadline`.
            ///
            /// # Errors
            /// If the socket is closed.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_write_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self.fd.set_deadline(greenthread_scheduler::Direction::Write, deadline)
            }

            /// Sets how long each operation that reads may wait, from now on; `None` is no limit. Then it fails with
            /// [`TimedOut`](std::io::ErrorKind::TimedOut). Counts for all handles; a deadline that comes earlier counts
            /// too. Does not block.
            ///
            /// # Errors
            /// If the timeout is zero, or the socket closed.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::time::Duration;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            /// assert_eq!(socket.read_timeout()?, Some(Duration::from_secs(5)));
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_read_timeout(&self, timeout: Option<std::time::Duration>) -> std::io::Result<()> {
                self.fd.set_timeout(greenthread_scheduler::Direction::Read, timeout)
            }

            /// As [`set_read_timeout`](Self::set_read_timeout), for what writes.
            ///
            /// # Errors
            /// If the timeout is zero, or the socket closed.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::time::Duration;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_write_timeout(Some(Duration::from_secs(5)))?;
            /// assert_eq!(socket.write_timeout()?, Some(Duration::from_secs(5)));
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn set_write_timeout(&self, timeout: Option<std::time::Duration>) -> std::io::Result<()> {
                self.fd.set_timeout(greenthread_scheduler::Direction::Write, timeout)
            }

            /// What [`set_read_timeout`](Self::set_read_timeout) has set. Does not block.
            ///
            /// # Errors
            /// If the socket is closed.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// assert_eq!(socket.read_timeout()?, None, "no limit in the beginning");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.fd.timeout(greenthread_scheduler::Direction::Read)
            }

            /// What [`set_write_timeout`](Self::set_write_timeout) has set. Does not block.
            ///
            /// # Errors
            /// If the socket is closed.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// assert_eq!(socket.write_timeout()?, None, "no limit in the beginning");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.fd.timeout(greenthread_scheduler::Direction::Write)
            }
        }
    };
}

/// `Read` and `Write` for a stream, a reference to it, and its view under a context. The stream has `read_within` and
/// so on. What stands in brackets after `@impl` are the generics, and a `where` for each trait.
macro_rules! read_write {
    ($name:ident) => {
        read_write!(@impl [] [] [] $name, socket, socket, None);
        read_write!(@impl [] [] [] &$name, socket, *socket, None);
        read_write!(@impl [] [] [] super::WithCtx<'_, $name>, view, view.socket, Some(view.ctx));
    };
    (@impl [$($generics:tt)*] [$($read:tt)*] [$($write:tt)*] $for:ty, $this:ident, $socket:expr, $ctx:expr) => {
        impl<$($generics)*> std::io::Read for $for $($read)* {
            fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
                let $this = self;
                $socket.read_within($ctx, bytes)
            }

            fn read_vectored(&mut self, parts: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                let $this = self;
                $socket.read_vectored_within($ctx, parts)
            }
        }

        impl<$($generics)*> std::io::Write for $for $($write)* {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let $this = self;
                $socket.write_within($ctx, bytes)
            }

            fn write_vectored(&mut self, parts: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                let $this = self;
                $socket.write_vectored_within($ctx, parts)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                let $this = self;
                $socket.flush_within($ctx)
            }
        }
    };
}

/// Options that `std`'s type has under the same name: a getter and a setter each, with a value for the examples.
macro_rules! options {
    (
        $name:ident, $make:literal:
        $($(#[$get_doc:meta])* $get:ident, $(#[$set_doc:meta])* $set:ident: $type:ty = $value:literal;)*
    ) => {
        impl $name {
            $(
                $(#[$get_doc])*
                /// Does not block.
                ///
                /// # Errors
                /// What the system says, and if the socket is closed.
                ///
                /// ```
                /// use greenthread::net::*;
                ///
                #[doc = concat!("let socket = ", $make, ";")]
                #[doc = concat!("socket.", stringify!($set), "(", stringify!($value), ")?;")]
                #[doc = concat!("assert_eq!(socket.", stringify!($get), "()?, ", stringify!($value), ");")]
                /// # Ok::<(), std::io::Error>(())
                /// ```
                pub fn $get(&self) -> std::io::Result<$type> {
                    self.fd.open()?.$get()
                }

                $(#[$set_doc])*
                /// Does not block.
                ///
                /// # Errors
                /// What the system says, and if the socket is closed.
                ///
                /// ```
                /// use greenthread::net::*;
                ///
                #[doc = concat!("let socket = ", $make, ";")]
                #[doc = concat!("socket.", stringify!($set), "(", stringify!($value), ")?;")]
                /// # Ok::<(), std::io::Error>(())
                /// ```
                pub fn $set(&self, value: $type) -> std::io::Result<()> {
                    self.fd.open()?.$set(value)
                }
            )*
        }
    };
}

/// What sockets for datagrams have in common. `$pair` is an expression for the examples: two that are connected with each other.
macro_rules! datagrams {
    ($name:ident, $addr:ty, $pair:literal) => {
        impl $name {
            /// Sends a datagram to the address that the socket is connected to. Returns its length. Blocks while there
            /// is no room.
            ///
            /// # Errors
            /// What the system says, as that it is too long; if the socket is closed, or a deadline or timeout has passed.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let (one, other) = ", $pair, ";")]
            /// assert_eq!(one.send(b"hello")?, 5);
            /// assert_eq!(other.recv(&mut [0; 10])?, 5);
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn send(&self, bytes: &[u8]) -> std::io::Result<usize> {
                self.send_within(None, bytes)
            }

            /// Receives a datagram, and who has sent it. What does not fit into `bytes` is lost. Returns its length.
            /// Blocks until there is one.
            ///
            /// # Errors
            /// What the system says; if the socket is closed, or a deadline or timeout has passed.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let (one, other) = ", $pair, ";")]
            /// one.send(b"hello")?;
            /// let mut bytes = [0; 10];
            /// let (len, _from) = other.recv_from(&mut bytes)?;
            /// assert_eq!(&bytes[..len], b"hello");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn recv_from(&self, bytes: &mut [u8]) -> std::io::Result<(usize, $addr)> {
                self.recv_from_within(None, bytes)
            }

            /// As [`recv_from`](Self::recv_from), without the address.
            ///
            /// # Errors
            /// As there.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let (one, other) = ", $pair, ";")]
            /// one.send(b"too long for two bytes")?;
            /// let mut bytes = [0; 2];
            /// assert_eq!(other.recv(&mut bytes)?, 2);
            /// assert_eq!(&bytes, b"to");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn recv(&self, bytes: &mut [u8]) -> std::io::Result<usize> {
                self.recv_within(None, bytes)
            }

            fn send_within(&self, ctx: Option<&greenthread_ctx::Context>, bytes: &[u8]) -> std::io::Result<usize> {
                self.fd.run(greenthread_scheduler::Direction::Write, ctx, |socket| socket.send(bytes))
            }

            fn recv_from_within(
                &self,
                ctx: Option<&greenthread_ctx::Context>,
                bytes: &mut [u8],
            ) -> std::io::Result<(usize, $addr)> {
                self.fd.run(greenthread_scheduler::Direction::Read, ctx, |socket| socket.recv_from(bytes))
            }

            fn recv_within(&self, ctx: Option<&greenthread_ctx::Context>, bytes: &mut [u8]) -> std::io::Result<usize> {
                self.fd.run(greenthread_scheduler::Direction::Read, ctx, |socket| socket.recv(bytes))
            }
        }

        impl super::WithCtx<'_, $name> {
            /// Sends to the address that the socket is connected to, as long as the context lasts.
            ///
            /// # Errors
            /// Those of the socket's `send`, and that of the context.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use greenthread::ctx::Context;
            /// use std::time::Duration;
            ///
            #[doc = concat!("let (one, other) = ", $pair, ";")]
            /// let (ctx, cancel) = Context::background().with_timeout(Duration::from_secs(5));
            /// one.with_ctx(&ctx).send(b"hello")?;
            /// cancel.cancel();
            /// assert!(one.with_ctx(&ctx).send(b"hello").is_err());
            /// # let _ = other;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn send(&self, bytes: &[u8]) -> std::io::Result<usize> {
                self.socket.send_within(Some(self.ctx), bytes)
            }

            /// Receives a datagram and who has sent it, as long as the context lasts.
            ///
            /// # Errors
            /// Those of the socket's `recv_from`, and that of the context.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use greenthread::ctx::Context;
            /// use std::time::Duration;
            ///
            #[doc = concat!("let (one, other) = ", $pair, ";")]
            /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
            /// assert!(other.with_ctx(&ctx).recv_from(&mut [0; 10]).is_err(), "nobody sends");
            /// # let _ = one;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn recv_from(&self, bytes: &mut [u8]) -> std::io::Result<(usize, $addr)> {
                self.socket.recv_from_within(Some(self.ctx), bytes)
            }

            /// Receives a datagram, as long as the context lasts.
            ///
            /// # Errors
            /// Those of the socket's `recv`, and that of the context.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use greenthread::ctx::Context;
            /// use std::time::Duration;
            ///
            #[doc = concat!("let (one, other) = ", $pair, ";")]
            /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
            /// assert!(other.with_ctx(&ctx).recv(&mut [0; 10]).is_err(), "nobody sends");
            /// # let _ = one;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn recv(&self, bytes: &mut [u8]) -> std::io::Result<usize> {
                self.socket.recv_within(Some(self.ctx), bytes)
            }
        }
    };
}

pub(super) use {datagrams, deadline, limits, options, read_write, socket};
