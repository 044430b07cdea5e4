//! Connecting to a host that has several addresses: "happy eyeballs", RFC 8305.
//!
//! The addresses are tried in the resolver's order, but the two families alternate. A family that
//! does not work then costs one delay in total, not one delay per address. Each attempt has a head
//! start of [`ATTEMPT_DELAY`] over the next attempt; if it fails, the next attempt begins at once.
//! The first connection wins. The other attempts are canceled, and any connections that they still
//! make are closed.
//!
//! Each attempt is a goroutine with a context of its own, as in Go, but Go runs one sequence of
//! attempts for each family. Two parts of the RFC are left out: asynchronous queries (the system's
//! resolver answers once, for both families) and the history of round trips.

use std::io;
use std::net::SocketAddr;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use greenthread_channels::{after, bounded, never, select_biased};
use greenthread_ctx::Context;

use crate::sync::reporting;

/// The "Connection Attempt Delay" of the RFC.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to one of `addrs` with `attempt`, which ends when its context ends.
///
/// A single address is tried here, without a goroutine.
///
/// # Errors
/// If all attempts fail, the error of the attempt that failed first; the context's error if it
/// ends; `InvalidInput` if there are no addresses.
pub(super) fn connect<T: Send + 'static>(
    ctx: Option<&Context>,
    addrs: Vec<SocketAddr>,
    delay: Duration,
    attempt: impl Fn(Option<&Context>, SocketAddr) -> io::Result<T> + Send + Sync + 'static,
) -> io::Result<T> {
    if let [only] = addrs[..] {
        return attempt(ctx, only);
    }
    let ctx = ctx.cloned().unwrap_or_else(Context::background);
    let (attempts, _cancel) = ctx.with_cancel();
    let attempt = Arc::new(attempt);
    // The channel has room for all results, so that no attempt waits.
    let (tx, results) = bounded(addrs.len());
    let mut untried = alternate(addrs).into_iter();
    let mut running = 0;
    let mut first_error = None;
    loop {
        if let Some(addr) = untried.next() {
            running += 1;
            let (attempts, attempt, tx) = (attempts.clone(), Arc::clone(&attempt), tx.clone());
            let attempt = move || attempt(Some(&attempts), addr);
            // If another attempt has won, sending fails and returns the connection, and dropping it
            // closes it.
            greenthread_scheduler::go(reporting(attempt, move |end| drop(tx.send(end))));
        } else if running == 0 {
            // The last attempts may have failed because the context has ended.
            if let Some(end) = ctx.err() {
                return Err(end.into());
            }
            let nothing = || io::Error::new(io::ErrorKind::InvalidInput, "no addresses to connect to");
            return Err(first_error.unwrap_or_else(nothing));
        }
        let next = if untried.len() > 0 { after(delay) } else { never() };
        select_biased! {
            recv(results) -> result => match result.expect("net: this function keeps a sender") {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => {
                    running -= 1;
                    first_error.get_or_insert(error);
                }
                Err(payload) => panic::resume_unwind(payload),
            },
            recv(ctx.done()) -> end => return Err(ctx.ended(end).into()),
            recv(next) -> _ => {}
        }
    }
}

