//! A storm of all operations. Each goroutine adds its number to a checksum, which a lost, doubled
//! or misplaced one changes.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::drops::{Census, Counted, OnDrop};
use crate::common::{Rng, spin, storm};
use greenthread::channel::{self, Receiver, Sender};
use greenthread::sync::{Mutex, WaitGroup};
use greenthread::{
    Builder, blocking, exit_goroutine, go, lock_os_thread, scope, set_gomaxprocs, spawn, stack, time, yield_now,
};

/// The state that all goroutines of a round share.
struct Soup {
    /// The sum so far, and the sum that the round must reach.
    sum: AtomicU64,
    expected: AtomicU64,
    locked: Mutex<u64>,
    tx: Sender<Counted>,
    rx: Receiver<Counted>,
    census: Census,
    running: WaitGroup,
}

/// The number of ways in [`Soup::stir`].
const WAYS: u64 = 15;

impl Soup {
    fn add(&self, n: u64) {
        self.sum.fetch_add(n, Ordering::Relaxed);
    }

    /// Runs one operation, chosen by `way`.
    ///
    /// The number that it will add is announced first.
    fn stir(self: &Arc<Self>, way: u64, random: &mut Rng) {
        let n = random.below(1000);
        self.expected.fetch_add(n, Ordering::Relaxed);
        let soup = Arc::clone(self);
        match way {
            0 => {
                // This sender and this receiver use the shared channel; each may meet another
                // partner.
                go!(move || soup.tx.send(soup.census.value()).unwrap());
                drop(self.rx.recv().unwrap());
                self.add(n);
            }
            1 => *self.locked.lock() += n,
            2 => self.add(spawn(move || n).join().unwrap()),
            3 => scope(|s| {
                s.spawn(|| self.add(n / 2));
                s.spawn(|| self.add(n - n / 2));
            }),
            4 => {
                time::sleep(Duration::from_micros(random.below(300)));
                self.add(n);
            }
            5 => blocking(|| {
                thread::sleep(Duration::from_micros(random.below(100)));
                self.add(n);
            }),
            6 => {
                let _guard = lock_os_thread();
                let thread = thread::current().id();
                yield_now();
                assert_eq!(thread::current().id(), thread);
                self.add(n);
            }
            7 => {
                let unwinds = spawn(move || {
                    let _adds = OnDrop::new(move || {
                        let thread = thread::current().id();
                        soup.add(spawn(move || n).join().unwrap());
                        assert!(thread::panicking() && thread::current().id() == thread);
                    });
                    panic::resume_unwind(Box::new(n));
                });
                assert_eq!(unwinds.join().unwrap_err().downcast_ref(), Some(&n));
            }
            8 => {
                let exits = spawn(move || {
                    soup.add(n);
                    exit_goroutine();
                });
                assert!(exits.join().is_err());
            }
            9 => self.add(stack::grow(3 << 20, 4 << 20, || spawn(move || n).join().unwrap())),
            10 => self.add(thread::spawn(move || spawn(move || n).join().unwrap()).join().unwrap()),
            11 => {
                let pinned = Builder::new().pinned(true).spawn(move || {
                    yield_now();
                    n
                });
                self.add(pinned.unwrap().join().unwrap());
            }
            12 => {
                let most = if random.one_in(10) { 12_000 } else { 50 };
                spin(Duration::from_micros(random.below(most)));
                self.add(n);
            }
            13 => {
                set_gomaxprocs(1 + random.below(4) as usize);
                self.add(n);
            }
            _ => {
                // The result is not joined, so the goroutine or the handle drops it, whichever ends
                // last.
                let census = self.census.clone();
                drop(spawn(move || census.value()));
                self.add(n);
            }
        }
    }
}

#[test]
fn mixed_operations_reach_the_checksum() {
    storm(|random| {
        let (tx, rx) = channel::bounded(random.below(3) as usize);
        let soup = Arc::new(Soup {
            sum: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            locked: Mutex::new(0),
            tx,
            rx,
            census: Census::default(),
            running: WaitGroup::new(),
        });
        for _ in 0..1 + random.below(60) {
            let (soup, mut random) = (Arc::clone(&soup), random.fork());
            let running = soup.running.clone();
            running.go(move || {
                for _ in 0..random.below(8) {
                    let way = random.below(WAYS);
                    soup.stir(way, &mut random);
                }
            });
        }
        soup.running.wait();
        let sum = soup.sum.load(Ordering::Relaxed) + *soup.locked.lock();
        assert_eq!(sum, soup.expected.load(Ordering::Relaxed));
        crate::common::until(|| soup.census.alive() == 0);
    });
}
