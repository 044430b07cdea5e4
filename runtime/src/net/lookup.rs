//! From names to addresses: the system's resolver, called in a way that keeps no other goroutine
//! waiting.
//!
//! A call to the resolver cannot be interrupted. So a lookup under a context runs in a goroutine of
//! its own. When the context ends, the caller leaves that goroutine behind: the lookup finishes on
//! its thread, and its result is dropped. The goroutine must not borrow from a caller that has
//! left, but values that implement `ToSocketAddrs` may be borrowed. [`Resolve`] therefore makes a
//! copy for the goroutine. Addresses that need no lookup take neither a goroutine nor a copy.
//!
//! Rejected: requiring `ToSocketAddrs + Send + 'static` under a context, since `(&*host, port)`
//! would not qualify.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};
use std::panic;
use std::thread;

use greenthread_channels::{bounded, select_biased};
use greenthread_ctx::Context;

use crate::stack;
use crate::sync::{Semaphore, reporting};
use crate::task::blocking;

/// Limits the number of concurrent lookups, since each occupies an OS thread (Go's limit for the
/// system's resolver is the same).
static LOOKUPS: Semaphore = Semaphore::new(MAX_LOOKUPS);
const MAX_LOOKUPS: usize = 500;

/// The size of the stack for the resolver and its plug-ins, which are foreign code and do not
/// expect a small stack.
const RESOLVER_STACK: usize = 128 << 10;

/// Returns the addresses of a host, in the order in which the system prefers them.
///
/// Go's `net.LookupHost`. An address in text form needs no lookup. Blocks the goroutine, but never
/// keeps others from running: the call to the system's resolver is announced as [`blocking`]. At
/// most 500 lookups run at a time; further lookups wait for their turn in order.
///
/// # Errors
/// The resolver's error: the host is unknown, or the resolver currently has no answer.
///
/// ```
/// use greenthread::net;
///
/// assert_eq!(net::lookup_host("127.0.0.1").unwrap(), [std::net::Ipv4Addr::LOCALHOST]);
/// assert!(net::lookup_host("localhost").unwrap().iter().all(|address| address.is_loopback()));
/// assert!(net::lookup_host("no such host").is_err());
/// ```
pub fn lookup_host(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    Ok(resolve((host, 0))?.map(|addr| addr.ip()).collect())
}

/// Returns the addresses of a host like [`lookup_host`], unless `ctx` ends first.
///
/// Go's `Resolver.LookupHost`. When the context ends, so does the wait. The lookup itself continues
/// on its thread, and counts as one of the 500 until it finishes.
///
/// # Errors
/// The errors of [`lookup_host`], and the context's error if it ends first.
///
/// ```
/// use greenthread::{ctx::Context, net};
/// use std::time::Duration;
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(60));
/// let addresses = net::lookup_host_ctx(&ctx, "localhost").unwrap();
/// assert!(addresses.iter().all(|address| address.is_loopback()));
/// ```
pub fn lookup_host_ctx(ctx: &Context, host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    Ok(resolve_ctx(ctx, (host, 0))?.map(|addr| addr.ip()).collect())
}

/// A lookup that borrows nothing: the result of [`Resolve::resolver`].
///
/// ```
/// use greenthread::net::{Resolve, Resolver};
///
/// let resolver: Resolver = "127.0.0.1:80".resolver();
/// let addrs = greenthread::spawn(resolver).join().unwrap()?;
/// assert_eq!(addrs, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub type Resolver = Box<dyn FnOnce() -> io::Result<Vec<SocketAddr>> + Send>;

