//! A server's loop: accepts until it is told to stop, runs one goroutine for each connection, and
//! ends gracefully.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind, Write};
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenthread_channels::{RecvTimeoutError, bounded};
use greenthread_ctx::Context;
use greenthread_scheduler::{self as scheduler, Options};
use rustix::io::Errno;

use crate::builder::Builder;
use crate::sync::reporting;

/// The first and the longest pause after a failed accept (the values of Go's `net/http`).
pub(super) const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];

/// The minimum time between two reports of the same error.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The time at which each error was last reported, keyed by what failed and the error's number.
type Reports = HashMap<(&'static str, Option<i32>), Instant>;

/// Returns the options of goroutines that are started later on behalf of the caller, whose line is
/// their spawn site.
#[track_caller]
pub(super) fn options_of(builder: &Builder) -> Options {
    Options { site: Some(Location::caller()), ..builder.options.clone() }
}

/// Serves the connections that `accept` returns, as documented at `TcpListener::serve`.
///
/// `accept` fails when `ctx` ends; `close` is called when no more connections are accepted. Each
/// handler runs in a goroutine with these options.
pub(super) fn serve<S: Send + 'static>(
    options: Options,
    ctx: &Context,
    grace: Duration,
    pauses: [Duration; 2],
    mut accept: impl FnMut() -> io::Result<S>,
    close: impl FnOnce(),
    handler: impl Fn(&Context, S) + Send + Sync + 'static,
) -> io::Result<()> {
    options.check()?;
    // The contexts of connections outlast `ctx` by the grace period, and keep its values.
    let (connections, cancel) = ctx.without_cancel().with_cancel();
    // Each handler keeps a sender, so the channel closes when the last handler has ended, however
    // it ends.
    let (running, idle) = bounded::<Infallible>(0);
    let handler = Arc::new(handler);
    let mut reported = Reports::new();
    let end = loop {
        match accept_one(ctx, pauses, &mut accept, &mut reported) {
            Ok(stream) => {
                let (ctx, cancel) = connections.with_cancel();
                let (handler, running) = (Arc::clone(&handler), running.clone());
                // The handler's values are dropped before the handler counts as ended. A panic in
                // the handler does not end the server: the connection is closed, and stderr says
                // why.
                let serving = move || handler(&ctx, stream);
                let serving = reporting(serving, move |_end| drop((cancel, running)));
                // If there is no goroutine for it, the connection is dropped with the closure.
                if let Err(error) = scheduler::spawn(serving, options.clone()) {
                    report("spawn", "the connection is closed", &error, &mut reported);
                }
            }
            Err(error) => break error,
        }
    };
    close();
    drop(running);
    if idle.recv_timeout(grace) == Err(RecvTimeoutError::Timeout) {
        cancel.cancel();
        // Returns when the channel closes: no message is ever sent.
        let _ = idle.recv();
    }
    if ctx.err().is_some() { Ok(()) } else { Err(end) }
}

/// Returns the next connection; retries after errors that may be temporary.
fn accept_one<S>(
    ctx: &Context,
    [mut pause, longest]: [Duration; 2],
    accept: &mut impl FnMut() -> io::Result<S>,
    reported: &mut Reports,
) -> io::Result<S> {
    loop {
        match accept() {
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) if !is_final(&error) => {
                report("accept", "retrying until it works", &error, reported);
                ctx.sleep(pause)?;
                pause = longest.min(pause * 2);
            }
            result => return result,
        }
    }
}

/// Returns `true` if the error concerns a connection that ended before it was accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// Returns `true` if no more connections can be accepted.
///
/// That is the case if the listener is closed or past its deadline, the context has ended, or the
/// system reports that this is not a listener. All other errors are temporary. They are a shortage
/// (of descriptors, memory, or registrations with the poller), or a network or firewall error,
/// which Linux returns for the connection that it concerns.
fn is_final(error: &io::Error) -> bool {
    match Errno::from_io_error(error) {
        Some(errno) => [Errno::BADF, Errno::FAULT, Errno::INVAL, Errno::NOSYS, Errno::NOTSOCK].contains(&errno),
        // An error from this crate.
        None => error.kind() != ErrorKind::OutOfMemory,
    }
}

