//! Waiting until an operation would not block, for those who then do it themselves: `ioctl`, `sendfile`, a C library.
//!
//! `$make` is an expression for the examples. An example that cannot wait for long has a context.

/// Waiting to read.
macro_rules! readable {
    ([$($generics:tt)*] $name:ty, $make:literal) => {
        impl<$($generics)*> $name {
            /// Blocks until there is something to read, or to accept, or the end. Takes turns with those who read.
            ///
            /// It is for operations that this type does not have: wait, try the operation on the
            /// [descriptor](std::os::fd::AsFd), and wait again if it would block. Go's `SyscallConn().Read`.
            ///
            /// # Errors
            /// If it is closed, or a deadline or timeout has passed.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::io::ErrorKind;
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
            /// match socket.readable() {
            ///     Ok(()) => println!("something has come, or the end"),
            ///     Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            /// }
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn readable(&self) -> std::io::Result<()> {
                self.fd.ready(None, greenthread_scheduler::Direction::Read)
            }
        }

        impl<$($generics)*> super::WithCtx<'_, $name> {
            /// Blocks until there is something to read, or to accept, or the end, as long as the context lasts.
            ///
            /// # Errors
            /// Those of the socket's `readable`, and that of the context.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use greenthread::ctx::Context;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let (ctx, cancel) = Context::background().with_cancel();
            /// cancel.cancel();
            /// assert_eq!(socket.with_ctx(&ctx).readable().unwrap_err().to_string(), "context canceled");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn readable(&self) -> std::io::Result<()> {
                self.socket.fd.ready(Some(self.ctx), greenthread_scheduler::Direction::Read)
            }
        }
    };
}

/// Waiting to read, to write, and for what comes out of turn.
macro_rules! readiness {
    ([$($generics:tt)*] $name:ty, $make:literal) => {
        super::ready::readable!([$($generics)*] $name, $make);

        impl<$($generics)*> $name {
            /// Blocks until a write would not block, or would fail. Takes turns with those who write. As
            /// [`readable`](Self::readable) otherwise; Go's `SyscallConn().Write`.
            ///
            /// # Errors
            /// If it is closed, or a deadline or timeout has passed.
            ///
            /// ```
            /// use greenthread::net::*;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.writable()?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn writable(&self) -> std::io::Result<()> {
                self.fd.ready(None, greenthread_scheduler::Direction::Write)
            }

            /// Blocks until the system reports something out of turn (`POLLPRI`): urgent data of TCP, a change of a
            /// file in sysfs, an alarm of a pressure monitor; or until the peer hangs up. It may be an event from
            /// before the call that has been seen to since. One may wait for it while another reads; those who wait
            /// for it take turns. A read deadline ends it, a timeout does not. In Go: nothing.
            ///
            /// # Errors
            /// If it is closed, or the read deadline has passed; [`Unsupported`](std::io::ErrorKind::Unsupported) on
            /// other systems than Linux.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_read_deadline(Some(Instant::now() + Duration::from_millis(2)))?;
            /// if let Err(error) = socket.priority() {
            ///     println!("nothing urgent: {error}");
            /// }
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn priority(&self) -> std::io::Result<()> {
                self.fd.ready(None, greenthread_scheduler::Direction::Priority)
            }
        }

        impl<$($generics)*> super::WithCtx<'_, $name> {
            /// Blocks until a write would not block, or would fail, as long as the context lasts.
            ///
            /// # Errors
            /// Those of the socket's `writable`, and that of the context.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use greenthread::ctx::Context;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.with_ctx(&Context::background()).writable()?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn writable(&self) -> std::io::Result<()> {
                self.socket.fd.ready(Some(self.ctx), greenthread_scheduler::Direction::Write)
            }

            /// Blocks until the system reports something out of turn, as long as the context lasts.
            ///
            /// # Errors
            /// Those of the socket's `priority`, and that of the context.
            ///
            /// ```
            /// use greenthread::net::*;
            /// use greenthread::ctx::Context;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let (ctx, cancel) = Context::background().with_cancel();
            /// cancel.cancel();
            /// assert!(socket.with_ctx(&ctx).priority().is_err());
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn priority(&self) -> std::io::Result<()> {
                self.socket.fd.ready(Some(self.ctx), greenthread_scheduler::Direction::Priority)
            }
        }
    };
}

pub(super) use {readable, readiness};
