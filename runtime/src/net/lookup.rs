//! From names to addresses: the system's resolver, called so that nobody else waits for it.

use std::io;
use std::mem;
use std::net::{IpAddr, ToSocketAddrs};

use crate::stack;
use crate::sync::Semaphore;
use crate::task::blocking;

/// Each lookup that waits keeps an OS thread, so there are only so many at a time (Go's limit for the system's resolver is the same).
const MAX_LOOKUPS: usize = 500;

/// The resolver and its plug-ins are foreign code, which does not ask how small the stack is.
const RESOLVER_STACK: usize = 128 << 10;

/// The addresses of a host, in the order in which the system prefers them: Go's `net.LookupHost`. An address in text form is its own.
///
/// Blocks the goroutine, and never keeps others from running: the call to the system's resolver is announced as [`blocking`](crate::blocking). Of
/// lookups 500 run at a time, and more wait for their turn in order. A lookup under way cannot be ended.
///
/// # Errors
/// What the resolver says: the host is unknown, or nobody knows at the moment.
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

/// The addresses that `addrs` stands for. Blocks, as [`lookup_host`] does, if that takes a lookup.
pub(super) fn resolve<A: ToSocketAddrs>(addrs: A) -> io::Result<A::Iter> {
    // What calls the resolver owns a list of results; what has the addresses already lends or copies them.
    if !mem::needs_drop::<A::Iter>() {
        return addrs.to_socket_addrs();
    }
    static LOOKUPS: Semaphore = Semaphore::new(MAX_LOOKUPS);
    let _turn = LOOKUPS.acquire(1);
    blocking(|| stack::grow(RESOLVER_STACK, 2 * RESOLVER_STACK, || addrs.to_socket_addrs()))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn all<A: ToSocketAddrs>(addrs: A) -> Vec<SocketAddr> {
        resolve(addrs).unwrap().collect()
    }

    /// Whether a lookup of such a type is announced.
    fn may_look_up<A: ToSocketAddrs>(_: A) -> bool {
        mem::needs_drop::<A::Iter>()
    }

    #[test]
    fn only_names_take_a_lookup() {
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert!(!may_look_up(address) && !may_look_up([address].as_slice()));
        assert!(!may_look_up((address.ip(), 80)) && !may_look_up((std::net::Ipv6Addr::LOCALHOST, 80)));
        assert!(may_look_up("localhost:80") && may_look_up(("localhost", 80)) && may_look_up(String::from("::1:80")));
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
    fn works_on_a_small_stack_and_in_a_crowd() {
        let small =
            crate::Builder::new().stack_size(32 << 10).spawn(|| lookup_host("localhost").map(|found| found.len()));
        assert!(small.unwrap().join().unwrap().unwrap() > 0);
        let crowd: Vec<_> = (0..20).map(|_| crate::spawn(|| lookup_host("localhost"))).collect();
        crowd.into_iter().for_each(|lookup| assert!(!lookup.join().unwrap().unwrap().is_empty()));
    }
}