/// A kind of address that can be looked up under a context.
///
/// It is [`ToSocketAddrs`] for values that can be copied for a goroutine. All `std` types that
/// implement `ToSocketAddrs` also implement `Resolve`.
///
/// A lookup cannot be interrupted. When the context ends, the caller continues, and so does the
/// lookup, which has its own copy of the address.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::net::{Resolve, Resolver, TcpListener, TcpStream};
/// use std::io;
/// use std::net::{SocketAddr, ToSocketAddrs};
///
/// /// A service, whose address stands in a table.
/// #[derive(Clone, Copy)]
/// struct Service<'a>(&'a str);
///
/// impl ToSocketAddrs for Service<'_> {
///     type Iter = std::vec::IntoIter<SocketAddr>;
///
///     fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
///         self.resolver()().map(Vec::into_iter)
///     }
/// }
///
/// impl Resolve for Service<'_> {
///     fn resolver(&self) -> Resolver {
///         let name = self.0.to_owned();
///         Box::new(move || {
///             let table = std::fs::read_to_string("services.txt")?;
///             let mut lines = table.lines().filter_map(|line| line.split_once(' '));
///             let line = lines.find(|(service, _)| *service == name);
///             let found = line.and_then(|(_, addr)| addr.parse().ok());
///             found.map(|addr| vec![addr]).ok_or_else(|| io::ErrorKind::NotFound.into())
///         })
///     }
/// }
///
/// let error = TcpStream::connect_ctx(&Context::background(), Service("time")).unwrap_err();
/// assert_eq!(error.kind(), io::ErrorKind::NotFound);
/// ```
pub trait Resolve: ToSocketAddrs {
    /// Returns a function that does what `to_socket_addrs` does without borrowing anything.
    ///
    /// The function may block; this method does not.
    ///
    /// ```
    /// use greenthread::net::Resolve;
    ///
    /// let text = "127.0.0.1:80".to_owned();
    /// let resolver = text.resolver();
    /// drop(text);
    /// assert_eq!(resolver()?.len(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn resolver(&self) -> Resolver;
}

/// Implements `Resolve` for types that own their data.
macro_rules! resolve_by_clone {
    ($($type:ty),*) => { $(
        impl Resolve for $type {
            fn resolver(&self) -> Resolver {
                let addrs = self.clone();
                Box::new(move || Ok(addrs.to_socket_addrs()?.collect()))
            }
        }
    )* };
}

resolve_by_clone!(String, (String, u16));
resolve_by_clone!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl Resolve for str {
    fn resolver(&self) -> Resolver {
        self.to_owned().resolver()
    }
}

impl Resolve for (&str, u16) {
    fn resolver(&self) -> Resolver {
        (self.0.to_owned(), self.1).resolver()
    }
}

impl Resolve for &[SocketAddr] {
    fn resolver(&self) -> Resolver {
        let addrs = self.to_vec();
        Box::new(|| Ok(addrs))
    }
}

impl<T: Resolve + ?Sized> Resolve for &T {
    fn resolver(&self) -> Resolver {
        (**self).resolver()
    }
}

/// Returns the addresses that `addrs` stands for. Blocks like [`lookup_host`] if a lookup is
/// needed.
pub(super) fn resolve<A: ToSocketAddrs>(addrs: A) -> io::Result<A::Iter> {
    if !may_look_up::<A>() {
        return addrs.to_socket_addrs();
    }
    let _turn = LOOKUPS.acquire(1);
    call(|| addrs.to_socket_addrs())
}

/// Returns the addresses like [`resolve`], unless `ctx` ends first.
pub(super) fn resolve_ctx<A: Resolve>(ctx: &Context, addrs: A) -> io::Result<impl Iterator<Item = SocketAddr>> {
    ctx.err().map_or(Ok(()), Err)?;
    let (given, found) = if may_look_up::<A>() {
        (None, look_up(ctx, addrs.resolver())?)
    } else {
        (Some(addrs.to_socket_addrs()?), Vec::new())
    };
    Ok(given.into_iter().flatten().chain(found))
}

/// Calls a resolver, and leaves it behind if `ctx` ends first.
fn look_up(ctx: &Context, resolver: Resolver) -> io::Result<Vec<SocketAddr>> {
    let turn = LOOKUPS.acquire_ctx(ctx, 1)?;
    let (tx, ended) = bounded(1);
    let lookup = move || {
        // The lookup keeps its thread even if the caller has left.
        let _turn = turn;
        call(resolver)
    };
    greenthread_scheduler::go(reporting(lookup, move |end| drop(tx.send(end))));
    select_biased! {
        recv(ended) -> end => returned(end.expect("net: a lookup always reports its end")),
        recv(ctx.done()) -> end => Err(ctx.ended(end).into()),
    }
}