/// Reorders the addresses so that the families alternate, beginning with the family of the first
/// address; each family keeps its order.
fn alternate(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addrs.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut alternating = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    while first.len() + second.len() > 0 {
        alternating.extend(first.next());
        alternating.extend(second.next());
    }
    alternating
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::net::watchdog::watchdog;
    use crate::sync::WaitGroup;
    use crate::task::spawn;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(10);

    /// Returns the address of a name: `6a` is an address of family 6, and `4b` an address of family
    /// 4; the letter is the port.
    fn addr(name: &str) -> SocketAddr {
        let port = name.as_bytes()[1].into();
        if name.starts_with('6') { ([0_u16; 8], port).into() } else { ([0_u8; 4], port).into() }
    }

    fn name(addr: SocketAddr) -> String {
        format!("{}{}", if addr.is_ipv6() { 6 } else { 4 }, char::from(addr.port() as u8))
    }

    fn addrs(names: &str) -> Vec<SocketAddr> {
        names.split_whitespace().map(addr).collect()
    }

    /// The behavior of an attempt at an address.
    #[derive(Clone, Copy)]
    enum Fate {
        Connects,
        /// Connects once this many attempts have begun.
        ConnectsOnceTried(usize),
        /// Ignores its context, and connects once the context has ended because another attempt has
        /// won.
        ConnectsTooLate,
        Fails,
        Hangs,
        /// Ignores its context.
        IsDeaf,
    }
    use Fate::*;

    /// A connection, which counts down when it is closed.
    struct Connection(SocketAddr, WaitGroup);

    impl Drop for Connection {
        fn drop(&mut self) {
            self.1.done();
        }
    }

    struct Race {
        result: io::Result<String>,
        /// The addresses tried, in order.
        tried: String,
        /// The addresses whose attempts were canceled.
        canceled: String,
    }

    fn race(ctx: &Context, fates: &[(&str, Fate)], delay: Duration) -> Race {
        let open = WaitGroup::new();
        let lists = Arc::new((Mutex::new(Vec::new()), Mutex::new(Vec::new())));
        let plan: Vec<(SocketAddr, Fate)> = fates.iter().map(|&(name, fate)| (addr(name), fate)).collect();
        let attempt = {
            let (open, lists, plan) = (open.clone(), Arc::clone(&lists), plan.clone());
            move |ctx: Option<&Context>, addr| {
                lists.0.lock().unwrap().push(name(addr));
                let connected = || {
                    open.add(1);
                    Ok(Connection(addr, open.clone()))
                };
                let canceled = |error: greenthread_ctx::Error| {
                    lists.1.lock().unwrap().push(name(addr));
                    Err(error.into())
                };
                match plan.iter().find(|(planned, _)| *planned == addr).unwrap().1 {
                    Connects => connected(),
                    ConnectsOnceTried(count) => {
                        while lists.0.lock().unwrap().len() < count {
                            crate::yield_now();
                        }
                        connected()
                    }
                    ConnectsTooLate => {
                        let _ = ctx.expect("there are several").done().recv();
                        connected()
                    }
                    Fails => Err(io::Error::other(name(addr))),
                    Hangs => ctx.expect("there are several").sleep(LONG).map_or_else(canceled, |()| connected()),
                    IsDeaf => {
                        crate::time::sleep(Duration::from_millis(500));
                        Err(io::Error::other("deaf"))
                    }
                }
            }
        };
        let result = connect(Some(ctx), plan.iter().map(|(addr, _)| *addr).collect(), delay, attempt);
        let result = result.map(|connection| name(connection.0));
        // The losers end and close their connections. Each loser keeps the attempt's closure until
        // then.
        while Arc::strong_count(&lists) > 1 {
            crate::yield_now();
        }
        open.wait();
        let join = |list: &Mutex<Vec<String>>| list.lock().unwrap().join(" ");
        Race { result, tried: join(&lists.0), canceled: join(&lists.1) }
    }

    fn in_goroutine(test: impl FnOnce() + Send + 'static) {
        let _watchdog = watchdog("");
        spawn(test).join().unwrap();
    }

    #[test]
    fn families_alternate() {
        for (given, tried) in [
            ("", ""),
            ("4a", "4a"),
            ("6a 6b 6c 4d 4e", "6a 4d 6b 4e 6c"),
            ("4a 6b 6c 6d", "4a 6b 6c 6d"),
            ("4a 4b 6c 6d 4e", "4a 6c 4b 6d 4e"),
        ] {
            assert_eq!(alternate(addrs(given)), addrs(tried), "{given}");
        }
    }

    #[test]
    fn the_first_that_connects_wins_without_delay() {
        in_goroutine(|| {
            let race = race(&Context::background(), &[("6a", Connects), ("4b", Connects)], LONG);
            assert_eq!((race.result.unwrap().as_str(), race.tried.as_str()), ("6a", "6a"));
        });
    }

    #[test]
    fn next_attempt_begins_at_once_after_a_failure() {
        in_goroutine(|| {
            let fates = [("6a", Fails), ("6b", Fails), ("4c", Fails), ("4d", Connects)];
            let race = race(&Context::background(), &fates, LONG);
            assert_eq!((race.result.unwrap().as_str(), race.tried.as_str()), ("4d", "6a 4c 6b 4d"));
        });
    }

    #[test]
    fn hanging_attempt_costs_one_delay_and_is_canceled() {
        in_goroutine(|| {
            let fates = [("6a", Hangs), ("6b", Hangs), ("4c", Connects)];
            let begin = Instant::now();
            // Long enough for the attempt at 4c to win on a busy machine before 6b has its turn.
            let delay = SHORT * 50;
            let race = race(&Context::background(), &fates, delay);
            assert!(begin.elapsed() >= delay);
            assert_eq!((race.result.unwrap().as_str(), race.tried.as_str()), ("4c", "6a 4c"));
            assert_eq!(race.canceled, "6a");
        });
    }

    #[test]
    fn earlier_attempt_may_still_win() {
        in_goroutine(|| {
            let fates = [("6a", ConnectsOnceTried(2)), ("4b", Hangs)];
            let race = race(&Context::background(), &fates, SHORT);
            assert_eq!((race.result.unwrap().as_str(), race.canceled.as_str()), ("6a", "4b"));
        });
    }

    #[test]
    fn a_late_connection_is_closed() {
        in_goroutine(|| {
            // `race` returns only if the late connection is closed.
            let fates = [("6a", ConnectsTooLate), ("4b", Connects)];
            assert_eq!(race(&Context::background(), &fates, SHORT).result.unwrap(), "4b");
        });
    }

    #[test]
    fn first_error_is_returned_if_all_fail() {
        in_goroutine(|| {
            let race = race(&Context::background(), &[("6a", Fails), ("4b", Fails), ("4c", Fails)], LONG);
            assert_eq!((race.result.unwrap_err().to_string().as_str(), race.tried.as_str()), ("6a", "6a 4b 4c"));
        });
        let nothing = connect(None, Vec::new(), LONG, |_, _| Ok(()));
        assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_context_ends_it() {
        in_goroutine(|| {
            let (ctx, _cancel) = Context::background().with_timeout(SHORT);
            let race = race(&ctx, &[("6a", Hangs), ("4b", Connects)], LONG);
            assert_eq!(race.result.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!((race.tried.as_str(), race.canceled.as_str()), ("6a", "6a"));
        });
        in_goroutine(|| {
            let (ctx, _cancel) = Context::background().with_timeout(SHORT);
            // The result is returned without waiting for the attempts.
            let race = race(&ctx, &[("6a", IsDeaf), ("4b", Connects)], LONG);
            assert_eq!(race.result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }

    // The errors of attempts that the context has ended may arrive before the end of the context
    // itself.
    #[test]
    fn the_end_of_the_context_beats_an_earlier_failure() {
        /// An error that cancels the context when it is dropped, and waits until this has ended the
        /// attempt.
        #[derive(Debug)]
        struct Ends(greenthread_ctx::Cancel);

        impl std::fmt::Display for Ends {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("ends the context")
            }
        }

        impl std::error::Error for Ends {}

        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.cancel();
                crate::time::sleep(SHORT);
            }
        }

        in_goroutine(|| {
            let (ctx, cancel) = Context::background().with_cancel();
            let cancel = Mutex::new(Some(cancel));
            let result = connect(Some(&ctx), addrs("6a 4b 6c"), SHORT, move |ctx, addr| match name(addr).as_str() {
                "6a" => Err::<(), _>(ctx.unwrap().sleep(LONG).unwrap_err().into()),
                "4b" => Err(io::Error::other("4b")),
                _ => Err(io::Error::other(Ends(cancel.lock().unwrap().take().unwrap()))),
            });
            assert_eq!(result.unwrap_err().to_string(), "context canceled");
        });
    }

    #[test]
    fn a_single_address_takes_no_goroutine() {
        let here = std::thread::current().id();
        let attempt = move |_: Option<&Context>, addr| Ok((addr, std::thread::current().id() == here));
        assert_eq!(connect(None, addrs("4a"), LONG, attempt).unwrap(), (addr("4a"), true));
    }
}