/// Prints the error to stderr, once for each burst of the same error, so that the output cannot
/// fill a disk.
fn report(what: &'static str, outcome: &str, error: &io::Error, reported: &mut Reports) {
    if is_due(what, error, reported) {
        // If stderr is closed, there is no other place for the message.
        let _ = writeln!(io::stderr(), "greenthread: {what}: {error}; {outcome}");
    }
}

/// Returns `true` if the error should be reported, and records the report.
fn is_due(what: &'static str, error: &io::Error, reported: &mut Reports) -> bool {
    let (key, now) = ((what, error.raw_os_error()), Instant::now());
    let due = reported.get(&key).is_none_or(|before| now - *before >= REPORT_INTERVAL);
    if due {
        reported.insert(key, now);
    }
    due
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use greenthread_channels::{Receiver, Sender, unbounded};
    use greenthread_ctx::Cancel;

    use super::*;
    use crate::net::watchdog::{Watchdog, watchdog};
    use crate::task::{JoinHandle, spawn};

    const LONG: Duration = Duration::from_secs(3600);

    /// A server that accepts from a channel.
    struct Server {
        connections: Option<Sender<io::Result<u32>>>,
        accepted: Arc<AtomicUsize>,
        cancel: Cancel,
        closed: Receiver<()>,
        served: JoinHandle<io::Result<()>>,
        _watchdog: Watchdog,
    }

    fn start(grace: Duration, handler: impl Fn(&Context, u32) + Send + Sync + 'static) -> Server {
        start_with_pauses(PAUSES, grace, handler)
    }

    fn start_with_pauses(
        pauses: [Duration; 2],
        grace: Duration,
        handler: impl Fn(&Context, u32) + Send + Sync + 'static,
    ) -> Server {
        let (connections, queue) = unbounded();
        let (ctx, cancel) = Context::background().with_value("kept").with_cancel();
        let (closing, closed) = bounded(1);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let served = spawn(move || {
            let accept = || {
                count.fetch_add(1, Ordering::Relaxed);
                ctx.recv(&queue).unwrap_or_else(|_| Err(ErrorKind::NotConnected.into()))
            };
            serve(Options::default(), &ctx, grace, pauses, accept, || closing.send(()).unwrap(), handler)
        });
        let _watchdog = watchdog("");
        Server { connections: Some(connections), accepted, cancel, closed, served, _watchdog }
    }

    impl Server {
        fn connect(&self, connection: io::Result<u32>) {
            self.connections.as_ref().unwrap().send(connection).unwrap();
        }
    }

    #[test]
    fn waits_for_connections_before_it_ends() {
        let (gate, wait) = bounded::<()>(0);
        let (tx, seen) = unbounded();
        let server = start(LONG, move |ctx, n| {
            assert!(wait.recv().is_err());
            tx.send((n, ctx.err(), ctx.value::<&str>().copied())).unwrap();
        });
        (0..10).for_each(|n| server.connect(Ok(n)));
        while server.accepted.load(Ordering::Relaxed) < 11 {
            crate::yield_now();
        }
        server.cancel.cancel();
        assert_eq!(server.closed.recv(), Ok(()));
        assert!(!server.served.is_finished());
        gate.close();
        server.served.join().unwrap().unwrap();
        let mut seen: Vec<_> = seen.iter().collect();
        seen.sort_by_key(|(n, ..)| *n);
        assert_eq!(seen, (0..10).map(|n| (n, None, Some("kept"))).collect::<Vec<_>>());
    }

    #[test]
    fn cancels_handlers_after_the_grace() {
        for grace in [Duration::ZERO, Duration::from_millis(20)] {
            let (tx, begun) = bounded(0);
            let ended = Arc::new(AtomicUsize::new(0));
            let server = start(grace, {
                let ended = Arc::clone(&ended);
                move |ctx, _| {
                    tx.send(()).unwrap();
                    ctx.sleep(LONG).unwrap_err();
                    // A handler may take time to end.
                    crate::time::sleep(Duration::from_millis(50));
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            });
            server.connect(Ok(0));
            begun.recv().unwrap();
            server.cancel.cancel();
            server.served.join().unwrap().unwrap();
            assert_eq!(ended.load(Ordering::Relaxed), 1, "it has waited for the handlers that it has canceled");
        }
    }

    #[test]
    fn a_panic_ends_one_connection_only() {
        let (tx, seen) = unbounded();
        let server = start(LONG, move |_, n| {
            assert!(n != 1, "this panic is part of the test");
            tx.send(n).unwrap();
        });
        (0..3).for_each(|n| server.connect(Ok(n)));
        let mut others = [seen.recv().unwrap(), seen.recv().unwrap()];
        others.sort();
        assert_eq!(others, [0, 2]);
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    }

    #[test]
    fn transient_errors_are_retried() {
        let (tx, seen) = unbounded();
        let server = start(LONG, move |_, n| tx.send(n).unwrap());
        let begin = Instant::now();
        for errno in [Errno::CONNABORTED, Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::INTR, Errno::CONNRESET] {
            server.connect(Err(errno.into()));
        }
        server.connect(Ok(7));
        assert_eq!(seen.recv(), Ok(7));
        assert!(begin.elapsed() >= PAUSES[0] * (1 + 2 + 4));
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    }

    // The errors after which `accept(2)` asks to retry, firewall errors, and errors of registering
    // a connection.
    #[test]
    fn errors_of_connections_do_not_end_it() {
        let (tx, seen) = unbounded();
        let server = start_with_pauses([Duration::ZERO; 2], LONG, move |_, n| tx.send(n).unwrap());
        let network = [
            Errno::NETDOWN,
            Errno::PROTO,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::NONET,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
        ];
        for errno in network.into_iter().chain([Errno::PERM, Errno::TIMEDOUT, Errno::NOSPC, Errno::NOMEM]) {
            server.connect(Err(errno.into()));
        }
        server.connect(Err(ErrorKind::OutOfMemory.into()));
        server.connect(Ok(7));
        assert_eq!(seen.recv(), Ok(7));
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    }

    #[test]
    fn a_dead_listener_ends_it() {
        for errno in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            let server = start(LONG, |_, _| ());
            server.connect(Err(errno.into()));
            assert_eq!(server.served.join().unwrap().unwrap_err().raw_os_error(), Some(errno.raw_os_error()));
        }
    }

    /// One line for each error and burst, even if errors alternate.
    #[test]
    fn errors_are_reported_once_per_burst() {
        let mut reports = Reports::new();
        let errors = [Errno::PROTO, Errno::MFILE, Errno::PROTO, Errno::MFILE, Errno::PROTO];
        let due = errors.map(|errno| is_due("accept", &errno.into(), &mut reports));
        assert_eq!(due, [true, true, false, false, false]);
        reports.insert(
            ("accept", Some(Errno::PROTO.raw_os_error())),
            Instant::now().checked_sub(REPORT_INTERVAL).unwrap(),
        );
        assert!(is_due("accept", &Errno::PROTO.into(), &mut reports));
    }

    #[test]
    fn a_pause_ends_with_the_context() {
        let server = start_with_pauses([LONG; 2], LONG, |_, _| ());
        server.connect(Err(Errno::MFILE.into()));
        while server.accepted.load(Ordering::Relaxed) == 0 {
            crate::yield_now();
        }
        server.cancel.cancel();
        server.served.join().unwrap().unwrap();
    }

    #[test]
    fn any_other_error_ends_it_after_the_drain() {
        let (gate, wait) = bounded::<()>(0);
        let ended = Arc::new(Mutex::new(false));
        let mut server = start(LONG, {
            let ended = Arc::clone(&ended);
            move |_, _| {
                assert!(wait.recv().is_err());
                *ended.lock().unwrap() = true;
            }
        });
        server.connect(Ok(0));
        server.connections = None;
        assert_eq!(server.closed.recv(), Ok(()));
        gate.close();
        assert_eq!(server.served.join().unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(*ended.lock().unwrap());
    }
}