/// Returns the result of a lookup that has ended, or resumes its panic.
fn returned<T>(end: thread::Result<T>) -> T {
    end.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Returns `true` if `to_socket_addrs` may call the resolver.
///
/// Implementations that call the resolver return a list that they own; the others lend or copy
/// their addresses.
fn may_look_up<A: ToSocketAddrs>() -> bool {
    mem::needs_drop::<A::Iter>()
}

/// Runs a function that may call the resolver.
///
/// Fails if a goroutine needs a larger stack for it and there is none.
fn call<T>(resolver: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if stack::remaining().is_none() {
        // A thread's own stack is large enough.
        return resolver();
    }
    blocking(|| greenthread_scheduler::grow(RESOLVER_STACK, 2 * RESOLVER_STACK, resolver))?
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::task::spawn;

    fn all<A: ToSocketAddrs>(addrs: A) -> Vec<SocketAddr> {
        resolve(addrs).unwrap().collect()
    }

    /// Resolves like [`all`], but under a context.
    fn all_ctx<A: Resolve>(addrs: A) -> Vec<SocketAddr> {
        resolve_ctx(&Context::background(), addrs).unwrap().collect()
    }

    fn takes_a_lookup<A: ToSocketAddrs>(_: A) -> bool {
        may_look_up::<A>()
    }

    #[test]
    fn only_names_take_a_lookup() {
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert!(!takes_a_lookup(address) && !takes_a_lookup([address].as_slice()));
        assert!(!takes_a_lookup((address.ip(), 80)) && !takes_a_lookup((Ipv6Addr::LOCALHOST, 80)));
        assert!(takes_a_lookup("localhost:80") && takes_a_lookup(("localhost", 80)));
        assert!(takes_a_lookup(String::from("::1:80")));
    }

    #[test]
    fn resolves_all_forms() {
        let address: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(all(address), [address]);
        assert_eq!(all([address, address].as_slice()), [address; 2]);
        assert_eq!(all("[::1]:80"), [address]);
        assert!(!all(("localhost", 80)).is_empty());
        assert!(resolve("no port").is_err());
    }

    #[test]
    fn resolves_all_forms_under_a_context() {
        let (v4, v6) = (SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80), SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0));
        let (one, other) = (SocketAddr::from(v4), SocketAddr::from(v6));
        assert_eq!([all_ctx(v4), all_ctx(v6), all_ctx(one)], [[one], [other], [one]]);
        assert_eq!(
            [all_ctx((*v4.ip(), 80)), all_ctx((*v6.ip(), 80)), all_ctx((one.ip(), 80))],
            [[one], [other], [one]]
        );
        assert_eq!(all_ctx([one, other].as_slice()), [one, other]);
        assert_eq!([all_ctx("127.0.0.1:80"), all_ctx(String::from("[::1]:80"))], [[one], [other]]);
        assert_eq!([all_ctx(("127.0.0.1", 80)), all_ctx((String::from("::1"), 80))], [[one], [other]]);
        // Addresses that need no lookup also have a resolver.
        assert_eq!([one.resolver()().unwrap(), [one].as_slice().resolver()().unwrap()], [[one], [one]]);
        assert!(resolve_ctx(&Context::background(), "no port").is_err());
    }

    #[test]
    fn ended_context_starts_no_lookup() {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let ended = |error: io::Error| assert_eq!(error.to_string(), "context canceled");
        ended(lookup_host_ctx(&ctx, "localhost").unwrap_err());
        ended(resolve_ctx(&ctx, (Ipv4Addr::LOCALHOST, 80)).map(drop).unwrap_err());
        assert_eq!(lookup_host_ctx(&ctx, "::1").unwrap(), [Ipv6Addr::LOCALHOST], "it needs no lookup");
    }

    #[test]
    fn works_on_small_stacks_and_in_parallel() {
        let small =
            crate::Builder::new().stack_size(32 << 10).spawn(|| lookup_host("localhost").map(|found| found.len()));
        assert!(small.unwrap().join().unwrap().unwrap() > 0);
        let crowd: Vec<_> = (0..20).map(|_| spawn(|| lookup_host("localhost"))).collect();
        crowd.into_iter().for_each(|lookup| assert!(!lookup.join().unwrap().unwrap().is_empty()));
    }
}
